"""Keys are exchanged and destroyed while others read and write, and nothing but what should be becomes unreadable."""

from base64 import b64decode
from collections.abc import Sequence
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from tests.audits import audited
from tests.fakes import FakeClock, FakeIds
from tests.specimens import specimen

from callvault.adapters.blobs.memory import MemoryBlobs
from callvault.adapters.blobs.sealed import SealedBlobs
from callvault.adapters.keys.master import KeyBytes, MasterKeys
from callvault.adapters.keys.memory import MemoryKeyring
from callvault.adapters.store.memory import MemoryStore
from callvault.domain.access import OPERATOR, Caller, Principal
from callvault.domain.errors import KeyUnavailable, Malformed, Missing, OnHold, StoreUnavailable
from callvault.domain.lane import OpenSpool
from callvault.domain.query import Query
from callvault.domain.recording import Recording
from callvault.domain.stored import StoredObject
from callvault.domain.unit import Unit
from callvault.domain.workspace import Workspace, WorkspaceKey
from callvault.services.access import Access
from callvault.services.audit import Audit
from callvault.services.sealing import GRACE_SECONDS, LEARN_AGAIN_SECONDS, Sealing

OLD_MASTER, NEW_MASTER = KeyBytes(b"o" * 32), KeyBytes(b"n" * 32)


class FailingStore(MemoryStore):
    """Takes no more than so many units, as if the process had been killed then."""

    left = 1_000_000

    async def commit(self, unit: Unit) -> None:
        if self.left == 0:
            raise StoreUnavailable(why="killed")
        self.left -= 1
        await super().commit(unit)


class Process:
    """One of several over the same store and storage."""

    def __init__(self, store: MemoryStore, storage: MemoryBlobs, clock: FakeClock, ids: FakeIds, master=OLD_MASTER):
        self.store, self.clock = store, clock
        self.keyring = MemoryKeyring(master)
        self.blobs = SealedBlobs(storage, self.keyring)
        audit = Audit(store, clock)
        access = Access(store, clock, audit)
        self.sealing = Sealing(store, self.keyring, master, clock=clock, ids=ids, audit=audit, access=access)

    async def put(self, name: str, sound: bytes = b"sound") -> StoredObject:
        await self.sealing.ensure("w")
        obj = self.blobs.put(f"w/{name}", [sound], workspace_id="w")
        unit = Unit()
        unit.add(obj)
        await self.store.commit(unit)
        return obj

    async def read(self, obj: StoredObject) -> bytes:
        await self.sealing.ensure("w", [obj])
        return self.blobs.read(obj)


class Town:
    def __init__(self) -> None:
        self.store, self.storage, self.clock, self.ids = FailingStore(), MemoryBlobs(), FakeClock(), FakeIds()
        self.one, self.two = self.process(), self.process()

    def process(self, master=OLD_MASTER) -> Process:
        return Process(self.store, self.storage, self.clock, self.ids, master)

    async def rows(self) -> Sequence[StoredObject]:
        return await self.store.find(Query(StoredObject).by("key"))

    async def keys(self) -> Sequence[WorkspaceKey]:
        return await self.store.find(Query(WorkspaceKey).by("created_ms", "id"))

    async def add(self, *entities: object) -> None:
        unit = Unit()
        unit.add(*entities)
        await self.store.commit(unit)

    async def sealed_by(self) -> set[str]:
        return {(row.sealing or "").partition(".")[0] for row in await self.rows()}


@pytest.fixture
async def town() -> Town:
    town = Town()
    await town.add(Workspace(id="w", name="w", created_ms=0), town.one.sealing.new_workspace_key("w"))
    return town


