"""The .do form: seed 003, "Actions"; WIRE section 4, "The generic .do form"."""

import re
from collections.abc import AsyncIterator

import pytest

from callvault.web.dialects.dotdo.operations import ACTIONS
from tests.webhouse import WebHouse, webhouse


@pytest.fixture
async def house() -> AsyncIterator[WebHouse]:
    async with webhouse() as house:
        house.client.headers.update(await house.bearer())
        yield house


async def do(house: WebHouse, operation: str, parameters: dict | None = None, **more: object) -> tuple[int, dict]:
    command = {"operation": operation, "parameters": parameters or {}, **more}
    answer = await house.client.post("/CallRecording", json=command)
    return answer.status_code, answer.json()


async def test_a_success_is_wrapped_as_the_wire_says(house: WebHouse) -> None:
    """{"success":true,"data":…,"meta":{"requestId":"req_…","timestamp","duration"}}"""
    status, told = await do(house, "create", {"call": {"from": "+15550100"}, "tags": ["vip"]})
    assert (status, told["success"]) == (200, True)
    assert set(told) == {"success", "data", "meta"} and set(told["meta"]) == {"requestId", "timestamp", "duration"}
    assert told["meta"]["requestId"].startswith("req_")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told["meta"]["timestamp"])
    assert (told["data"]["status"], told["data"]["tags"]) == ("processing", ["vip"])


async def test_a_failure_is_wrapped_as_the_wire_says(house: WebHouse) -> None:
    """{"success":false,"error":{"code","message","details"},"meta"}"""
    status, told = await do(house, "retrieve", {"id": "nothing"})
    assert (status, told["success"], told["error"]["code"]) == (404, False, "not_found")
    assert set(told["error"]) == {"code", "message", "details"} and set(told["meta"]) >= {"requestId", "timestamp"}


@pytest.mark.parametrize("own", [None, "mine-1"])
@pytest.mark.parametrize("operation", ["create", "nonsense"])
async def test_the_id_that_is_told_is_that_of_the_request(house: WebHouse, operation: str, own: str | None) -> None:
    command = {"operation": operation, "options": {"idempotencyKey": "k", "requestId": "another"}}
    headers = {"x-request-id": own} if own else {}
    for _ in range(2):
        answer = await house.client.post("/CallRecording", json=command, headers=headers)
        assert answer.json()["meta"]["requestId"] == answer.headers["x-request-id"]
        assert own in (None, answer.headers["x-request-id"])


async def test_a_recording_lives_through_its_operations(house: WebHouse) -> None:
    _, made = await do(house, "create", {"metadata": {"a": 1}})
    recording = made["data"]
    assert (await do(house, "retrieve", {"id": recording["id"]}))[1]["data"] == recording
    changed = {**recording, "tags": ["new"], "status": "failed"}
    _, told = await do(house, "update", changed)
    assert (told["data"]["tags"], told["data"]["status"], told["data"]["metadata"]) == (["new"], "processing", {"a": 1})
    _, told = await do(house, "delete", {"recording": recording})
    assert told["data"]["status"] == "deleted"


async def test_a_file_is_downloaded_by_a_link_that_needs_no_key(house: WebHouse) -> None:
    _, made = await do(house, "create")
    where = f"/api/v1/recordings/{made['data']['id']}"
    take = f"{where}/lanes/customer/takes/1?start=0"
    await house.client.put(take, content=b"\x55" * 8000, headers={"content-type": "audio/PCMU"})
    await house.client.post(f"{where}/complete")
    _, told = await do(house, "download", {"id": made["data"]["id"]})
    file = told["data"]
    assert (file["format"], file["contentType"]) == ("wav", "audio/wav")
    answer = await house.client.get(file["url"], headers={"authorization": ""})
    assert answer.status_code == 200 and len(answer.content) == 44 + 16_000
    assert answer.headers["content-disposition"].startswith("attachment")
    _, told = await do(house, "generateSecureUrl", {"id": made["data"]["id"], "view": "customer", "expiresIn": 60})
    assert told["data"]["expiresAt"] == house.clock.now_ms() // 1000 + 60
    assert (await house.client.get(told["data"]["url"])).status_code == 200


async def test_what_has_expired_is_gone_as_the_document_says(house: WebHouse) -> None:
    _, made = await do(house, "create", {"expiresAt": house.clock.now_ms() / 1000 + 60})
    house.clock.advance(60)
    for operation in ("download", "generateSecureUrl"):
        status, told = await do(house, operation, {"id": made["data"]["id"]})
        assert (status, told["error"]["code"]) == (410, "recording_expired")
    assert "410" in await house.documented("dotdo", "/CallRecording", "post")


SEED = """create retrieve update delete download generateSecureUrl transcribe analyze redactPII compress convert trim
merge enhanceQuality export share"""


def test_every_action_of_the_seed_is_an_operation() -> None:
    """Seed 003, the headings under "Actions", in their order."""
    assert tuple(SEED.split()) == ACTIONS


@pytest.mark.parametrize("name", ACTIONS)
async def test_an_action_that_does_not_exist_yet_says_so_by_name(house: WebHouse, name: str) -> None:
    status, told = await do(house, name, {"id": "nothing"})
    if status == 501:
        assert told["error"] == {"code": "not_implemented", "message": f"{name} is not implemented", "details": None}
    else:
        assert told["success"] or told["error"]["code"] in ("not_found", "invalid_request")


