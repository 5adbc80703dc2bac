"""The front: parts, routes, access, errors and the edge, asked as clients ask."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from callvault.domain.errors import Fault
from callvault.web.logs import REQUESTS, TOGETHER_SECONDS, RequestLog
from callvault.web.options import Options
from callvault.web.parts import Claim, HeaderKey, Part
from callvault.web.responses import Answer, json_answer
from tests.audits import audited
from tests.unit.web import sample
from tests.webhouse import WebHouse, webhouse


def twin_render(fault: Fault, status: int, request_id: str) -> Answer:
    return json_answer({"twin": fault.code}, status)


TWIN = Part(
    name="twin",
    title="Twin",
    claims=(Claim("/sample/hot", header="x-twin"), Claim("/twin")),
    credential=HeaderKey("X-Twin"),
    render=twin_render,
)
OPTIONS = Options(version="1.2.3", public_url="https://vault.example", requests_per_minute=1000, body_max=100)


@pytest.fixture
async def house() -> AsyncIterator[WebHouse]:
    async with webhouse(OPTIONS, [sample.PART, TWIN]) as made:
        yield made


async def test_a_key_opens_what_its_scopes_are_for(house: WebHouse) -> None:
    answer = await house.client.get("/sample/hot/a.json", headers=await house.bearer("recordings:share"))
    assert answer.status_code == 200
    assert answer.json()["name"] == "a"
    assert answer.json()["actor"].startswith("key:")


@pytest.mark.parametrize("path", ["/sample/hot/a.json", "/sample/facts", "/sample/operate", "/sample/facts/7"])
async def test_without_a_key_nothing_that_needs_one_opens(house: WebHouse, path: str) -> None:
    method = "POST" if path in ("/sample/operate", "/sample/facts/7") else "GET"
    answer = await house.client.request(method, path, content=b"{" if method == "POST" else b"")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "unauthorized"


async def test_a_key_without_the_scope_is_refused_and_that_is_audited(house: WebHouse) -> None:
    answer = await house.client.get("/sample/facts", headers=await house.bearer("chats:read"))
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert "recordings:read" in answer.json()["detail"]
    await house.services.audit.flush()
    refused = [e for e in await audited(house.services.store) if e.outcome == "refused"]
    assert [entry.action for entry in refused] == ["recordings.read"]
    assert refused[0].request_id == answer.headers["x-request-id"]


async def test_a_public_key_reads_nothing(house: WebHouse) -> None:
    answer = await house.client.get("/sample/facts", headers=await house.bearer(kind="public"))
    assert answer.status_code == 403


async def test_any_key_opens_what_decides_later(house: WebHouse) -> None:
    answer = await house.client.post("/sample/operate", headers=await house.bearer("audit:read"), content=b"12345")
    assert answer.json() == {"length": 5}


async def test_what_is_public_takes_no_notice_of_a_stray_key(house: WebHouse) -> None:
    answer = await house.client.get("/sample/away", headers={"authorization": "Bearer nonsense"})
    assert (answer.status_code, answer.headers["location"]) == (302, "https://vault.example/sample/there")


async def test_what_fastapi_finds_wrong_comes_in_our_form_without_what_was_sent(house: WebHouse) -> None:
    key = await house.bearer()
    answer = await house.client.post("/sample/facts/7", headers=key, json={"number": "call +4930123456"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == ["body", "number"]
    assert "+4930123456" not in answer.text
    assert (await house.client.get("/sample/facts?limit=11", headers=key)).status_code == 422
    assert (await house.client.post("/sample/facts/7", headers=key, json={"number": 1})).status_code == 201


async def test_a_wrong_method_names_the_right_ones(house: WebHouse) -> None:
    answer = await house.client.delete("/sample/facts")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert (await house.client.get("/sample/operate")).headers["allow"] == "POST"
    options = await house.client.options("/sample/facts/7")
    assert (options.status_code, options.headers["allow"]) == (204, "POST")


async def test_an_unknown_path_is_not_found_in_the_form_of_the_part_it_is_below(house: WebHouse) -> None:
    assert (await house.client.get("/sample/nothing")).json()["code"] == "not_found"
    assert (await house.client.get("/nothing")).json()["code"] == "not_found"
    assert (await house.client.get("/twin/nothing")).json() == {"twin": "not_found"}
    assert (await house.client.get("/twins")).json()["code"] == "not_found"


@pytest.mark.parametrize("slash", ["%2F", "%2f"])
async def test_an_encoded_slash_is_a_part_of_its_segment(house: WebHouse, slash: str) -> None:
    key = await house.bearer()
    answer = await house.client.get(f"/sample/hot/a{slash}b%20c.json", headers=key)
    assert (answer.status_code, answer.json()["name"]) == (200, "a/b c")
    made = await house.client.post(f"/sample/facts/a{slash}b", headers=key, json={"number": 1})
    assert (made.status_code, made.json()["id"]) == (201, "a/b")
    wrong = await house.client.get(f"/sample/facts/a{slash}b", headers=key)
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert (await house.client.get(f"/sample{slash}facts", headers=key)).status_code == 404


async def test_a_header_can_choose_between_two_parts_of_one_path(house: WebHouse) -> None:
    answer = await house.client.get("/sample/hot/a.json", headers={"x-twin": "1"})
    assert (answer.status_code, answer.json()) == (404, {"twin": "not_found"})


@pytest.mark.parametrize("path", ["/sample/hot/a.json", "/sample/facts"])
async def test_head_tells_what_get_would_without_the_body(house: WebHouse, path: str) -> None:
    key = await house.bearer()
    got, told = await house.client.get(path, headers=key), await house.client.head(path, headers=key)
    assert (told.status_code, told.content) == (200, b"")
    assert told.headers["content-length"] == got.headers["content-length"] == str(len(got.content))


async def test_head_of_a_stream_without_an_end_ends(house: WebHouse) -> None:
    async with asyncio.timeout(5):
        answer = await house.client.head("/sample/endless")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"].startswith("text/event-stream")


@pytest.mark.parametrize(
    ("how", "status", "code"),
    [("progress", 409, "recording_in_progress"), ("storage", 503, "storage_unavailable"), ("bug", 500, "internal")],
)
async def test_errors_have_a_stable_code_and_say_who_can_mend_them(
    house: WebHouse, how: str, status: int, code: str
) -> None:
    answer = await house.client.get(f"/sample/fail/{how}")
    assert (answer.status_code, answer.json()["status"], answer.json()["code"]) == (status, status, code)
    assert answer.json()["type"] == f"urn:callvault:problem:{code}"
    assert answer.json()["requestId"] == answer.headers["x-request-id"]
    assert ("retry-after" in answer.headers) is (status == 503)


async def test_a_bug_is_logged_with_its_place_and_without_its_words(
    house: WebHouse, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await house.client.get("/sample/fail/bug")
    assert "cvk_" not in answer.text
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == ["ValueError"]


async def test_a_body_beyond_the_limit_is_refused_before_and_while_it_is_read(house: WebHouse) -> None:
    key = await house.bearer()

    async def drops() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b"1"

    for path in ("/sample/operate", "/sample/facts/x"):
        for body in (b"1" * 101, drops()):
            answer = await house.client.post(path, headers={**key, "content-type": "application/json"}, content=body)
            assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert (await house.client.post("/sample/operate", headers=key, content=b"x" * 100)).status_code == 200
    assert (await house.client.put("/sample/upload", headers=key, content=b"x" * 9000)).json() == 9000


async def test_the_clients_request_id_is_kept_when_it_is_one(house: WebHouse) -> None:
    assert (await house.client.get("/healthz", headers={"x-request-id": "a-1:b.c"})).headers[
        "x-request-id"
    ] == "a-1:b.c"
    of_no_log = (f"cvk_abcdefgh_{'k' * 32}", "14155550123", "call_abcdefghijklmnop")
    for wrong in ("", "x" * 65, "a b", "a\tb", "é", *of_no_log):
        headers = {b"x-request-id": wrong.encode()}
        made = (await house.client.get("/healthz", headers=headers)).headers["x-request-id"]  # type: ignore[arg-type]
        assert made.startswith("req_")


async def test_every_answer_is_safe_to_show_in_a_browser(house: WebHouse) -> None:
    key = await house.bearer()
    for path in ("/sample/hot/a.json", "/sample/facts", "/nothing", "/sample/fail/bug", "/sample/away"):
        headers = (await house.client.get(path, headers=key)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["strict-transport-security"].startswith("max-age=")


async def test_without_https_no_browser_is_told_to_insist_on_it() -> None:
    async with webhouse(Options(), []) as house:
        assert "strict-transport-security" not in (await house.client.get("/healthz")).headers


async def test_limits_are_a_keys_own_and_tell_where_it_stands() -> None:
    async with webhouse(Options(requests_per_minute=2), [sample.PART]) as house:
        first, second = await house.bearer(), await house.bearer()
        answer = await house.client.get("/sample/facts", headers=first)
        assert answer.headers["ratelimit-policy"] == '"key";q=2;w=60'
        assert answer.headers["ratelimit"] == '"key";r=1;t=30'
        await house.client.get("/sample/facts", headers=first)
        refused = await house.client.get("/sample/facts", headers=first)
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert refused.headers["retry-after"] == "30"
        assert refused.headers["ratelimit"] == '"key";r=0;t=60'
        assert (await house.client.get("/sample/facts", headers=second)).status_code == 200
        house.clock.advance(30)
        assert (await house.client.get("/sample/facts", headers=first)).status_code == 200


async def test_an_address_that_guesses_keys_is_slowed_down() -> None:
    async with webhouse(Options(requests_per_minute=3), [sample.PART]) as house:
        wrong = {"authorization": "Bearer cvk_abcdefgh_" + "x" * 33}
        answers = [await house.client.get("/sample/facts", headers=wrong) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
        assert [answer.headers["ratelimit"][:13] for answer in answers] == [f'"address";r={n}' for n in (2, 1, 0, 0)]


async def test_pages_of_allowed_origins_may_read_answers() -> None:
    async with webhouse(Options(cors_origins=("https://app.example",)), [sample.PART]) as house:
        asking = {"origin": "https://app.example", "access-control-request-method": "GET"}
        allowed = await house.client.options(
            "/sample/hot/a.json", headers={**asking, "access-control-request-headers": "authorization,range"}
        )
        assert allowed.status_code == 204
        assert allowed.headers["access-control-allow-origin"] == "https://app.example"
        assert allowed.headers["access-control-allow-headers"] == "authorization,range"
        answer = await house.client.get("/sample/away", headers={"origin": "https://app.example"})
        assert "content-range" in answer.headers["access-control-expose-headers"]
        assert answer.headers["vary"] == "origin"
        other = await house.client.get("/sample/away", headers={"origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers


async def test_what_a_cache_has_from_who_is_no_page_is_no_answer_to_a_page() -> None:
    async with webhouse(Options(cors_origins=("https://app.example",)), [sample.PART]) as house:
        for headers in ({}, {"origin": "https://evil.example"}):
            assert (await house.client.get("/sample/away", headers=headers)).headers["vary"] == "origin"
    async with webhouse(Options(cors_origins=("*",)), [sample.PART]) as house:
        for headers in ({}, {"origin": "https://app.example"}):
            answer = await house.client.get("/sample/away", headers=headers)
            assert answer.headers["access-control-allow-origin"] == "*"


async def test_without_a_setting_no_origin_may() -> None:
    async with webhouse(Options(), [sample.PART]) as house:
        answer = await house.client.get("/sample/away", headers={"origin": "https://app.example"})
        assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_the_clients_host_is_our_address_when_no_other_is_set() -> None:
    async with webhouse(Options(), [sample.PART]) as house:
        answer = await house.client.get("/sample/away", headers={"host": "vault.test:8080"})
        assert answer.headers["location"] == "http://vault.test:8080/sample/there"
        odd = await house.client.get("/sample/away", headers={"host": "evil.example/path?"})
        assert odd.headers["location"] == "http://vault.test/sample/there"


def scope(path: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": [],
        "scheme": "http",
        "server": ("vault.test", 80),
        "client": ("198.51.100.7", 1),
        **more,
    }


async def test_a_stream_stops_when_the_client_has_gone(house: WebHouse) -> None:
    sent: list[dict[str, Any]] = []
    messages = asyncio.Queue[dict[str, Any]]()
    messages.put_nowait({"type": "http.request"})
    sample.closed.clear()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        if len(sent) == 4:
            messages.put_nowait({"type": "http.disconnect"})
        await asyncio.sleep(0.001)

    await house.app(scope("/sample/stream"), messages.get, send)
    assert 4 <= len(sent) < 50
    await asyncio.wait_for(sample.closed.wait(), 5)


async def test_an_answer_that_breaks_off_is_not_ended_as_if_it_were_whole(house: WebHouse) -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    await house.app(scope("/sample/stream", query_string=b"break=1"), receive, send)
    start, *bodies = sent
    assert start["status"] == 200
    assert bodies and all(message["more_body"] for message in bodies)


async def test_what_an_error_tells_of_our_own_side_is_in_the_log_alone(
    house: WebHouse, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await house.client.get("/sample/fail/storage")
    assert (answer.status_code, answer.json()["detail"]) == (503, "the storage does not answer: …")
    assert "the storage does not answer: it is away" in [record.getMessage() for record in caplog.records]


async def test_what_the_server_does_not_wait_for_at_its_end_is_told_so() -> None:
    options = replace(OPTIONS, stopping=asyncio.Event())
    async with webhouse(options, [sample.PART]) as house:
        asking = asyncio.create_task(house.client.get("/sample/fail/never"))
        await asyncio.sleep(0.05)
        options.stopping.set()
        asking.cancel()
        answer = await asking
    assert (answer.status_code, answer.json()["code"]) == (503, "shutting_down")


async def test_a_client_that_goes_while_it_sends_is_no_error(house: WebHouse, caplog: pytest.LogCaptureFixture) -> None:
    key = await house.bearer()

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        raise AssertionError("nobody is there")

    headers = [(b"authorization", key["authorization"].encode())]
    await house.app(scope("/sample/operate", method="POST", headers=headers), receive, send)
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "WARNING")]


async def test_requests_are_logged_by_route_without_their_query(house: WebHouse) -> None:
    out = io.StringIO()
    REQUESTS.configure(out)
    try:
        key = await house.bearer()
        await house.client.get("/sample/hot/a.json?token=hunter2", headers=key)
        await house.client.get("/link/a-very-secret-token/call.wav")
        await house.client.get("/healthz")
        REQUESTS.flush()
    finally:
        REQUESTS.configure(None)
    first, second = map(json.loads, out.getvalue().splitlines())
    assert first["event"] == "GET /sample/hot/a.json 200"
    assert first["route"] == "/sample/hot/{name}.json"
    assert first["actor"].startswith("key:")
    assert first["requestId"].startswith("req_")
    assert second["event"] == "GET /link/[hidden] 404"
    assert "hunter2" not in out.getvalue()
    assert "secret" not in out.getvalue()


async def test_request_lines_are_written_soon_and_together() -> None:
    out, log = io.StringIO(), RequestLog()
    log.configure(out, plain=True)
    for n in range(3):
        log.note(f"GET /{n} 200", {"ms": 1})
    assert out.getvalue() == ""
    await asyncio.sleep(TOGETHER_SECONDS * 2)
    assert [line.split()[2] for line in out.getvalue().splitlines()] == ["GET"] * 3


class Wire:
    """A websocket's two ends in the test's hands."""

    def __init__(self, *heard: dict[str, Any]) -> None:
        self.heard = [{"type": "websocket.connect"}, *heard]
        self.sent: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        return self.heard.pop(0) if self.heard else {"type": "websocket.disconnect", "code": 1005}

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    async def open(self, house: WebHouse, path: str, key: dict[str, str], scheme: str = "ws") -> list[str]:
        told = scope(path, type="websocket", scheme=scheme, subprotocols=[])
        told["headers"] = [(name.encode(), value.encode()) for name, value in key.items()]
        told["extensions"] = {"websocket.http.response": {}}
        del told["method"]
        await house.app(told, self.receive, self.send)
        return [message["type"] for message in self.sent]


async def test_a_websocket_with_a_key_is_served(house: WebHouse) -> None:
    wire = Wire({"type": "websocket.receive", "text": "hello"})
    types = await wire.open(house, "/sample/talk", await house.bearer())
    assert types == ["websocket.accept", "websocket.send", "websocket.close"]
    assert wire.sent[1]["text"].endswith(" hello")


async def test_a_websocket_without_a_key_or_a_route_gets_an_answer_instead(house: WebHouse) -> None:
    wire = Wire()
    assert (await wire.open(house, "/sample/talk", {}))[0] == "websocket.http.response.start"
    assert wire.sent[0]["status"] == 401
    assert json.loads(wire.sent[1]["body"])["code"] == "unauthorized"
    wire = Wire()
    await wire.open(house, "/sample/nothing", {})
    assert wire.sent[0]["status"] == 404


@pytest.mark.parametrize(("path", "status"), [("/sample/talk", 401), ("/sample/nothing", 404)])
async def test_a_websocket_that_is_refused_is_told_what_every_answer_tells(
    house: WebHouse, path: str, status: int
) -> None:
    refused = await told_to(house, path, {"x-request-id": "call-7"})
    answer = await house.client.get("/sample/nothing")
    always = {name for name in answer.headers if name.startswith(("x-", "referrer", "strict", "content-security"))}
    assert always <= refused.keys() and "x-frame-options" in always
    assert (refused["status"], refused["x-request-id"], refused["cache-control"]) == (str(status), "call-7", "no-store")
    assert int(refused["content-length"]) > 0
    assert (refused.get("www-authenticate") == "Bearer") == (status == 401)


async def test_a_websocket_that_comes_too_often_is_told_when_to_come_again() -> None:
    async with webhouse(Options(requests_per_minute=1), [sample.PART]) as house:
        first, second = [await told_to(house, "/sample/talk", {}, scheme) for scheme in ("ws", "wss")]
    assert (first["status"], first["ratelimit"]) == ("401", '"address";r=0;t=60')
    assert (second["status"], second["ratelimit"], second["retry-after"]) == ("429", '"address";r=0;t=60', "60")
    assert ["strict-transport-security" in told for told in (first, second)] == [False, True]


async def told_to(house: WebHouse, path: str, headers: dict[str, str], scheme: str = "ws") -> dict[str, str]:
    """The status and the headers with which a websocket is refused; each header is there once."""
    wire = Wire()
    types = await wire.open(house, path, headers, scheme)
    assert types == ["websocket.http.response.start", "websocket.http.response.body"]
    told = [(name.decode(), value.decode()) for name, value in wire.sent[0]["headers"]]
    assert len(dict(told)) == len(told)
    return {**dict(told), "status": str(wire.sent[0]["status"])}


async def test_a_websocket_that_fails_is_closed_with_the_errors_name(house: WebHouse) -> None:
    wire = Wire({"type": "websocket.receive", "text": "fail"})
    await wire.open(house, "/sample/talk", await house.bearer())
    assert wire.sent[-1] == {"type": "websocket.close", "code": 1013, "reason": "storage_unavailable"}


async def test_a_client_that_hangs_up_is_no_error(house: WebHouse, caplog: pytest.LogCaptureFixture) -> None:
    await Wire().open(house, "/sample/talk", await house.bearer())
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_the_key_is_looked_for_where_the_part_says(house: WebHouse) -> None:
    part = replace(sample.PART, credential=HeaderKey("API-Token"))
    async with webhouse(OPTIONS, [part]) as other:
        answer = await other.client.get("/sample/facts", headers={"api-token": await other.key()})
        assert answer.status_code == 200
        assert (await other.client.get("/sample/facts", headers=await other.bearer())).status_code == 401
