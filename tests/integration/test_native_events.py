"""Events over HTTP: listed in order, and followed."""

import json
from collections.abc import AsyncIterator

import pytest

from callvault.domain.access import OPERATOR
from tests.dialects.asgistream import AsgiStream
from tests.webhouse import WebHouse, webhouse


@pytest.fixture
async def house() -> AsyncIterator[WebHouse]:
    async with webhouse() as house:
        house.client.headers.update(await house.bearer())
        yield house


async def recording(house: WebHouse, **call: object) -> dict:
    return (await house.client.post("/api/v1/recordings", json={"call": call})).json()


async def test_events_are_listed_in_order_and_the_cursor_waits_for_more(house: WebHouse) -> None:
    made = await recording(house)
    first = (await house.client.get("/api/v1/events?limit=2")).json()
    assert [event["type"] for event in first["data"]] == ["call.created", "recording.created"]
    second = (await house.client.get(f"/api/v1/events?cursor={first['nextCursor']}")).json()
    assert [event["type"] for event in second["data"]] == ["recording.processing"]
    empty = (await house.client.get(f"/api/v1/events?cursor={second['nextCursor']}")).json()
    assert (empty["data"], empty["nextCursor"]) == ([], second["nextCursor"])
    await house.client.delete(f"/api/v1/recordings/{made['id']}")
    later = (await house.client.get(f"/api/v1/events?cursor={second['nextCursor']}")).json()
    assert [(e["type"], e["recordingId"]) for e in later["data"]] == [("recording.deleted", made["id"])]


async def test_events_are_narrowed(house: WebHouse) -> None:
    first, second = await recording(house), await recording(house)
    of_one = (await house.client.get(f"/api/v1/events?recordingId={second['id']}")).json()["data"]
    assert {event["recordingId"] for event in of_one} == {second["id"]} and len(of_one) == 2
    of_type = (await house.client.get("/api/v1/events?type=call.created&type=call.ended")).json()["data"]
    assert [event["callId"] for event in of_type] == [first["call"]["id"], second["call"]["id"]]


async def test_events_of_private_calls_are_for_their_participants(house: WebHouse) -> None:
    await recording(house, kind="direct", participants=[{"id": "somebody"}])
    assert (await house.client.get("/api/v1/events")).json()["data"] == []
    own = await house.bearer(member_id="somebody")
    assert len((await house.client.get("/api/v1/events", headers=own)).json()["data"]) == 3


async def test_events_are_followed_from_where_a_client_was(house: WebHouse) -> None:
    await recording(house)
    headers = {"authorization": house.client.headers["authorization"], "last-event-id": "1"}
    stream = AsgiStream(house.app, "/api/v1/events/stream", headers)
    heard = await stream.next() or ""
    made = await recording(house)
    while heard.count("event:") < 5:
        heard += await stream.next() or ""
    house.app.options.stopping.set()
    assert await stream.next() is None
    assert stream.headers["content-type"] == "text/event-stream"
    blocks = [block.split("\n") for block in heard.strip().split("\n\n")]
    assert blocks[0] == [": connected"]
    assert [block[0] for block in blocks[1:]] == [f"id: {n}" for n in range(2, 7)]
    assert blocks[-1][1] == "event: recording.processing"
    assert json.loads(blocks[-1][2].removeprefix("data: "))["recordingId"] == made["id"]


@pytest.mark.parametrize(
    ("path", "place", "pieces"),
    [("/api/v1/events/stream", {"Last-Event-ID": "0"}, 4), ("{}/transcript/stream", {}, 1)],
)
async def test_a_key_that_is_revoked_hears_of_nothing_more(
    house: WebHouse, path: str, place: dict, pieces: int
) -> None:
    where, workspace = f"/api/v1/recordings/{(await recording(house))['id']}", await house.workspace()
    turns = {"turns": [{"role": "customer", "content": "hello", "start": 0}]}
    key = await house.services.keys.create(OPERATOR, workspace.id)
    await house.client.post(f"{where}/transcript/turns", json=turns)
    stream = AsgiStream(house.app, path.format(where), {"Authorization": f"Bearer {key.key}", **place})
    for _ in range(pieces):
        assert await stream.next()
    await house.services.keys.revoke(OPERATOR, key.row.id)
    await house.client.post(f"{where}/transcript/turns", json=turns)
    await recording(house)
    assert await stream.next() is None
    await stream.running


async def test_a_place_that_is_none_is_refused(house: WebHouse) -> None:
    answer = await house.client.get("/api/v1/events/stream", headers={"Last-Event-ID": "yesterday"})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
