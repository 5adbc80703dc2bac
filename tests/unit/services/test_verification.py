"""Database against storage, and every object against its digest."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.webhouse import WebHouse, webhouse

from callvault.adapters.blobs.memory import MemoryBlobs
from callvault.adapters.blobs.sealed import SealedBlobs
from callvault.domain.query import Query
from callvault.domain.stored import Artifact, StoredObject
from callvault.domain.unit import Unit
from callvault.domain.workspace import WorkspaceKey
from callvault.services.verification import Verification


class House:
    def __init__(self, made: WebHouse) -> None:
        self.made, self.services = made, made.services
        self.bare = MemoryBlobs()
        self.blobs = SealedBlobs(self.bare, made.adapters.keyring)
        services = made.services
        self.verification = Verification(services.store, self.blobs, services.sealing, services.audit_trail)

    async def put(self, key: str, sound: bytes = b"sound" * 1000) -> StoredObject:
        workspace = await self.made.workspace()
        await self.services.sealing.ensure(workspace.id)
        stored = self.blobs.put(f"{workspace.id}/{key}", [sound], workspace_id=workspace.id)
        await self.commit(stored)
        return stored

    async def commit(self, *rows: object) -> None:
        unit = Unit()
        unit.put(*rows)
        await self.services.store.commit(unit)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with webhouse(parts=[]) as made:
        yield House(made)


async def test_what_is_whole_is_counted_and_nothing_else_is_said(house: House) -> None:
    stored = [await house.put(f"r/{n}") for n in range(3)]
    report = await house.verification.storage()
    assert report.whole
    assert (report.objects, report.size) == (3, sum(obj.size for obj in stored))
    assert report.unclaimed == []


async def test_an_object_that_is_gone_is_missing(house: House) -> None:
    stored = await house.put("r/1")
    house.bare.delete(stored.key)
    report = await house.verification.storage()
    assert (report.missing, report.corrupt) == ([stored.key], [])
    assert not report.whole


async def test_an_object_that_was_changed_is_corrupt(house: House) -> None:
    flipped, cut, swapped = [await house.put(f"r/{n}", bytes([n]) * 5000) for n in range(3)]
    flipped_bytes = bytearray(house.bare.objects[flipped.key])
    flipped_bytes[100] ^= 1
    house.bare.objects[flipped.key] = bytes(flipped_bytes)
    house.bare.objects[cut.key] = house.bare.objects[cut.key][:-1]
    await house.commit(replace(swapped, sha256="0" * 64))
    report = await house.verification.storage()
    assert sorted(report.corrupt) == sorted([flipped.key, cut.key, swapped.key])


async def test_an_object_whose_key_is_not_to_be_had_is_unreadable(house: House) -> None:
    stored = await house.put("r/1")
    assert stored.sealing
    await house.commit(replace(stored, sealing="another" + stored.sealing[7:]))
    report = await house.verification.storage()
    assert (report.unreadable, report.corrupt) == ([stored.key], [])


async def test_a_row_that_refers_to_no_object_is_dangling(house: House) -> None:
    stored = await house.put("r/1")
    facts = {"recording_id": "r", "workspace_id": "w", "media_type": "video/mp4", "size": 1, "created_ms": 0}
    await house.commit(
        Artifact(kind="video", object_key="w/nowhere", **facts), Artifact(kind="pcap", object_key=stored.key, **facts)
    )
    report = await house.verification.storage()
    assert (report.references, report.dangling) == (2, ["artifact r w/nowhere"])


async def test_an_object_that_no_row_names_is_unclaimed_and_harms_nothing(house: House) -> None:
    await house.put("r/1")
    house.bare.put("w/stray", [b"x"])
    house.bare.put("check/probe", [b"x"])
    report = await house.verification.storage()
    assert (report.unclaimed, report.whole) == (["w/stray"], True)


async def test_many_objects_are_looked_at_page_by_page(house: House) -> None:
    for n in range(1_200):
        await house.put(f"r/{n:04}", b"x")
    house.bare.put("w/stray", [b"x"])
    report = await house.verification.storage()
    assert (report.objects, report.unclaimed, report.whole) == (1_200, ["w/stray"], True)


async def test_every_workspaces_chain_is_walked(house: House) -> None:
    for name in ("a", "b"):
        await house.made.workspace(name)
    chains = {workspace.name: report async for workspace, report in house.verification.chains()}
    assert {name: (report.entries, report.broken_seq) for name, report in chains.items()} == {
        "a": (1, None),
        "b": (1, None),
    }


async def test_objects_sealed_by_a_key_before_the_last_are_whole(house: House) -> None:
    stored = await house.put("r/1")
    workspace = await house.made.workspace()
    await house.commit(house.services.sealing.new_workspace_key(workspace.id))
    keys = await house.services.store.count(Query(WorkspaceKey))
    assert keys == 2
    assert stored.sealing
    assert (await house.verification.storage()).whole