@pytest.fixture(scope="module")
def customer() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def pem(key: rsa.RSAPrivateKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


async def test_what_one_process_seals_another_opens(town: Town) -> None:
    obj = await town.one.put("a", b"sealed by one")
    assert await town.two.read(obj) == b"sealed by one"
    assert b"sealed" not in town.storage.objects["w/a"]


async def test_without_its_keys_loaded_a_workspace_seals_nothing(town: Town) -> None:
    with pytest.raises(KeyUnavailable):
        town.one.blobs.put("w/a", [b"x"], workspace_id="w")
    assert town.storage.objects == {}


async def test_keys_once_loaded_cost_no_question_to_the_store(town: Town) -> None:
    obj = await town.one.put("a")
    town.one.sealing._store = None
    await town.one.sealing.ensure("w", [obj])


async def test_a_rotation_wraps_every_data_key_anew_and_writes_no_object(town: Town) -> None:
    old = [await town.one.put(f"{n:04}", b"sound %d" % n) for n in range(1_100)]
    before = dict(town.storage.objects)
    [first] = await town.keys()
    done = await town.one.sealing.rotate(OPERATOR, "w")
    assert (done.objects, done.broken) == (1_100, [])
    assert town.storage.objects == before
    retired, newest = await town.keys()
    assert (retired.id, retired.retired_ms) == (first.id, town.clock.now_ms())
    assert await town.sealed_by() == {newest.id}
    for was, now in zip(old[::100], (await town.rows())[::100], strict=True):
        assert was.sealing != now.sealing
        assert await town.one.read(was) == await town.one.read(now) == await town.two.read(now)


async def test_readers_with_old_rows_are_not_disturbed_until_the_old_key_is_destroyed(town: Town) -> None:
    old = await town.two.put("a", b"still heard")
    await town.one.sealing.rotate(OPERATOR, "w")
    for seconds in (0, 1, LEARN_AGAIN_SECONDS, GRACE_SECONDS - LEARN_AGAIN_SECONDS - 2):
        town.clock.advance(seconds)
        await town.one.sealing.settle()
        assert await town.one.read(old) == await town.two.read(old) == b"still heard"
    town.clock.advance(2)
    await town.one.sealing.settle()
    assert len(await town.keys()) == 1
    with pytest.raises(KeyUnavailable):
        await town.one.read(old)
    [fresh] = await town.rows()
    assert await town.one.read(fresh) == await town.two.read(fresh) == b"still heard"


async def test_a_writer_that_still_wrapped_by_the_old_key_is_caught(town: Town) -> None:
    await town.two.put("a")
    await town.one.sealing.rotate(OPERATOR, "w")
    raced = await town.two.put("b", b"raced")
    [old, new] = await town.keys()
    assert (raced.sealing or "").startswith(old.id)
    town.clock.advance(GRACE_SECONDS)
    assert (await town.one.sealing.settle()).objects == 1
    assert await town.sealed_by() == {new.id}
    assert [key.id for key in await town.keys()] == [new.id]
    rows = await town.rows()
    assert await town.two.read(rows[1]) == b"raced"


async def test_within_a_minute_every_process_seals_by_the_new_key(town: Town) -> None:
    await town.two.put("a")
    await town.one.sealing.rotate(OPERATOR, "w")
    town.clock.advance(LEARN_AGAIN_SECONDS)
    obj = await town.two.put("b")
    assert (obj.sealing or "").startswith((await town.keys())[-1].id)


@pytest.mark.parametrize("units", range(5))
async def test_a_rotation_that_was_cut_off_anywhere_goes_on(town: Town, units: int) -> None:
    objects = [await town.one.put(f"{n:04}", b"%d" % n) for n in range(1_100)]
    town.store.left = units
    with pytest.raises(StoreUnavailable):
        await town.one.sealing.rotate(OPERATOR, "w")
    town.store.left = 1_000
    other = town.process()
    for row in (await town.rows())[::99]:
        assert await other.read(row) == b"%d" % int(row.key.removeprefix("w/"))
    await other.sealing.rotate(OPERATOR, "w")
    old, new = await town.keys()
    assert (old.retired_ms is not None, new.retired_ms) == (True, None)
    assert await town.sealed_by() == {new.id}
    assert await other.read(objects[-1]) == b"1099"


async def test_an_object_deleted_in_the_middle_of_a_rotation_stays_deleted(town: Town) -> None:
    for n in range(4):
        await town.one.put(str(n))
    commit, deleted = town.store.commit, []

    async def deleting(unit: Unit) -> None:
        if not deleted and any(isinstance(write.entity, StoredObject) for write in unit.writes):
            deleted.append(True)
            removal = Unit()
            removal.remove((await town.rows())[2])
            await commit(removal)
        await commit(unit)

    town.store.commit = deleting  # type: ignore[method-assign]
    assert (await town.one.sealing.rotate(OPERATOR, "w")).objects == 3
    assert [row.key for row in await town.rows()] == ["w/0", "w/1", "w/3"]
    assert await town.sealed_by() == {(await town.keys())[-1].id}


async def test_while_a_data_key_does_not_open_no_key_retires(town: Town) -> None:
    await town.one.put("good", b"good")
    broken = await town.one.put("broken")
    unit = Unit()
    unit.change(replace(broken, sealing=(broken.sealing or "")[:-4] + "AAA="))
    await town.store.commit(unit)
    done = await town.one.sealing.rotate(OPERATOR, "w")
    assert (done.objects, done.broken) == (1, ["w/broken"])
    assert [key.retired_ms for key in await town.keys()] == [None, None]


async def test_a_retired_key_stays_while_a_spool_may_be_sealed_under_it(town: Town) -> None:
    await town.one.put("a")
    spool = OpenSpool(recording_id="r", node="n", workspace_id="w", opened_ms=town.clock.now_ms())
    await town.add(spool)
    await town.one.sealing.rotate(OPERATOR, "w")
    town.clock.advance(10 * GRACE_SECONDS)
    await town.one.sealing.settle()
    assert len(await town.keys()) == 2
    unit = Unit()
    unit.remove(spool)
    unit.add(replace(spool, recording_id="later", opened_ms=town.clock.now_ms()))
    await town.store.commit(unit)
    await town.one.sealing.settle()
    assert len(await town.keys()) == 1


async def test_the_master_key_is_exchanged_under_running_processes(town: Town) -> None:
    obj = await town.one.put("a", b"heard on")
    await town.add(town.one.sealing.new_workspace_key("other"))
    both = MasterKeys([NEW_MASTER, OLD_MASTER])
    running = town.process(both)
    sealing_before = (await town.rows())[0].sealing
    assert await running.sealing.rotate_master(OPERATOR, both) == 2
    assert {key.master_key_id for key in await town.keys()} == {NEW_MASTER.id}
    assert (await town.rows())[0].sealing == sealing_before
    assert await running.read(obj) == await town.process(NEW_MASTER).read(obj) == b"heard on"
    with pytest.raises(KeyUnavailable, match=NEW_MASTER.id):
        await town.process(OLD_MASTER).read(obj)


async def test_an_exchange_of_the_master_key_that_was_cut_off_goes_on(town: Town) -> None:
    await town.add(*(town.one.sealing.new_workspace_key(f"w{n}") for n in range(450)))
    both = town.process(MasterKeys([NEW_MASTER, OLD_MASTER]))
    town.store.left = 1
    with pytest.raises(StoreUnavailable):
        await both.sealing.rotate_master(OPERATOR, NEW_MASTER)
    town.store.left = 1_000
    for workspace in ("w", "w0", "w449"):
        await both.sealing.ensure(workspace)
    assert await both.sealing.rotate_master(OPERATOR, NEW_MASTER) == 251
    assert await both.sealing.rotate_master(OPERATOR, NEW_MASTER) == 0


async def test_a_wrong_master_key_is_noticed_and_changes_nothing(town: Town) -> None:
    obj = await town.one.put("a")
    wrong = town.process(NEW_MASTER)
    with pytest.raises(KeyUnavailable, match=f"master key {OLD_MASTER.id} wrapped it, this is {NEW_MASTER.id}"):
        await wrong.read(obj)
    with pytest.raises(KeyUnavailable):
        await wrong.sealing.rotate(OPERATOR, "w")


async def test_destroying_the_keys_destroys_what_they_sealed(town: Town) -> None:
    obj = await town.one.put("a")
    await town.two.read(obj)
    await town.one.sealing.destroy(OPERATOR, "w")
    assert await town.keys() == []
    with pytest.raises(KeyUnavailable):
        await town.one.read(obj)
    with pytest.raises(KeyUnavailable):
        await town.one.put("b")
    town.clock.advance(LEARN_AGAIN_SECONDS)
    with pytest.raises(KeyUnavailable):
        await town.two.read(obj)


async def test_a_hold_keeps_the_keys(town: Town) -> None:
    await town.add(specimen(Recording, workspace_id="w", held=True))
    with pytest.raises(OnHold):
        await town.one.sealing.destroy(OPERATOR, "w")
    assert len(await town.keys()) == 1


async def test_with_a_customer_key_the_customer_opens_old_and_new_objects(
    town: Town, customer: rsa.RSAPrivateKey
) -> None:
    await town.one.put("before")
    done = await town.one.sealing.set_customer_key(OPERATOR, "w", pem(customer))
    await town.one.put("after")
    assert done.objects == 1
    oaep = padding.OAEP(padding.MGF1(SHA256()), SHA256(), None)
    for row in await town.rows():
        wrapped = b64decode((row.customer_sealing or "").partition(".")[2])
        assert customer.decrypt(wrapped, oaep) == town.one.keyring.unwrap("w", row.sealing or "", row.key)


async def test_a_process_that_did_not_know_the_customer_key_yet_is_caught_up_with(
    town: Town, customer: rsa.RSAPrivateKey
) -> None:
    await town.two.put("a")
    await town.one.sealing.set_customer_key(OPERATOR, "w", pem(customer))
    assert (await town.two.put("b")).customer_sealing is None
    town.clock.advance(GRACE_SECONDS)
    await town.one.sealing.settle()
    assert [bool(row.customer_sealing) for row in await town.rows()] == [True, True]
    assert len(await town.keys()) == 1


async def test_without_a_customer_key_nothing_is_left_for_the_customer(town: Town, customer: rsa.RSAPrivateKey) -> None:
    await town.one.sealing.set_customer_key(OPERATOR, "w", pem(customer))
    await town.one.put("a")
    await town.one.sealing.set_customer_key(OPERATOR, "w", None)
    assert [row.customer_sealing for row in await town.rows()] == [None]


@pytest.mark.parametrize("text", ["", "x", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"])
async def test_what_is_no_rsa_key_is_refused(town: Town, text: str) -> None:
    if text:
        with pytest.raises(Malformed):
            await town.one.sealing.set_customer_key(OPERATOR, "w", text)
    workspace = await town.store.get(Workspace, "w")
    assert workspace is not None
    assert workspace.customer_public_key is None


async def test_every_exchange_is_audited_and_tells_no_key(town: Town, customer: rsa.RSAPrivateKey) -> None:
    await town.one.sealing.rotate(OPERATOR, "w")
    await town.one.sealing.set_customer_key(OPERATOR, "w", pem(customer))
    await town.process(MasterKeys([NEW_MASTER, OLD_MASTER])).sealing.rotate_master(OPERATOR, NEW_MASTER)
    await town.process(NEW_MASTER).sealing.destroy(OPERATOR, "w")
    entries = [e for e in await audited(town.store) if e.workspace_id == "w"]
    assert [(entry.actor, entry.action) for entry in entries] == [
        ("operator", "workspace.rotate_key"),
        ("operator", "workspace.set_customer_key"),
        *[("operator", "master_key.rotate")] * 3,
        ("operator", "workspace.destroy_keys"),
    ]
    assert "BEGIN" not in repr(entries)


async def test_only_those_who_manage_the_workspace_may(town: Town) -> None:
    other = Caller(Principal("k", "elsewhere", "m", frozenset({"workspace:manage"})))
    for attempt in (
        town.one.sealing.rotate(other, "w"),
        town.one.sealing.destroy(other, "w"),
        town.one.sealing.set_customer_key(other, "w", None),
        town.one.sealing.rotate_master(other, NEW_MASTER),
    ):
        with pytest.raises(Missing):
            await attempt
    assert len(await town.keys()) == 1
