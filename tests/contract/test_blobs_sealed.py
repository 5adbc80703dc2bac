"""Sealing over a storage: what lies there tells nothing, and whoever changed it is found out."""

import os
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from callvault.adapters.blobs.disk import DiskBlobs
from callvault.adapters.blobs.memory import MemoryBlobs
from callvault.adapters.blobs.sealed import SealedBlobs
from callvault.domain.errors import BlobCorrupt, KeyUnavailable
from callvault.domain.stored import StoredObject
from callvault.wire.sealed import FRAME, SEALED_FRAME, sealed_size
from tests.contract.storages import WORKSPACE, Storage, keyring, sealed

SOUND = os.urandom(3 * FRAME + 1000)


@pytest.fixture
def storage() -> Storage:
    return sealed(MemoryBlobs())


def objects(storage: Storage) -> dict[str, bytes]:
    assert isinstance(storage.below, MemoryBlobs)
    return storage.below.objects


def delivered(stream: Iterator[bytes]) -> tuple[bytes, bool]:
    """What a listener got, and whether the stream came to its end."""
    got = b""
    try:
        for chunk in stream:
            got += chunk
    except BlobCorrupt:
        return got, False
    return got, True


def test_nothing_of_the_sound_lies_in_storage(storage: Storage) -> None:
    obj = storage.put("x", SOUND)
    [stored] = objects(storage).values()
    assert len(stored) == sealed_size(len(SOUND))
    assert all(SOUND[at : at + 16] not in stored for at in range(0, len(SOUND), 997))
    assert (obj.workspace_id, obj.customer_sealing) == (WORKSPACE, None)
    assert (obj.sealing or "").startswith(f"key-of-{WORKSPACE}.")


def test_the_same_sound_is_never_sealed_alike(storage: Storage) -> None:
    for name in ("x", "y"):
        storage.put(name, SOUND)
    one, other = objects(storage).values()
    assert one[16:32] != other[16:32]


def test_one_frame_is_fetched_for_one_second() -> None:
    class Watching(MemoryBlobs):
        fetched = 0

        def read(self, obj: StoredObject, start: int = 0, length: int | None = None) -> bytes:
            Watching.fetched += length or 0
            return super().read(obj, start, length)

    storage = sealed(Watching())
    obj = storage.put("x", SOUND)
    assert storage.blobs.read(obj, FRAME + 5, 100) == SOUND[FRAME + 5 : FRAME + 105]
    assert Watching.fetched == SEALED_FRAME


