"""Endpoints: who may make them, what their secrets are worth, and how they prove that they want to be told."""

import json
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook
from tests.audits import audited
from tests.callhouse import caller
from tests.hookhouse import HookHouse
from tests.receiver import Received, Reply, receiving

from callvault.adapters.store.memory import MemoryStore
from callvault.adapters.webhooks.signing import SIGNERS
from callvault.domain.access import Caller
from callvault.domain.errors import Malformed, Missing, NotAuthenticated, Refused, StaleWrite, TooLarge
from callvault.domain.query import Query
from callvault.domain.stored import StoredObject
from callvault.domain.unit import Unit
from callvault.domain.webhook import WebhookEndpoint
from callvault.services.pages import Place
from callvault.services.webhooks.endpoints import MOST_ENDPOINTS

URL = "https://example.com/hook"


def echo(received: Received) -> Reply:
    return Reply(body=json.dumps({"challenge": received.json["data"]["challenge"]}).encode())


def valid(secret: str, received: Received) -> bool:
    at = datetime.fromtimestamp(int(received.headers["webhook-timestamp"]), UTC)
    signature = Webhook(secret).sign(received.headers["webhook-id"], at, received.body.decode())
    return signature in received.headers["webhook-signature"].split(" ")


class StubbornStore(MemoryStore):
    stubborn = 0
    """How often somebody else is quicker yet."""

    async def commit(self, unit: Unit) -> None:
        if self.stubborn:
            self.stubborn -= 1
            raise StaleWrite(what="webhook endpoint")
        await super().commit(unit)


async def test_the_secret_is_told_once_and_kept_in_storage_alone() -> None:
    house = HookHouse()
    made = await house.endpoints.create(caller(), URL, description="ours")
    read = await house.endpoints.get(caller(), made.endpoint.id)
    assert made.secret.startswith("whsec_")
    assert made.secret not in repr(read) + repr(made)
    assert list(house.blobs.objects.values()) == [made.secret.encode()]
    (stored,) = await house.store.find(Query(StoredObject).by("key"))
    assert (stored.workspace_id, stored.key) == ("w", read.secrets[0].object_key)


async def test_two_secrets_are_valid_while_one_is_exchanged_for_the_other() -> None:
    house = HookHouse()
    async with receiving() as receiver, house.working():
        first = await house.endpoints.create(caller(), receiver.url())
        second = await house.endpoints.rotate(caller(), first.endpoint.id, overlap_seconds=3600)
        await house.tell("a.b")
        await house.settled()
        house.clock.advance(3600)
        await house.tell("a.b")
        await house.settled()
    during, after = receiver.received
    assert (valid(first.secret, during), valid(second.secret, during)) == (True, True)
    assert (valid(first.secret, after), valid(second.secret, after)) == (False, True)


async def test_a_third_secret_ends_the_first_and_its_object_is_destroyed() -> None:
    house = HookHouse()
    first = await house.endpoints.create(caller(), URL)
    await house.endpoints.rotate(caller(), first.endpoint.id)
    third = await house.endpoints.rotate(caller(), first.endpoint.id)
    kept = [secret.object_key for secret in third.endpoint.secrets]
    assert len(kept) == 2
    assert sorted(house.blobs.objects) == sorted(kept)
    assert first.endpoint.secrets[0].object_key not in kept


async def test_a_secret_that_leaked_is_exchanged_at_once() -> None:
    house = HookHouse()
    made = await house.endpoints.create(caller(), URL)
    rotated = await house.endpoints.rotate(caller(), made.endpoint.id, overlap_seconds=0)
    assert len(rotated.endpoint.secrets) == 1
    assert len(house.blobs.objects) == 1
    with pytest.raises(Malformed):
        await house.endpoints.rotate(caller(), made.endpoint.id, overlap_seconds=8 * 86_400)


async def test_with_ed25519_the_public_key_is_told_and_stays_readable() -> None:
    house = HookHouse()
    made = await house.endpoints.create(caller(), URL, scheme="v1a")
    assert made.secret.startswith("whpk_")
    assert made.endpoint.secrets[0].public == made.secret
    with pytest.raises(Malformed):
        await house.endpoints.create(caller(), URL, scheme="v1a", secret="whsk_mine")


async def test_a_secret_may_be_brought_along() -> None:
    house = HookHouse()
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert (await house.endpoints.create(caller(), URL, secret=secret)).secret == secret
    with pytest.raises(Malformed):
        await house.endpoints.create(caller(), URL, secret="short")


