"""The console in a real browser."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Demo

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("demo")]
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
DENSEST = """([where]) => {
  const canvas = document.querySelector(".wave > div").shadowRoot.querySelector(where);
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let densest = 3;
  for (let at = 3; at < data.length; at += 4) if (data[at] > data[densest]) densest = at;
  return [...data.slice(densest - 3, densest + 1)];
}"""
"""The pixel of a canvas of the waveform that lets least through: red, green, blue, alpha."""
DIALECTS = ("native", "vapi", "agentphone", "osvi", "dotdo", "gravityrail")


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, browser: Any, demo: Demo) -> Iterator[Any]:
    """The console with nobody signed in; nothing may be written to the browser's console but nothing."""
    context = browser.new_context(color_scheme=request.param, viewport=WIDE)
    opened, said = context.new_page(), []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.goto(f"{demo.address}/")
    opened.set_default_timeout(30_000)
    expect.set_options(timeout=30_000)
    yield opened
    context.close()
    assert [line for line in said if "401" not in line] == []


def sign_in(page: Any, demo: Demo) -> None:
    page.fill("#key", demo.key)
    page.click("#key-form button")
    page.wait_for_selector(".row")


def open_call(page: Any, name: str) -> None:
    page.click(f".row:has-text('{name}')")
    page.wait_for_selector(".turn")


def test_a_wrong_key_opens_nothing(page: Any) -> None:
    page.fill("#key", "cvk_12345678_thisIsNoKeyOfAnybodyAtAll")
    page.click("#key-form button")
    page.wait_for_selector("#key-error:not([hidden])")
    assert page.is_hidden("#list")


def test_recordings_are_listed_with_who_spoke_and_how_long(page: Any, demo: Demo) -> None:
    sign_in(page, demo)
    rows = [" ".join(text.split()) for text in page.locator(".row").all_inner_texts()]
    assert len(rows) == 3
    assert "Jane Miller" in rows[0]
    assert "00:39" in rows[0]


def test_search_finds_by_name_and_by_tag(page: Any, demo: Demo) -> None:
    sign_in(page, demo)
    page.fill("#search", "billing")
    expect(page.locator(".row")).to_have_count(1)
    assert "Tom Reed" in page.inner_text(".row")
    page.fill("#search", "nobody of this name")
    page.wait_for_selector("#empty:not([hidden])")


def test_it_plays_and_the_words_keep_step_with_the_sound(page: Any, demo: Demo) -> None:
    sign_in(page, demo)
    open_call(page, "Jane Miller")
    page.click(".turn >> nth=3")
    expect(page.locator(".turn").nth(3)).to_have_attribute("aria-current", "true")
    before = page.inner_text(".clock")
    expect(page.locator(".clock")).not_to_have_text(before)


def test_the_waveform_has_a_lane_for_each_side_and_shows_the_pause(page: Any, demo: Demo) -> None:
    sign_in(page, demo)
    open_call(page, "Tom Reed")
    assert page.locator(".lane-names span").all_inner_texts() == ["Tom Reed", "Max"]
    mark = page.locator(".paused").bounding_box()
    wave = page.locator(".wave").bounding_box()
    assert (mark["x"] - wave["x"]) / wave["width"] == pytest.approx(15.7 / 28.1, abs=0.03)
    assert "card number" in page.inner_text(".spans")


