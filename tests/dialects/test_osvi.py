"""OSVI's dialect: golden transcripts, and every answer of its recording endpoint against the OpenAPI of its seed."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from jsonschema import Draft202012Validator, FormatChecker

from callvault.domain.access import OPERATOR
from callvault.services.workspaces import WorkspaceSettings
from tests.dialects import goldens
from tests.dialects.soundcalls import Sounded
from tests.dialects.soundhouse import begun, ended, ok, with_artifacts
from tests.webhouse import WebHouse, webhouse

FOLDER = Path(__file__).parent / "golden" / "osvi"
GOLDEN = sorted(FOLDER.glob("*.txt"))


def read(value: Any) -> Any:
    """The seed says `nullable`, which its version of OpenAPI has not: taken as it is meant."""
    if isinstance(value, list):
        return [read(each) for each in value]
    if not isinstance(value, dict):
        return value
    rest = {name: read(each) for name, each in value.items() if name != "nullable"}
    return {**rest, "type": [rest["type"], "null"]} if value.get("nullable") is True else rest


SEED = read(yaml.safe_load((FOLDER / "get_call_recording.openapi.yaml").read_text()))
NO_CALL = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
async def house() -> AsyncIterator[WebHouse]:
    async with webhouse() as house:
        house.client.headers.update(await house.bearer())
        yield house


@pytest.fixture
async def recorded(house: WebHouse) -> Sounded:
    return await ended(house, await with_artifacts(house, await begun(house)))


def valid(answer: httpx.Response) -> Any:
    """The answer's body, if it is of the schema that the seed has for its status."""
    told = SEED["paths"]["/v1/call/{id}/recording"]["get"]["responses"][str(answer.status_code)]
    [(media_type, content)] = told["content"].items()
    assert answer.headers["content-type"] == media_type
    schema = {**content["schema"], "components": SEED["components"]}
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(answer.json())
    example = content.get("example") or _example(schema)
    assert answer.json().keys() == example.keys()
    return answer.json()


def _example(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return _example(SEED["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]])
    return schema["properties"]  # type: ignore[no-any-return]


def asking(house: WebHouse, call_id: str, token: str | None) -> Any:
    headers = {"api-token": token} if token else {}
    return house.client.get(f"/v1/call/{call_id}/recording", headers=headers)


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
async def test_the_wire_is_as_the_golden_file_says(house: WebHouse, recorded: Sounded, file: Path) -> None:
    live = await begun(house, seed=3)
    other = await house.bearer(workspace="other")
    silent = await ended(house, await begun(house, sound=False, turns=False, headers=other), headers=other)
    known = {
        "recorded": recorded.id,
        "live": live.id,
        "silent": silent.id,
        "missing": NO_CALL,
        "key": house.client.headers.pop("authorization").removeprefix("Bearer "),
        "other": other["authorization"].removeprefix("Bearer "),
        "chats": await house.key("chats:read"),
    }
    exchanges = goldens.read(file)
    assert exchanges
    for asked in exchanges:
        answer = await goldens.answered(house.client, asked, known)
        assert goldens.told(answer, asked, known, {}) == goldens.wanted(asked)


async def test_a_recording_s_url_lives_fifteen_minutes_and_needs_no_token(house: WebHouse, recorded: Sounded) -> None:
    token = await house.key()
    told = valid(await asking(house, recorded.id, token))
    assert told["success"] is True and told["data"].keys() == {"call_id", "recording_url", "expires_in_seconds"}
    assert (told["data"]["call_id"], told["data"]["expires_in_seconds"]) == (recorded.id, 900)
    url = told["data"]["recording_url"]
    assert (await house.client.get(url)).content == recorded.files["mono-recording"]
    house.clock.advance(899)
    assert (await house.client.head(url)).status_code == 200
    house.clock.advance(1)
    assert (await house.client.get(url)).status_code == 403
    again = valid(await asking(house, recorded.id.upper(), token))
    assert again["data"]["recording_url"] != url and again["data"]["call_id"] == recorded.id


async def test_every_refusal_is_of_the_seed_s_schema(house: WebHouse, recorded: Sounded) -> None:
    token = await house.key()
    live = await begun(house, seed=3)
    for call_id in (NO_CALL, "no-uuid", live.id):
        assert valid(await asking(house, call_id, token))["error"] == "recording_not_available"
    for wrong in (None, "0123456789abcdef", token[:-1] + "x"):
        assert valid(await asking(house, recorded.id, wrong)) == {"success": False, "error": "Invalid API token"}
    stranger = await house.key(workspace="other")
    assert valid(await asking(house, recorded.id, stranger))["error"] == "recording_not_available"


async def test_where_links_live_shorter_that_is_what_is_told(house: WebHouse, recorded: Sounded) -> None:
    workspace = await house.workspace()
    await house.services.workspaces.set(OPERATOR, workspace.id, WorkspaceSettings(link_seconds_max=120))
    told = valid(await asking(house, recorded.id, await house.key()))
    assert told["data"]["expires_in_seconds"] == 120


async def test_a_public_key_gets_no_url(house: WebHouse, recorded: Sounded) -> None:
    answer = await asking(house, recorded.id, await house.key(kind="public"))
    assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")


async def test_pages_go_on_to_the_last_call(house: WebHouse) -> None:
    token = {"api-token": await house.key()}
    made = [(await ok(house.client.post("/api/v1/calls", json={})))["id"] for _ in range(5)]
    pages = [await ok(house.client.get(f"/v1/calls?per_page=2&page={n}", headers=token)) for n in (1, 2, 3, 4)]
    assert sorted(call["call_id"] for page in pages for call in page["data"]) == sorted(made)
    assert [len(page["data"]) for page in pages] == [2, 2, 1, 0]
    assert pages[0]["meta"] == {"current_page": 1, "total_pages": 3, "total_count": 5, "per_page": 2}