@pytest.mark.parametrize(
    ("scheme", "right", "wrong"),
    [
        ("vapi", ["x", "open sesame", "!" * 256], ["", " x", "x ", "x\r\ny", "ü", "!" * 257]),
        ("agentphone", ["8letters", "!" * 256], ["letters", "open sesame", "!" * 257]),
        ("gravityrail", ["8letters", "!" * 256], ["letters", "open sesame", "!" * 257]),
    ],
)
def test_a_header_bears_any_secret_and_a_key_to_sign_with_is_not_short(
    scheme: str, right: list[str], wrong: list[str]
) -> None:
    for text in right:
        assert SIGNERS[scheme].given(text).text == text
    for text in wrong:
        with pytest.raises(Malformed):
            SIGNERS[scheme].given(text)


async def test_an_endpoint_that_must_verify_is_told_of_nothing_before_it_has() -> None:
    house = HookHouse()
    async with receiving() as receiver, house.working():
        endpoint = (await house.endpoints.create(caller(), receiver.url(), verify=True)).endpoint
        assert (endpoint.enabled, endpoint.disabled_reason) == (False, "unverified")
        with pytest.raises(Refused):
            await house.endpoints.update(caller(), endpoint.id, {"enabled": True})
        await house.tell("recording.created")
        await house.settled()
        refused = await house.endpoints.verify(caller(), endpoint.id)
        assert (refused.answered, refused.why) == (False, "the answer does not hold the challenge")
        receiver.reply = lambda received: Reply(body=received.json["data"]["challenge"].encode() + b"\n")
        verified = await house.endpoints.verify(caller(), endpoint.id)
        await house.tell("recording.completed")
        await house.settled()
    assert verified.answered
    assert verified.endpoint.verified_ms == house.clock.now_ms()
    types = [received.json["type"] for received in receiver.received]
    assert types == ["webhook_endpoint.verification"] * 3 + ["recording.completed"]


async def test_the_challenge_may_be_answered_as_json_and_a_new_url_must_be_verified_anew() -> None:
    house = HookHouse()
    async with receiving(reply=echo) as receiver:
        made = await house.endpoints.create(caller(), receiver.url(), verify=True)
        assert (made.endpoint.enabled, made.endpoint.verified_ms) == (True, house.clock.now_ms())
        assert valid(made.secret, receiver.received[0])
        house.clock.advance(1)
        changed = await house.endpoints.update(caller(), made.endpoint.id, {"url": receiver.url("/new")})
    assert [received.path for received in receiver.received] == ["/hook", "/new"]
    assert (changed.enabled, changed.verified_ms) == (True, house.clock.now_ms())
    assert await house.stored(changed) == changed


async def test_a_new_url_is_asked_once_however_often_somebody_else_is_quicker() -> None:
    house = HookHouse(store=(store := StubbornStore()))
    async with receiving(reply=echo) as receiver, receiving(reply=echo) as new:
        made = await house.endpoints.create(caller(), receiver.url(), verify=True)
        store.stubborn = 3
        changed = await house.endpoints.update(caller(), made.endpoint.id, {"url": new.url()})
    assert (store.stubborn, len(new.received)) == (0, 1)
    assert (changed.url, changed.enabled) == (new.url(), True)


@pytest.mark.parametrize("before", [{}, {"enabled": False}])
async def test_a_new_url_that_does_not_answer_the_challenge_is_told_of_nothing(before: dict) -> None:
    house = HookHouse()
    async with receiving(reply=echo) as receiver, receiving() as silent, house.working():
        made = await house.endpoints.create(caller(), receiver.url(), verify=True)
        await house.endpoints.update(caller(), made.endpoint.id, before)
        changes = {"url": silent.url(), "enabled": True}
        changed = await house.endpoints.update(caller(), made.endpoint.id, changes)
        await house.endpoints.update(caller(), made.endpoint.id, {"enabled": False})
        with pytest.raises(Refused):
            await house.endpoints.update(caller(), made.endpoint.id, {"enabled": True})
        await house.tell("recording.created")
        await house.settled()
        silent.reply = echo
        verified = (await house.endpoints.verify(caller(), made.endpoint.id)).endpoint
    assert (changed.enabled, changed.disabled_reason, changed.verified_ms) == (False, "unverified", None)
    assert [received.json["type"] for received in silent.received] == ["webhook_endpoint.verification"] * 2
    assert (verified.enabled, verified.url) == (True, silent.url())


