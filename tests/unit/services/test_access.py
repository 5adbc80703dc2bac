"""Who bears a key, and the question before every act."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests import audits
from tests.webhouse import WebHouse, webhouse

from callvault.adapters.store.memory import MemoryStore
from callvault.domain.access import Action, Caller, Principal, Thing
from callvault.domain.audit import AuditEntry
from callvault.domain.errors import Missing, NotAuthenticated, Refused, StoreUnavailable
from callvault.domain.query import Query
from callvault.domain.unit import Unit
from callvault.domain.workspace import ApiKey, Workspace
from callvault.services.access import REMEMBER_SECONDS, Access
from callvault.services.audit import Audit


@pytest.fixture
async def house() -> AsyncIterator[WebHouse]:
    async with webhouse(parts=[]) as made:
        yield made


class CountingStore(MemoryStore):
    reads = 0

    async def find(self, query):  # type: ignore[no-untyped-def]
        self.reads += 1
        return await super().find(query)


async def audited(house: WebHouse) -> list[AuditEntry]:
    await house.services.audit.flush()
    return await audits.audited(house.services.store)


async def test_a_key_lets_its_bearer_in(house: WebHouse) -> None:
    workspace = await house.workspace()
    principal = await house.services.access.authenticate(await house.key("chats:read", member_id="ann"))
    assert (principal.workspace_id, principal.member_id, principal.kind) == (workspace.id, "ann", "private")
    assert principal.scopes == {"chats:read"}


@pytest.mark.parametrize(
    "presented",
    [None, "", "cvk_", "nonsense", "cvk_abcdefgh_tooshort", f"cvk_abcdefgh_{'x' * 500}", "cvk_äbcdefgh_" + "x" * 33],
)
async def test_what_is_no_key_lets_nobody_in(house: WebHouse, presented: str | None) -> None:
    with pytest.raises(NotAuthenticated):
        await house.services.access.authenticate(presented)


async def test_a_key_that_nobody_made_lets_nobody_in(house: WebHouse) -> None:
    with pytest.raises(NotAuthenticated):
        await house.services.access.authenticate("cvk_abcdefgh_" + "x" * 33)


async def test_a_wrong_secret_is_refused_and_audited(house: WebHouse) -> None:
    key = await house.key()
    forged = key[:-1] + ("a" if key[-1] != "a" else "b")
    for _ in range(2):
        with pytest.raises(NotAuthenticated):
            await house.services.access.authenticate(forged, address="198.51.100.7", request_id="r1")
    last = (await audited(house))[-1]
    assert (last.action, last.outcome, last.detail) == ("keys.use", "refused", {"why": "wrong"})
    assert (last.address, last.request_id, last.actor) == ("198.51.100.7", "r1", "nobody")
    assert await house.services.access.authenticate(key)


async def test_a_key_ends_when_it_expires(house: WebHouse) -> None:
    key = await house.key(expires_ms=house.clock.now_ms() + 1000)
    assert await house.services.access.authenticate(key)
    house.clock.advance(1)
    with pytest.raises(NotAuthenticated):
        await house.services.access.authenticate(key)


async def test_a_clock_that_jumps_ends_keys_by_the_time_it_tells_and_no_others(house: WebHouse) -> None:
    key = await house.key(expires_ms=house.clock.now_ms() + 3_600_000)
    forever = await house.key()
    for seconds, valid in ((7200, False), (-7200, True), (-86_400, True), (2 * 86_400, False)):
        house.clock.advance(seconds)
        assert await house.services.access.authenticate(forever)
        if valid:
            assert await house.services.access.authenticate(key)
        else:
            with pytest.raises(NotAuthenticated):
                await house.services.access.authenticate(key)


async def test_a_revoked_key_ends_at_once_where_it_was_revoked(house: WebHouse) -> None:
    key = await house.key()
    principal = await house.services.access.authenticate(key)
    manager = Caller(replace(principal, key_id="other"))
    await house.services.keys.revoke(manager, principal.key_id)
    with pytest.raises(NotAuthenticated):
        await house.services.access.authenticate(key)


async def test_a_revoked_key_ends_within_seconds_in_other_processes(house: WebHouse) -> None:
    key = await house.key()
    services = house.services
    elsewhere = Access(services.store, house.clock, Audit(services.store, house.clock))
    principal = await elsewhere.authenticate(key)
    await services.keys.revoke(Caller(principal), principal.key_id)
    assert await elsewhere.authenticate(key)
    house.clock.advance(REMEMBER_SECONDS + 0.1)
    with pytest.raises(NotAuthenticated):
        await elsewhere.authenticate(key)


async def test_a_key_revoked_while_it_is_looked_up_is_not_remembered(house: WebHouse) -> None:
    key = await house.key()

    class SlowStore(MemoryStore):
        """Answers with what was there before the revocation."""

        async def find(self, query):  # type: ignore[no-untyped-def]
            found = await house.services.store.find(query)
            read.set()
            await go_on.wait()
            return found

        async def get(self, kind, *key):  # type: ignore[no-untyped-def]
            return await house.services.store.get(kind, *key)

    read, go_on = asyncio.Event(), asyncio.Event()
    access = Access(SlowStore(), house.clock, house.services.audit)
    first = asyncio.create_task(access.authenticate(key))
    await read.wait()
    principal = await house.services.access.authenticate(key)
    access.forget(await house.services.keys.revoke(Caller(principal), principal.key_id))
    go_on.set()
    await first
    with pytest.raises(NotAuthenticated):
        await access.authenticate(key)


async def test_a_known_key_is_not_looked_up_again_and_few_are_remembered(house: WebHouse) -> None:
    keys = [await house.key() for _ in range(4)]
    store = CountingStore()
    unit = Unit()
    unit.add(*await house.services.store.find(Query(ApiKey).by("id")))
    unit.add(*await house.services.store.find(Query(Workspace).by("id")))
    await store.commit(unit)
    access = Access(store, house.clock, house.services.audit, remember_most=2)
    for _ in range(3):
        await access.authenticate(keys[0])
    assert store.reads == 1
    for key in keys:
        await access.authenticate(key)
    assert store.reads == 4
    await access.authenticate(keys[0])
    assert store.reads == 5


async def test_a_key_of_a_deleted_workspace_lets_nobody_in(house: WebHouse) -> None:
    key, workspace = await house.key(), await house.workspace()
    unit = Unit()
    unit.change(replace(workspace, deleted_ms=1, version=workspace.version + 1))
    await house.services.store.commit(unit)
    with pytest.raises(NotAuthenticated):
        await house.services.access.authenticate(key)


async def test_when_a_key_was_last_used_is_written_down_to_the_minute(house: WebHouse) -> None:
    key = await house.key()
    principal = await house.services.access.authenticate(key)
    await house.services.access.write_uses()
    stored = await house.services.store.get(ApiKey, principal.key_id)
    assert stored is not None
    assert stored.last_used_ms == house.clock.now_ms()
    await house.services.keys.revoke(Caller(principal), principal.key_id)
    await house.services.access.write_uses()
    after = await house.services.store.get(ApiKey, principal.key_id)
    assert after is not None
    assert after.revoked_ms is not None


PRINCIPAL = Principal("k", "w", "m", frozenset({"recordings:read"}))
CALLER = Caller(PRINCIPAL, "198.51.100.7", "r1")


async def test_what_is_allowed_is_not_audited_here(house: WebHouse) -> None:
    house.services.access.require(CALLER, Action.LISTEN, Thing("w"), "recording:7")
    assert await audited(house) == []


async def test_another_workspaces_thing_is_missing_and_the_attempt_is_audited(house: WebHouse) -> None:
    with pytest.raises(Missing, match="no such recording"):
        house.services.access.require(CALLER, Action.LISTEN, Thing("x"), "recording:7")
    (entry,) = await audited(house)
    assert (entry.workspace_id, entry.thing, entry.outcome) == ("w", "recording:7", "refused")
    assert entry.detail == {"verdict": "hidden"}


async def test_a_refusal_says_what_is_lacking_and_is_audited(house: WebHouse) -> None:
    with pytest.raises(Refused, match="lacks the scope recordings:delete"):
        house.services.access.require(CALLER, Action.DELETE_RECORDING, Thing("w"), "recording:7")
    with pytest.raises(Refused, match="participants alone"):
        house.services.access.require(CALLER, Action.LISTEN, Thing("w", ("ann",)), "recording:7")
    public = CALLER._replace(principal=replace(PRINCIPAL, kind="public"))
    with pytest.raises(Refused, match="use a private one"):
        house.services.access.require(public, Action.LISTEN, Thing("w"), "recording:7")
    assert [entry.action for entry in await audited(house)] == [
        "recordings.delete",
        "recordings.listen",
        "recordings.listen",
    ]


async def test_nobody_is_asked_for_a_key_first(house: WebHouse) -> None:
    with pytest.raises(NotAuthenticated):
        house.services.access.require(Caller(None), Action.LISTEN, Thing("w"), "recording:7")
    with pytest.raises(NotAuthenticated):
        house.services.access.permit(Caller(None), Action.LISTEN)


async def test_a_key_is_permitted_what_any_of_its_scopes_is_for(house: WebHouse) -> None:
    assert house.services.access.permit(CALLER, Action.HOLD, Action.LISTEN) == PRINCIPAL
    with pytest.raises(Refused, match="recordings:hold"):
        house.services.access.permit(CALLER, Action.HOLD, Action.SHARE)


async def test_nothing_is_done_unaudited_when_the_audit_is_full(house: WebHouse) -> None:
    services = house.services
    access = Access(services.store, house.clock, Audit(services.store, house.clock, most_waiting=1))
    for expected in (Refused, StoreUnavailable):
        with pytest.raises(expected):
            access.require(CALLER, Action.HOLD, Thing("w"), "recording:7")