@pytest.fixture
def skipping(demo: Demo) -> Iterator[dict[str, str]]:
    """A recording of which a pause left out seconds 5 to 10, what it is from its third second on, and a redaction.
    To be asked for before the page, which is to be closed before they go."""
    with httpx.Client(base_url=f"{demo.address}/api/v1", headers={"Authorization": f"Bearer {demo.key}"}) as client:

        def ok(method: str, path: str, **more: Any) -> Any:
            return client.request(method, path, **more).raise_for_status().json()

        made = ok("POST", "/recordings", json={})
        where = f"/recordings/{made['id']}"
        ok("POST", f"{where}/pause", json={"at": 5, "mode": "skip", "reason": "card number"})
        ok("POST", f"{where}/resume", json={"at": 10})
        form = {"Content-Type": "audio/PCMU"}
        ok("PUT", f"{where}/lanes/customer/takes/0?start=0", content=bytes([0, 128] * 80_000), headers=form)
        said = [("before", 1, 2), ("meanwhile", 6, 7), ("afterwards", 12, 14), ("at last", 16, None)]
        turns = [{"role": "customer", "content": c, "start": start, "end": end} for c, start, end in said]
        ok("PUT", f"{where}/transcript", json={"turns": turns})
        ok("POST", f"{where}/complete")
        part = ok("POST", f"{where}/trim", json={"start": 3})
        spans = [{"start": 3, "end": 6, "lane": "customer"}, {"start": 9, "end": 12}]
        covered = ok("POST", f"{where}/redact", json={"spans": spans})
        yield {"whole": made["id"], "part": part["id"], "covered": covered["id"]}
        ok("DELETE", where)


@pytest.mark.parametrize(
    ("version", "times", "paused", "current"),
    [
        ("whole", ["00:01", "00:05", "00:07", "00:11"], "00:05: paused (card number), nothing was stored", 2),
        ("part", ["00:02", "00:04", "00:08"], "00:02: paused (card number), nothing was stored", 1),
    ],
)
def test_words_and_pauses_are_where_they_are_heard_when_a_pause_or_a_cut_left_something_out(
    skipping: dict[str, str], page: Any, demo: Demo, version: str, times: list[str], paused: str, current: int
) -> None:
    sign_in(page, demo)
    page.goto(f"{demo.address}/ui/#{skipping[version]}")
    expect(page.locator(".turn .at")).to_have_text(times)
    assert page.locator(".spans li").all_inner_texts() == [paused]
    mark, wave = page.locator(".paused").bounding_box(), page.locator(".wave").bounding_box()
    at = (mark["x"] - wave["x"]) / wave["width"]
    assert at == pytest.approx(1 / 3 if version == "whole" else 2 / 12, abs=0.01)
    page.locator(".turn").nth(current).click()
    expect(page.locator(".turn").nth(current)).to_have_attribute("aria-current", "true")
    page.locator(".turn").last.click()
    expect(page.locator(".turn").last).to_have_attribute("aria-current", "true")


@pytest.fixture
def merged(demo: Demo) -> Iterator[str]:
    """The second recording of a call, from its fifth second on, before the first one, and another call's behind them.
    To be asked for before the page, which is to be closed before they go."""
    with httpx.Client(base_url=f"{demo.address}/api/v1", headers={"Authorization": f"Bearer {demo.key}"}) as client:

        def ok(method: str, path: str, **more: Any) -> Any:
            return client.request(method, path, **more).raise_for_status().json()

        def recorded(call: dict[str, Any], start: int) -> Any:
            made = ok("POST", "/recordings", json={"call": call})
            where, form = f"/recordings/{made['id']}", {"Content-Type": "audio/PCMU"}
            ok("PUT", f"{where}/lanes/customer/takes/0?start={start}", content=bytes([0, 128] * 16_000), headers=form)
            ok("POST", f"{where}/complete")
            return made

        def said(made: Any, *turns: tuple[str, float]) -> None:
            told = [{"role": "customer", "content": word, "start": at, "end": at + 1} for word, at in turns]
            ok("PUT", f"/recordings/{made['id']}/transcript", json={"turns": told})

        first = recorded({}, 0)
        second = recorded({"id": first["call"]["id"]}, 5000)
        other = recorded({"participants": [{"id": "o", "name": "Olga", "role": "customer"}]}, 0)
        said(first, ("early", 1), ("late", 6))
        said(other, ("elsewhere", 2))
        parts = [first["id"], other["id"]]
        yield ok("POST", f"/recordings/{second['id']}/merge", json={"recordings": parts})["id"]
        for name in (second["id"], *parts):
            ok("DELETE", f"/recordings/{name}")