@pytest.mark.parametrize(("before", "more"), [({"enabled": False}, {}), ({}, {"enabled": False})])
async def test_at_a_new_url_that_is_not_to_be_told_nobody_is_asked(before: dict, more: dict) -> None:
    house = HookHouse()
    async with receiving(reply=echo) as receiver, receiving(reply=echo) as other:
        made = await house.endpoints.create(caller(), receiver.url(), verify=True)
        await house.endpoints.update(caller(), made.endpoint.id, before)
        changed = await house.endpoints.update(caller(), made.endpoint.id, {"url": other.url(), **more})
    assert (changed.enabled, changed.disabled_reason, other.received) == (False, "unverified", [])


async def test_one_that_never_had_to_verify_is_not_asked_at_a_new_url() -> None:
    house = HookHouse()
    async with receiving() as receiver:
        endpoint = (await house.endpoints.create(caller(), URL)).endpoint
        changed = await house.endpoints.update(caller(), endpoint.id, {"url": receiver.url()})
    assert (changed.enabled, changed.verified_ms, receiver.received) == (True, None, [])


async def test_each_challenge_has_an_id_of_its_own() -> None:
    house = HookHouse()
    async with receiving() as receiver:
        endpoint = (await house.endpoints.create(caller(), receiver.url(), verify=True)).endpoint
        await house.endpoints.verify(caller(), endpoint.id)
    first, second = [received.headers["webhook-id"] for received in receiver.received]
    assert first != second
    assert first.startswith("msg_")


async def test_who_changes_the_url_has_it_told_what_he_may_know_himself() -> None:
    house = HookHouse()
    async with receiving(reply=lambda received: Reply(500)) as bobs, receiving() as eves, house.working():
        endpoint = (await house.endpoints.create(caller(member="bob"), bobs.url())).endpoint
        await house.tell("call.ended", readers=("bob",))
        await house.settled()
        house.clock.advance(1)
        moved = await house.endpoints.update(caller(member="eve"), endpoint.id, {"url": eves.url()})
        await house.tell("call.created", readers=("bob",))
        await house.tell("call.started", readers=("eve",))
        house.clock.advance(10)
        await house.settled()
        (failed, _) = log = await house.log(endpoint)
        await house.deliveries.replay(caller(member="eve"), failed.id)
        await house.settled()
    assert moved.member_id == "eve"
    assert (failed.state, failed.failure) == ("failed", "there is nothing to tell any more")
    assert [delivery.event_type for delivery in log] == ["call.ended", "call.started"]
    assert (len(bobs.received), [received.json["type"] for received in eves.received]) == (1, ["call.started"])


async def test_who_changes_anything_else_leaves_an_endpoint_to_its_member() -> None:
    house = HookHouse()
    endpoint = (await house.endpoints.create(caller(member="bob"), URL)).endpoint
    changes = {"url": URL, "description": "bob's", "enabled": False}
    assert (await house.endpoints.update(caller(member="eve"), endpoint.id, changes)).member_id == "bob"


async def test_why_a_challenge_failed_is_told() -> None:
    house = HookHouse()
    async with receiving(reply=lambda received: Reply(404)) as receiver:
        endpoint = (await house.endpoints.create(caller(), receiver.url())).endpoint
        assert (await house.endpoints.verify(caller(), endpoint.id)).why == "the answer was 404"
    assert (await house.endpoints.verify(caller(), endpoint.id)).why == "no connection"


@pytest.mark.parametrize(
    "changes",
    [
        {"event_types": ["recording"]},
        {"event_types": ["recording.*.*"]},
        {"event_types": "recording.created"},
        {"event_types": ["a.b"] * 51},
        {"description": "x" * 501},
        {"url": "ftp://example.com"},
        {"member_id": "somebody"},
    ],
)
async def test_what_makes_no_sense_is_refused(changes: dict) -> None:
    house = HookHouse()
    endpoint = (await house.endpoints.create(caller(), URL)).endpoint
    with pytest.raises(Malformed):
        await house.endpoints.update(caller(), endpoint.id, changes)
    assert await house.stored(endpoint) == endpoint


async def test_unknown_dialects_and_signatures_are_refused() -> None:
    house = HookHouse()
    with pytest.raises(Malformed):
        await house.endpoints.create(caller(), URL, dialect="klingon")
    with pytest.raises(Malformed):
        await house.endpoints.create(caller(), URL, scheme="vapi")
    assert house.blobs.objects == {}