ATTACKS: dict[str, Callable[[bytes], bytes]] = {
    "cut in a frame": lambda made: made[:-7],
    "cut at a frame's end": lambda made: made[: 16 + 2 * SEALED_FRAME],
    "cut to the header": lambda made: made[:16],
    "emptied": lambda made: b"",
    "one byte more": lambda made: made + b"x",
    "a frame more": lambda made: made + made[-SEALED_FRAME:],
    "one bit of a tag": lambda made: made[:-1] + bytes([made[-1] ^ 1]),
    "one bit of a frame": lambda made: made[:100_000] + bytes([made[100_000] ^ 128]) + made[100_001:],
    "two frames swapped": lambda made: (
        made[:16] + made[16 + SEALED_FRAME :][:SEALED_FRAME] + made[16:][:SEALED_FRAME] + made[16 + 2 * SEALED_FRAME :]
    ),
    "another header": lambda made: b"CALLVAULT\x00\x02" + made[11:],
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_a_changed_object_is_refused_and_no_wrong_byte_delivered(
    storage: Storage, attack: Callable[[bytes], bytes]
) -> None:
    obj = storage.put("x", SOUND)
    objects(storage)[obj.key] = attack(objects(storage)[obj.key])
    with pytest.raises(BlobCorrupt, match=obj.key):
        storage.blobs.read(obj)
    got, whole = delivered(storage.blobs.stream(obj))
    assert not whole
    assert SOUND.startswith(got)


@pytest.mark.parametrize("size", [0, 1, FRAME, len(SOUND)])
def test_an_object_under_another_s_name_is_refused(storage: Storage, size: int) -> None:
    obj, other = storage.put("x", SOUND[:size]), storage.put("y", SOUND[:size])
    stored = objects(storage)
    stored[obj.key], stored[other.key] = stored[other.key], stored[obj.key]
    for each in (obj, other):
        assert delivered(storage.blobs.stream(each)) == (b"", False)


def test_a_row_that_was_given_another_s_sealing_does_not_open(storage: Storage) -> None:
    obj, other = storage.put("x", SOUND), storage.put("y", SOUND)
    with pytest.raises(KeyUnavailable):
        storage.blobs.read(replace(obj, sealing=other.sealing))
    with pytest.raises(KeyUnavailable):
        storage.blobs.read(replace(obj, sealing=f"key-of-{WORKSPACE}.AAAA"))


def test_a_range_of_whole_frames_does_not_suffer_from_a_broken_neighbour(storage: Storage) -> None:
    obj = storage.put("x", SOUND)
    stored = bytearray(objects(storage)[obj.key])
    stored[20] ^= 1
    objects(storage)[obj.key] = bytes(stored)
    assert storage.blobs.read(obj, FRAME, 50) == SOUND[FRAME : FRAME + 50]
    with pytest.raises(BlobCorrupt):
        storage.blobs.read(obj, 5, 1)


def test_another_workspace_s_keys_open_nothing() -> None:
    below = MemoryBlobs()
    obj = SealedBlobs(below, keyring("a")).put("a/x", [SOUND], workspace_id="a")
    others = SealedBlobs(below, keyring("a", "b"))
    for told in (obj, replace(obj, workspace_id="b"), replace(obj, workspace_id="")):
        with pytest.raises(KeyUnavailable):
            others.read(told)


def test_without_a_key_nothing_is_put_and_nothing_taken_from_the_source(storage: Storage) -> None:
    taken: list[bytes] = []

    def source() -> Iterable[bytes]:
        taken.append(b"x")
        yield b"x"

    for workspace in ("", "unknown"):
        with pytest.raises(KeyUnavailable):
            storage.blobs.put("unknown/x", source(), workspace_id=workspace)
    assert (taken, objects(storage)) == ([], {})


def test_an_object_that_was_put_unsealed_is_read_as_it_is(storage: Storage) -> None:
    obj = storage.below.put("w/bucket", [SOUND])
    assert storage.blobs.read(obj, 5, 100) == SOUND[5:105]
    assert b"".join(storage.blobs.stream(obj)) == SOUND


def test_only_an_object_that_was_put_unsealed_is_given_as_a_file(tmp_path: Path) -> None:
    storage = sealed(DiskBlobs(tmp_path))
    with storage.blobs.file(storage.below.put("w/bucket", [SOUND])) as file:
        assert file.read() == SOUND
    assert storage.blobs.file(storage.put("x", SOUND)) is None


def test_a_storage_without_files_gives_none(storage: Storage) -> None:
    assert storage.blobs.file(storage.below.put("w/bucket", [SOUND])) is None


def test_a_large_object_passes_in_little_memory() -> None:
    class Nowhere(MemoryBlobs):
        """Takes everything and gives back sealed silence that it makes as it goes."""

        def put(
            self, key: str, chunks: Iterable[bytes], *, workspace_id: str = "", digest: bool = True
        ) -> StoredObject:
            return StoredObject(key=key, size=sum(map(len, chunks)), sha256="")

    storage = sealed(Nowhere())
    tracemalloc.start()
    try:
        obj = storage.blobs.put("w/x", (bytes(2**20) for _ in range(300)), workspace_id=WORKSPACE, digest=False)
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()
    assert obj.size == 300 * 2**20
