"""Workspaces and the keys to them."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.audits import audited
from tests.webhouse import WebHouse, webhouse

from callvault.domain.access import OPERATOR, Caller
from callvault.domain.errors import AlreadyThere, Malformed, Missing, NotAuthenticated, Refused
from callvault.domain.query import Query
from callvault.domain.workspace import SCOPES, ApiKey, Member, WorkspaceKey
from callvault.services.workspaces import WorkspaceSettings


@pytest.fixture
async def house() -> AsyncIterator[WebHouse]:
    async with webhouse(parts=[], link_seconds_max=600) as made:
        yield made


async def caller(house: WebHouse, *scopes: str, **more: Any) -> Caller:
    return Caller(await house.services.access.authenticate(await house.key(*scopes, **more)))


async def acts(house: WebHouse) -> list[str]:
    return [entry.action for entry in await audited(house.services.store)]


async def test_a_workspace_is_made_with_an_encryption_key_and_the_operators_defaults(house: WebHouse) -> None:
    workspace = await house.services.workspaces.create(OPERATOR, "acme", {"hipaa": True})
    assert (workspace.name, workspace.hipaa, workspace.link_seconds_max) == ("acme", True, 600)
    (key,) = await house.services.store.find(Query(WorkspaceKey).where("workspace_id", "=", workspace.id))
    assert len(house.adapters.master.unwrap(key.wrapped, workspace.id)) == 32
    assert await acts(house) == ["workspace.create"]


async def test_a_name_is_taken_once(house: WebHouse) -> None:
    await house.workspace("acme")
    other = await house.workspace("other")
    with pytest.raises(AlreadyThere):
        await house.services.workspaces.create(OPERATOR, "acme")
    with pytest.raises(AlreadyThere):
        await house.services.workspaces.set(OPERATOR, other.id, {"name": "acme"})


async def test_no_key_makes_or_lists_workspaces(house: WebHouse) -> None:
    everything = await caller(house)
    with pytest.raises(Missing):
        await house.services.workspaces.create(everything, "other")
    with pytest.raises(Missing):
        await house.services.workspaces.page(everything)
    with pytest.raises(Missing):
        await house.services.workspaces.named(everything, "acme")


async def test_a_key_sets_its_own_workspace_with_the_scope_for_it(house: WebHouse) -> None:
    workspace = await house.workspace()
    manager = await caller(house, "workspace:manage")
    after = await house.services.workspaces.set(manager, workspace.id, {"retention_days": 30, "delivery": "bucket"})
    assert (after.retention_days, after.delivery) == (30, "bucket")
    assert await house.services.workspaces.get(manager, workspace.id) == after
    with pytest.raises(Refused):
        await house.services.workspaces.set(await caller(house, "keys:manage"), workspace.id, {"retention_days": 1})
    other = await house.workspace("other")
    with pytest.raises(Missing):
        await house.services.workspaces.set(manager, other.id, {"retention_days": 1})


async def test_workspaces_come_by_name_in_pages(house: WebHouse) -> None:
    for name in ("c", "a", "b"):
        await house.workspace(name)
    first = await house.services.workspaces.page(OPERATOR, limit=2)
    rest = await house.services.workspaces.page(OPERATOR, (first[-1].name, first[-1].id))
    assert [workspace.name for workspace in (*first, *rest)] == ["a", "b", "c"]


async def test_a_hipaa_workspace_opens_nothing_without_a_key(house: WebHouse) -> None:
    workspace = await house.workspace("open", public_recordings=True)
    closed = await house.services.workspaces.set(OPERATOR, workspace.id, {"hipaa": True})
    assert not closed.public_recordings
    with pytest.raises(Refused, match="HIPAA"):
        await house.services.workspaces.set(OPERATOR, workspace.id, {"public_recordings": True})


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "a\nb"},
        {"name": "x" * 101},
        {"delivery": "pigeon"},
        {"link_seconds_max": 0},
        {"idle_complete_seconds": 1},
        {"retention_days": 0},
    ],
)
async def test_what_cannot_be_is_refused_by_name(house: WebHouse, wrong: WorkspaceSettings) -> None:
    workspace = await house.workspace()
    with pytest.raises(Malformed, match=next(iter(wrong))):
        await house.services.workspaces.set(OPERATOR, workspace.id, wrong)


async def test_a_key_is_told_once_and_kept_as_a_digest(house: WebHouse) -> None:
    workspace = await house.workspace()
    made = await house.services.keys.create(OPERATOR, workspace.id, member_id="ann", label="laptop")
    assert len(made.key) >= 16
    assert made.key not in repr(made)
    stored = await house.services.store.get(ApiKey, made.row.id)
    assert stored == made.row
    assert made.key.split("_")[2] not in repr(stored)
    assert stored.scopes == SCOPES
    assert await house.services.store.get(Member, workspace.id, "ann")
    assert await acts(house) == ["workspace.create", "keys.create"]


async def test_a_key_without_a_member_acts_as_one_of_its_own(house: WebHouse) -> None:
    made = await house.services.keys.create(OPERATOR, (await house.workspace()).id)
    assert made.row.member_id == made.row.id


async def test_a_public_key_can_announce_calls_and_no_more(house: WebHouse) -> None:
    made = await house.services.keys.create(OPERATOR, (await house.workspace()).id, kind="public")
    assert (made.row.kind, made.row.scopes) == ("public", ("recordings:write",))


async def test_nobody_gives_what_they_do_not_have(house: WebHouse) -> None:
    workspace = await house.workspace()
    manager = await caller(house, "keys:manage", "recordings:read")
    made = await house.services.keys.create(manager, workspace.id)
    assert set(made.row.scopes) == {"keys:manage", "recordings:read"}
    with pytest.raises(Refused, match="recordings:original"):
        await house.services.keys.create(manager, workspace.id, scopes=["recordings:original"])


async def test_a_key_for_another_member_is_made_by_those_who_manage_the_workspace(house: WebHouse) -> None:
    workspace = await house.workspace()
    keys = await caller(house, "keys:manage", member_id="ann")
    assert (await house.services.keys.create(keys, workspace.id, member_id="ann")).row.member_id == "ann"
    with pytest.raises(Refused, match="workspace:manage"):
        await house.services.keys.create(keys, workspace.id, member_id="bob")
    both = await caller(house, "keys:manage", "workspace:manage")
    assert (await house.services.keys.create(both, workspace.id, member_id="bob")).row.member_id == "bob"


async def test_keys_of_what_is_not_there_or_not_ours_are_not_made(house: WebHouse) -> None:
    manager, other = await caller(house), await house.workspace("other")
    with pytest.raises(Missing):
        await house.services.keys.create(manager, other.id)
    with pytest.raises(Missing):
        await house.services.keys.create(OPERATOR, "nowhere")
    with pytest.raises(Malformed, match="there is no recordings:fly"):
        await house.services.keys.create(OPERATOR, other.id, scopes=["recordings:fly"])
    with pytest.raises(Malformed):
        await house.services.keys.create(OPERATOR, other.id, kind="golden")


async def test_keys_are_listed_newest_first_in_pages(house: WebHouse) -> None:
    workspace, made = await house.workspace(), []
    for _ in range(3):
        house.clock.advance(1)
        made.append((await house.services.keys.create(OPERATOR, workspace.id)).row)
    first = await house.services.keys.page(OPERATOR, workspace.id, limit=2)
    rest = await house.services.keys.page(OPERATOR, workspace.id, (first[-1].created_ms, first[-1].id))
    assert [*first, *rest] == made[::-1]


async def test_revoking_is_for_those_who_manage_keys_and_can_be_repeated(house: WebHouse) -> None:
    key = await house.key()
    principal = await house.services.access.authenticate(key)
    with pytest.raises(Refused):
        await house.services.keys.revoke(await caller(house, "recordings:read"), principal.key_id)
    with pytest.raises(Missing):
        await house.services.keys.revoke(await caller(house, workspace="other"), principal.key_id)
    first = await house.services.keys.revoke(OPERATOR, principal.key_id)
    house.clock.advance(60)
    assert (await house.services.keys.revoke(OPERATOR, principal.key_id)).revoked_ms == first.revoked_ms
    with pytest.raises(NotAuthenticated):
        await house.services.access.authenticate(key)
    with pytest.raises(Missing):
        await house.services.keys.revoke(OPERATOR, "nothing")