async def test_endpoints_are_those_of_a_workspace_and_for_those_with_the_scope() -> None:
    house = HookHouse()
    endpoint = (await house.endpoints.create(caller(), URL)).endpoint
    with pytest.raises(Missing):
        await house.endpoints.get(caller(workspace="other"), endpoint.id)
    with pytest.raises(Missing):
        await house.endpoints.delete(caller(workspace="other"), endpoint.id)
    with pytest.raises(Refused):
        await house.endpoints.get(caller("recordings:read"), endpoint.id)
    with pytest.raises(NotAuthenticated):
        await house.endpoints.create(Caller(None), URL)
    assert (await house.endpoints.find(caller(workspace="other"), Place())).items == []
    assert (await house.endpoints.find(caller(), Place())).items == [endpoint]
    assert (await house.endpoints.find(caller(), Place(), dialect="vapi")).items == []


async def test_a_deleted_endpoint_leaves_no_secret_and_what_waited_for_it_is_dropped() -> None:
    house = HookHouse()
    async with receiving(reply=lambda received: Reply(500)) as receiver, house.working():
        endpoint = (await house.endpoints.create(caller(), receiver.url())).endpoint
        await house.tell("a.b")
        await house.settled()
        await house.endpoints.delete(caller(), endpoint.id)
        house.clock.advance(10)
        await house.settled()
    assert len(receiver.received) == 1
    assert house.blobs.objects == {}
    assert await house.store.find(Query(StoredObject).by("key")) == []
    assert await house.log(endpoint) == []


async def test_every_act_is_audited_and_none_tells_a_secret() -> None:
    house = HookHouse()
    made = await house.endpoints.create(caller(), URL)
    rotated = await house.endpoints.rotate(caller(), made.endpoint.id)
    await house.endpoints.update(caller(), made.endpoint.id, {"enabled": False})
    await house.endpoints.delete(caller(), made.endpoint.id)
    entries = await audited(house.store)
    actions = [entry.action for entry in entries]
    assert actions == ["webhooks.create", "webhooks.rotate", "webhooks.update", "webhooks.delete"]
    assert made.secret not in repr(entries)
    assert rotated.secret not in repr(entries)


async def test_a_workspace_has_a_bounded_number_of_endpoints() -> None:
    house = HookHouse()
    unit = Unit()
    facts = {"workspace_id": "w", "member_id": "m", "url": URL, "created_ms": 0, "updated_ms": 0}
    unit.add(*(WebhookEndpoint(id=str(n), **facts) for n in range(MOST_ENDPOINTS)))
    await house.store.commit(unit)
    with pytest.raises(TooLarge):
        await house.endpoints.create(caller(), URL)


async def test_a_secret_that_could_not_be_written_down_is_destroyed_again() -> None:
    store = StubbornStore()
    house = HookHouse(store=store)
    endpoint = (await house.endpoints.create(caller(), URL)).endpoint
    store.stubborn = 1000
    with pytest.raises(StaleWrite):
        await house.endpoints.rotate(caller(), endpoint.id)
    assert list(house.blobs.objects) == [endpoint.secrets[0].object_key]


async def test_a_secret_can_be_told_again_to_who_manages_webhooks_and_the_audit_says_so() -> None:
    house = HookHouse()
    made = await house.endpoints.create(caller(), URL)
    assert await house.endpoints.secret(caller(), made.endpoint.id) == made.secret
    newer = await house.endpoints.rotate(caller(), made.endpoint.id)
    assert await house.endpoints.secret(caller(), made.endpoint.id) == newer.secret
    await house.audit.flush()
    entries = [e for e in await audited(house.store) if e.action == "webhooks.read_secret"]
    assert [entry.thing for entry in entries] == [f"webhook_endpoint:{made.endpoint.id}"] * 2
    with pytest.raises(Refused):
        await house.endpoints.secret(caller("recordings:read"), made.endpoint.id)
    with pytest.raises(Missing):
        await house.endpoints.secret(caller(workspace="other"), made.endpoint.id)


async def test_a_message_can_be_tried_out_at_once_and_its_answer_is_told() -> None:
    house = HookHouse()
    async with receiving(reply=lambda received: Reply(418, b"short and stout")) as receiver:
        made = await house.endpoints.create(caller(), receiver.url())
        answer = await house.endpoints.send(caller(), made.endpoint.id, b'{"test":true}')
    assert (answer.status, answer.body) == (418, b"short and stout")
    (received,) = receiver.received
    assert received.body == b'{"test":true}' and valid(made.secret, received)