def test_words_of_every_recording_are_where_they_are_heard_in_a_merged_one(merged: str, page: Any, demo: Demo) -> None:
    sign_in(page, demo)
    page.goto(f"{demo.address}/ui/#{merged}")
    expect(page.locator(".turn .at")).to_have_text(["00:06", "00:10", "00:15"])
    expect(page.locator(".turn")).to_contain_text(["late", "early", "Olgaelsewhere"])


def test_what_was_redacted_is_seen(skipping: dict[str, str], page: Any, demo: Demo) -> None:
    sign_in(page, demo)
    page.goto(f"{demo.address}/ui/#{skipping['covered']}")
    expect(page.locator(".masked")).to_have_count(2)
    wave = page.locator(".wave").bounding_box()
    for nth, title, start, height in ((0, "Redacted: customer", 3, 64), (1, "Redacted: all sides", 9, 128)):
        mark = page.locator(".masked").nth(nth)
        assert mark.get_attribute("title") == title
        box = mark.bounding_box()
        assert ((box["x"] - wave["x"]) / wave["width"], box["height"]) == (pytest.approx(start / 15, abs=0.01), height)
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator(".clock")).to_have_text("00:10 / 00:15")


def test_what_was_played_stands_out_from_what_is_to_come(page: Any, demo: Demo) -> None:
    sign_in(page, demo)
    open_call(page, "Jane Miller")
    page.wait_for_function("document.querySelector('.wave > div')?.shadowRoot.querySelector('.progress canvas')")
    *played, alpha = page.evaluate(DENSEST, [".progress canvas"])
    *ahead, _ = page.evaluate(DENSEST, [".canvases canvas"])
    assert alpha == 255
    assert sum(abs(a - b) for a, b in zip(played, ahead, strict=True)) > 100


APART = """least => {
  const all = document.querySelector(".wave > div").shadowRoot.querySelectorAll("[part~=timeline-notch-primary]");
  const places = [...all].map((each) => each.getBoundingClientRect().x);
  return places.length > 1 && places.slice(1).every((place, n) => place - places[n] > least);
}"""


def test_the_times_under_the_waveform_can_be_read(page: Any, demo: Demo) -> None:
    page.set_viewport_size(NARROW)
    sign_in(page, demo)
    open_call(page, "Jane Miller")
    notch = page.locator("[part~=timeline-notch-primary]")
    expect(notch).to_have_text(["00:00", "00:10", "00:20", "00:30"])
    page.wait_for_function(APART, arg=48)  # they have their words before they have their places


def test_a_long_name_leaves_room_for_the_waveform(page: Any, demo: Demo) -> None:
    page.set_viewport_size(NARROW)
    sign_in(page, demo)
    open_call(page, "Jane Miller")
    page.evaluate("document.querySelector('.lane-names span').textContent = 'Somebody '.repeat(30)")
    assert page.locator(".wave").bounding_box()["width"] > 200
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]


def test_where_there_is_room_the_list_and_the_recording_scroll_and_not_the_page(page: Any, demo: Demo) -> None:
    sign_in(page, demo)
    open_call(page, "Jane Miller")
    assert page.evaluate("document.documentElement.scrollHeight") == WIDE["height"]


@pytest.mark.parametrize("name", DIALECTS)
def test_no_reference_runs_over_the_edge_of_a_phone(page: Any, demo: Demo, name: str) -> None:
    page.set_viewport_size(NARROW)
    page.goto(f"{demo.address}/docs/{name}")
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]


def test_on_a_phone_one_thing_is_shown_at_a_time_and_nothing_runs_over_the_edge(page: Any, demo: Demo) -> None:
    page.set_viewport_size(NARROW)
    sign_in(page, demo)
    open_call(page, "Jane Miller")
    assert page.is_hidden("#list")
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    page.click(".back")
    page.wait_for_selector("#list", state="visible")


def test_the_key_is_forgotten_when_one_signs_out(page: Any, demo: Demo) -> None:
    sign_in(page, demo)
    page.click("#sign-out")
    page.reload()
    page.wait_for_selector("#key")
    assert page.is_hidden("#list")
