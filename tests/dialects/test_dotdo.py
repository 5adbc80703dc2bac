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