async def sounding(house: WebHouse) -> dict:
    """Two seconds."""
    recording = (await do(house, "create"))[1]["data"]
    where = f"/api/v1/recordings/{recording['id']}"
    await house.client.put(
        f"{where}/lanes/customer/takes/1?start=0", content=b"\x10" * 16_000, headers={"content-type": "audio/PCMU"}
    )
    return (await house.client.post(f"{where}/complete")).json()


async def test_the_verbs_make_versions(house: WebHouse) -> None:
    """Seed 003, "trim", "merge", "redactPII", "convert", "compress": each answers a CallRecording."""
    one, two = await sounding(house), await sounding(house)
    asked = {
        "trim": {"recording": one, "start": 0.5, "end": 1.5},
        "convert": {"id": one["id"], "format": "m4a"},
        "compress": {"recordingId": one["id"], "quality": "low"},
        "merge": {"recordings": [two, one["id"]]},
        "redactPII": {"id": one["id"], "spans": [{"start": 0, "end": 0.5}], "redactionType": "beep"},
    }
    made = {}
    for name, parameters in asked.items():
        status, told = await do(house, name, parameters)
        assert (status, told["success"], told["data"]["operation"]) == (200, True, name)
        made[name] = told["data"]
    assert (made["trim"]["duration"], made["trim"]["derivedFrom"]) == (1, [one["id"]])
    assert (made["merge"]["duration"], made["merge"]["derivedFrom"]) == (4, [two["id"], one["id"]])
    assert (made["redactPII"]["redacted"], made["redactPII"]["redactionType"]) == (True, "beep")
    assert [made[name]["status"] for name in ("convert", "compress")] == ["processing"] * 2
    _, told = await do(house, "merge", {"id": two["id"], "recordings": [one]})
    assert told["data"]["derivedFrom"] == [two["id"], one["id"]]
    _, told = await do(house, "download", {"id": made["trim"]["id"]})
    assert len((await house.client.get(told["data"]["url"])).content) == 44 + 16_000


async def test_a_verb_is_done_once_for_its_key(house: WebHouse) -> None:
    one = await sounding(house)
    again = {"parameters": {"id": one["id"], "end": 1}, "options": {"idempotencyKey": "k"}}
    first, second = [(await do(house, "trim", **again))[1]["data"] for _ in range(2)]
    assert first == second and first["secureUrl"] is None


async def test_nothing_is_kept_of_an_answer_that_holds_a_signed_url(house: WebHouse) -> None:
    one = await sounding(house)
    again = {"parameters": {"id": one["id"], "tags": ["vip"]}, "options": {"idempotencyKey": "k"}}
    first, second = [(await do(house, "update", **again))[1]["data"] for _ in range(2)]
    assert first["secureUrl"] and first["secureUrl"] != second["secureUrl"]
    await do(house, "delete", {"id": one["id"]})
    assert (await do(house, "update", **again))[0] == 404


async def test_a_verb_that_cannot_be_done_says_where(house: WebHouse) -> None:
    one = await sounding(house)
    status, told = await do(house, "redactPII", {"id": one["id"]})
    assert (status, told["error"]["code"]) == (501, "not_implemented") and "speech" in told["error"]["message"]
    wrong = {"trim": {"end": -1}, "merge": {}, "convert": {"format": "aiff"}, "compress": {"bitrate": 9999}}
    for name, parameters in wrong.items():
        status, told = await do(house, name, {"id": one["id"], **parameters})
        assert (status, told["error"]["details"][0]["loc"][0]) == (422, "parameters"), name


async def test_what_is_no_operation_is_a_mistake(house: WebHouse) -> None:
    status, told = await do(house, "explode")
    assert (status, told["error"]["code"]) == (400, "malformed")
    status, told = await do(house, "create", {"tags": [""]})
    assert (status, told["error"]["code"]) == (422, "invalid_request")
    assert told["error"]["details"][0]["loc"] == ["parameters", "tags", 0]
    assert (await do(house, "retrieve"))[1]["error"]["code"] == "malformed"
    answer = await house.client.post("/CallRecording", content=b"{")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_request")


async def test_who_has_no_key_or_not_the_scope_is_refused_in_the_same_form(house: WebHouse) -> None:
    answer = await house.client.post("/CallRecording", json={"operation": "create"}, headers={"authorization": ""})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")
    house.client.headers.update(await house.bearer("recordings:read"))
    status, told = await do(house, "create")
    assert (status, told["error"]["code"]) == (403, "forbidden")


async def test_the_same_command_with_the_same_key_is_done_once(house: WebHouse) -> None:
    first = (await do(house, "create", options={"idempotencyKey": "k"}))[1]["data"]
    assert (await do(house, "create", options={"idempotencyKey": "k"}))[1]["data"] == first


async def test_a_body_that_curl_calls_a_form_is_read_as_the_json_it_is(house: WebHouse) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = await house.client.post("/CallRecording", content=b'{"operation":"create"}', headers=headers)
    assert (answer.status_code, answer.json()["success"]) == (200, True)
