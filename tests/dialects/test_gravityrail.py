"""Gravity Rail's dialect: golden transcripts, each headed by the line it comes from; privacy, lifetimes, messages."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from callvault.domain.access import OPERATOR
from callvault.domain.event import Event
from callvault.domain.query import Query
from callvault.domain.stored import Rendition
from callvault.domain.webhook import WebhookEndpoint
from callvault.services.workspaces import WorkspaceSettings
from callvault.web.dialects.gravityrail.messages import form
from callvault.web.dialects.gravityrail.routes import RECORDING
from tests.audits import audited
from tests.dialects import goldens
from tests.dialects.soundcalls import Sounded
from tests.dialects.soundhouse import begun, ended, ok, working
from tests.receiver import receiving
from tests.webhouse import WebHouse, webhouse
from tests.workhouse import until

GOLDEN = sorted((Path(__file__).parent / "golden" / "gravityrail").glob("*.txt"))
PRIVATE = [{"id": "boss", "role": "assistant"}, {"id": "clerk", "role": "customer"}]


@pytest.fixture
async def house() -> AsyncIterator[WebHouse]:
    async with webhouse() as house:
        house.client.headers.update(await house.bearer())
        yield house


@pytest.fixture
async def recorded(house: WebHouse) -> Sounded:
    return await ended(house, await begun(house))


@pytest.fixture
async def of_chat(house: WebHouse, recorded: Sounded) -> str:
    return f"/api/v2/w/{(await house.workspace()).id}/recordings/chat/{recorded.call['chatId']}"


async def private(house: WebHouse, kind: str) -> tuple[Sounded, dict[str, str]]:
    """A chat of this kind, and the key of one who takes part in it."""
    boss = await house.bearer(member_id="boss")
    facts = {"kind": kind, "participants": PRIVATE}
    made = await begun(house, turns=False, headers=boss, **facts)
    return await ended(house, made, headers=boss), await house.bearer("chats:read", member_id="boss")


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
async def test_the_wire_is_as_the_golden_file_says(house: WebHouse, recorded: Sounded, file: Path) -> None:
    await ended(house, await begun(house, sound=False, turns=False, kind="web"))
    await begun(house, seed=3)
    for kind in ("manager", "direct"):
        await private(house, kind)
    known = {
        "workspace": (await house.workspace()).id,
        "elsewhere": (await house.workspace("other")).id,
        "key": await house.key("chats:read"),
        "reader": await house.key("recordings:read"),
        "public": await house.key(kind="public"),
    }
    del house.client.headers["authorization"]
    exchanges = goldens.read(file)
    assert exchanges
    for asked in exchanges:
        answer = await goldens.answered(house.client, asked, known)
        assert goldens.told(answer, asked, known, {}) == goldens.wanted(asked)


async def test_a_recording_is_one_wav_with_all_that_was_said_at_once(
    house: WebHouse, recorded: Sounded, of_chat: str
) -> None:
    chats = await house.bearer("chats:read")
    whole = await house.client.get(f"{of_chat}/audio.wav", headers=chats)
    assert (whole.status_code, whole.headers["content-type"]) == (200, "audio/wav")
    assert whole.content == recorded.files["mono-recording"]
    assert whole.headers["x-request-id"]
    part = await house.client.get(f"{of_chat}/audio.wav", headers={**chats, "range": "bytes=100-299"})
    assert (part.status_code, part.content) == (206, whole.content[100:300])
    head = await house.client.head(f"{of_chat}/audio.wav", headers=chats)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(whole.content)))


@pytest.mark.parametrize(
    ("asked", "status"), [({"if-none-match": "*"}, 304), ({"if-match": '"other"'}, 412), ({"range": "bytes=-0"}, 416)]
)
async def test_what_is_not_sent_is_no_download(
    house: WebHouse, recorded: Sounded, of_chat: str, asked: dict[str, str], status: int
) -> None:
    assert (await house.client.get(f"{of_chat}/audio.wav", headers=asked)).status_code == status
    assert {"206", str(status)} <= (await house.documented("gravityrail", f"{RECORDING}/audio.wav")).keys()
    await house.services.delivery.downloads.flush()
    assert (await ok(house.client.get(f"/api/v1/recordings/{recorded.recording_id}")))["downloadCount"] == 0


async def test_a_download_url_needs_no_key_and_ends_when_it_says(
    house: WebHouse, recorded: Sounded, of_chat: str
) -> None:
    chats = await house.bearer("chats:read")
    answer = await house.client.get(f"{of_chat}/download-url?expires_in=60", headers=chats)
    told = answer.json()
    assert answer.headers["x-request-id"] and list(told) == ["url", "expiresIn", "expiresAt", "contentType", "filename"]
    assert (told["expiresIn"], told["expiresAt"]) == (60, "2025-10-09T08:54:20.000Z")
    assert (told["contentType"], told["filename"]) == ("audio/wav", "chat-1.wav")
    got = await house.client.get(told["url"], headers={"authorization": "Bearer gr_a-stray-one"})
    assert (got.content, got.headers["content-type"]) == (recorded.files["mono-recording"], "audio/wav")
    assert 'filename="chat-1.wav"' in got.headers["content-disposition"]
    house.clock.advance(60)
    assert (await house.client.get(told["url"])).status_code == 403


@pytest.mark.parametrize(("asked", "most", "given"), [("", 86_400, 3600), ("", 600, 600), ("expires_in=7", 600, 7)])
async def test_a_lifetime_is_an_hour_unless_one_is_asked_for_and_never_beyond_the_workspace_s(
    house: WebHouse, of_chat: str, asked: str, most: int, given: int
) -> None:
    workspace = await house.workspace()
    await house.services.workspaces.set(OPERATOR, workspace.id, WorkspaceSettings(link_seconds_max=most))
    assert (await ok(house.client.get(f"{of_chat}/download-url?{asked}")))["expiresIn"] == given


@pytest.mark.parametrize("asked", [3601, 10**9, 10**30])
async def test_too_long_a_lifetime_is_cut_and_not_refused(house: WebHouse, of_chat: str, asked: int) -> None:
    workspace = await house.workspace()
    await house.services.workspaces.set(OPERATOR, workspace.id, WorkspaceSettings(link_seconds_max=3600))
    assert (await ok(house.client.get(f"{of_chat}/download-url?expires_in={asked}")))["expiresIn"] == 3600


async def test_each_request_mints_and_nothing_is_assembled_for_a_vault_link(house: WebHouse, of_chat: str) -> None:
    first, second = [await ok(house.client.get(f"{of_chat}/download-url")) for _ in range(2)]
    assert first["url"] != second["url"]
    assert await house.services.store.count(Query(Rendition)) == 0


@pytest.mark.parametrize("kind", ["manager", "direct"])
async def test_a_private_chat_is_for_its_participants_alone(house: WebHouse, kind: str) -> None:
    made, boss = await private(house, kind)
    place = f"/api/v2/w/{(await house.workspace()).id}"
    chat = made.call["chatId"]
    everything = await house.bearer()
    paths = (f"recordings/chat/{chat}/audio.wav", f"recordings/chat/{chat}/download-url", f"chats/{chat}")
    for path in paths:
        assert (await house.client.get(f"{place}/{path}", headers=everything)).status_code == 403
        assert (await house.client.get(f"{place}/{path}", headers=boss)).status_code == 200
    assert (await ok(house.client.get(f"{place}/chats", headers=everything)))["total"] == 0
    assert [c["id"] for c in (await ok(house.client.get(f"{place}/chats", headers=boss)))["items"]] == [chat]
    await house.services.audit.flush()
    refused = len([e for e in await audited(house.services.store) if e.outcome == "refused"])
    assert refused == len(paths)


async def test_messages_are_signed_and_name_the_chat(house: WebHouse) -> None:
    async with receiving() as receiver, working(house):
        asked: dict[str, Any] = {"url": receiver.url(), "dialect": "gravityrail", "secret": "a-shared-secret"}
        await ok(house.client.post("/api/v1/webhook-endpoints", json=asked))
        made = await ended(house, await begun(house))

        async def all_there() -> Any:
            found = {one.json["type"]: one for one in receiver.received}
            return found if {"chat.created", "chat.ended", "recording.completed"} <= found.keys() else None

        told = await until(all_there)
    completed = told["recording.completed"]
    assert completed.json["workspaceUuid"] == (await house.workspace()).id
    assert completed.json["data"] == {
        "chatId": made.call["chatId"],
        "channel": "phone-voice",
        "recordingId": made.recording_id,
    }
    at, signature = (field.partition("=")[2] for field in completed.headers["x-webhook-signature"].split(","))
    signed = hmac.new(b"a-shared-secret", f"{at}.".encode() + completed.body, hashlib.sha256).hexdigest()
    assert signature == signed and at == str(house.clock.now_ms() // 1000)
    assert b"+1555" not in b"".join(one.body for one in receiver.received)


async def test_a_recording_whose_time_was_over_is_told_as_a_deleted_one(house: WebHouse, recorded: Sounded) -> None:
    about = {"workspace_id": (await house.workspace()).id, "recording_id": recorded.recording_id}
    event = Event(id="e", type="recording.autoDeleted", created_ms=1, call_id=recorded.id, **about)
    messages = form(house.services, "")
    assert messages.wants(event)
    endpoint = WebhookEndpoint(
        id="h", workspace_id="w", member_id="m", url="https://a.test", created_ms=1, updated_ms=1
    )
    rendering = await messages.render(event, endpoint)
    assert rendering and json.loads(rendering.body)["type"] == "recording.deleted"


@pytest.mark.parametrize("chat_id", ["-1", "0", "9999999999999999999", "9" * 60])
@pytest.mark.parametrize("what", ["recordings/chat/{}/audio.wav", "recordings/chat/{}/download-url", "chats/{}"])
async def test_no_chat_has_any_other_number(house: WebHouse, chat_id: str, what: str) -> None:
    place = f"/api/v2/w/{(await house.workspace()).id}/{what.format(chat_id)}"
    assert (await house.client.get(place)).status_code == 404
