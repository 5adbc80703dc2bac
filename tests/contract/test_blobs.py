"""What every storage must do, whatever is below and however it is wrapped."""

import hashlib
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from callvault.domain.errors import BlobCorrupt, BlobExists, BlobMissing
from callvault.domain.stored import StoredObject
from tests.contract.storages import WORKSPACE, Storage, opened
from tests.servers_azure import azure_server  # noqa: F401

PLAIN = ["memory", "disk", "sparing", "retrying", "s3", "azure"]
KINDS = [*PLAIN, "sealed-memory", "sealed-disk", "sealed-retrying", "sealed-s3"]
MIB = 2**20
SOUND = os.urandom(300_001)


@pytest.fixture(params=KINDS)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return opened(request.param, tmp_path, request)


def absent(name: str, size: int = 3) -> StoredObject:
    return StoredObject(key=f"{WORKSPACE}/{name}", size=size, sha256="", workspace_id=WORKSPACE)


def test_what_was_put_in_comes_out(storage: Storage) -> None:
    obj = storage.put("a/sound", SOUND[:7], b"", SOUND[7:200_000], SOUND[200_000:])
    assert (obj.key, obj.size) == (f"{WORKSPACE}/a/sound", len(SOUND))
    assert obj.sha256 == hashlib.sha256(SOUND).hexdigest()
    assert storage.blobs.read(obj) == SOUND
    assert b"".join(storage.blobs.stream(obj)) == SOUND


def test_the_digest_can_be_left_to_those_above(storage: Storage) -> None:
    obj = storage.blobs.put(f"{WORKSPACE}/x", [SOUND], workspace_id=WORKSPACE, digest=False)
    assert (obj.size, obj.sha256) == (len(SOUND), "")
    assert storage.blobs.read(obj) == SOUND


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 131_072])
def test_objects_of_every_awkward_size_come_out_whole(storage: Storage, size: int) -> None:
    obj = storage.put("x", SOUND[:size])
    assert obj.size == size
    assert storage.blobs.read(obj) == SOUND[:size]
    assert b"".join(storage.blobs.stream(obj)) == SOUND[:size]


@pytest.mark.parametrize(
    ("start", "length"),
    [(0, 1), (0, None), (65_535, 2), (65_536, 65_536), (1, 299_999), (300_000, 1), (300_000, 99), (299_000, None)],
)
def test_any_range_can_be_read(storage: Storage, start: int, length: int | None) -> None:
    obj = storage.put("x", SOUND)
    expected = SOUND[start : None if length is None else start + length]
    assert storage.blobs.read(obj, start, length) == expected
    assert b"".join(storage.blobs.stream(obj, start, length)) == expected


@pytest.mark.parametrize(("start", "length"), [(0, 0), (300_001, 1), (300_001, None), (999_999, 5), (5, 0)])
def test_a_range_of_nothing_is_nothing(storage: Storage, start: int, length: int | None) -> None:
    obj = storage.put("x", SOUND)
    assert storage.blobs.read(obj, start, length) == b""
    assert list(storage.blobs.stream(obj, start, length)) == []


@pytest.mark.parametrize(("start", "length"), [(-1, None), (0, -1), (-5, 3)])
def test_a_range_of_less_than_nothing_is_refused(storage: Storage, start: int, length: int) -> None:
    obj = storage.put("x", SOUND)
    with pytest.raises(ValueError, match="range"):
        storage.blobs.read(obj, start, length)


def test_an_object_that_is_not_there_is_missing(storage: Storage) -> None:
    obj = storage.put("there", SOUND)
    gone = replace(obj, key=f"{WORKSPACE}/gone", sealing=None)
    for read in (storage.blobs.read, lambda obj: list(storage.blobs.stream(obj))):
        with pytest.raises(BlobMissing, match=f"{WORKSPACE}/gone"):
            read(gone)
    with pytest.raises(BlobMissing):
        storage.blobs.read(replace(gone, size=0))


@pytest.mark.parametrize("wrong", [-1, +1, +70_000])
def test_an_object_of_another_size_than_it_had_is_corrupt(storage: Storage, wrong: int) -> None:
    obj = storage.put("x", SOUND)
    told = replace(obj, size=len(SOUND) + wrong)
    with pytest.raises(BlobCorrupt, match=f"{WORKSPACE}/x"):
        storage.blobs.read(told)
    with pytest.raises(BlobCorrupt):
        list(storage.blobs.stream(told))


def test_a_name_is_given_once(storage: Storage) -> None:
    obj = storage.put("x", b"first")
    with pytest.raises(BlobExists):
        storage.put("x", b"second")
    assert storage.blobs.read(obj) == b"first"


def test_an_object_of_several_parts_is_not_overwritten_either(storage: Storage) -> None:
    obj = storage.put("x", b"first")
    with pytest.raises(BlobExists):
        storage.put("x", *[bytes(MIB)] * 9)
    assert storage.blobs.read(obj) == b"first"


def test_of_racing_puts_under_one_name_one_wins(storage: Storage) -> None:
    """So it is with objects of one part; of several, see docs/reference/storages.md."""
    outcomes: list[StoredObject | None] = []

    def race(byte: int) -> None:
        try:
            outcomes.append(storage.put("x", *[bytes([byte]) * 50_000] * 2))
        except BlobExists:
            outcomes.append(None)

    racers = [threading.Thread(target=race, args=(byte,)) for byte in range(6)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    won = [obj for obj in outcomes if obj]
    assert len(outcomes) == 6
    assert len(won) == 1
    assert bytes(storage.blobs.read(won[0])) in {bytes([byte]) * 100_000 for byte in range(6)}


def test_a_source_that_breaks_off_leaves_nothing_and_its_own_error(storage: Storage) -> None:
    def breaking() -> Iterator[bytes]:
        yield bytes(MIB)
        raise ConnectionResetError("the caller hung up")

    with pytest.raises(ConnectionResetError, match="hung up"):
        storage.blobs.put(f"{WORKSPACE}/x", breaking(), workspace_id=WORKSPACE)
    assert list(storage.blobs.list(WORKSPACE)) == []
    assert storage.blobs.read(storage.put("x", b"whole")) == b"whole"


def test_a_source_that_breaks_off_behind_the_first_part_leaves_nothing(storage: Storage) -> None:
    def breaking() -> Iterator[bytes]:
        for _ in range(20):
            yield bytes(MIB)
        raise FileNotFoundError("not the storage's file")

    with pytest.raises(FileNotFoundError, match="not the storage's"):
        storage.blobs.put(f"{WORKSPACE}/x", breaking(), workspace_id=WORKSPACE)
    assert list(storage.blobs.list(WORKSPACE)) == []


def test_a_large_object_put_in_parts_comes_out_the_same(storage: Storage) -> None:
    block = os.urandom(MIB + 1)
    obj = storage.put("large", *[block] * 20)
    whole = hashlib.sha256()
    for chunk in storage.blobs.stream(obj):
        whole.update(chunk)
    assert (obj.size, obj.sha256) == (20 * len(block), whole.hexdigest())
    assert storage.blobs.read(obj, 19 * len(block) + 5, 100) == block[5:105]


def test_deleting_is_final_and_may_be_repeated(storage: Storage) -> None:
    obj = storage.put("a/x", SOUND)
    kept = storage.put("a/y", b"kept")
    storage.blobs.delete(obj.key)
    storage.blobs.delete(obj.key)
    storage.blobs.delete(f"{WORKSPACE}/never/was")
    with pytest.raises(BlobMissing):
        storage.blobs.read(obj)
    assert storage.blobs.read(kept) == b"kept"
    assert storage.blobs.read(storage.put("a/x", b"again")) == b"again"


def test_names_are_listed_in_order_with_the_sizes_that_are_stored(storage: Storage) -> None:
    names = ["r1/a-b/1", "r1/a/1", "r1/a/10", "r1/a/2", "r1/a.b", "r1/a=b", "r2/a"]
    for name in reversed(names):
        storage.put(name, SOUND[:100])
    listed = list(storage.blobs.list(f"{WORKSPACE}/"))
    assert [name for name, _ in listed] == sorted(f"{WORKSPACE}/{name}" for name in names)
    assert {size for _, size in listed} == {size for _, size in storage.below.list()}
    assert len({size for _, size in listed}) == 1


def test_a_prefix_need_not_end_at_a_slash(storage: Storage) -> None:
    for name in ("r1/one", "r1/only/two", "r1/other", "r2/one"):
        storage.put(name, b"x")
    assert [name for name, _ in storage.blobs.list(f"{WORKSPACE}/r1/on")] == [
        f"{WORKSPACE}/r1/one",
        f"{WORKSPACE}/r1/only/two",
    ]
    assert len(list(storage.blobs.list())) == 4
    assert list(storage.blobs.list(f"{WORKSPACE}/r3/")) == []


GARBAGE = ["", "/", "/x", "x/", "a//b", ".", "..", "../x", "a/../../b", "a/./b", ".hidden", "a/.incoming/b", "a\\b"]
GARBAGE += ["a b", "a\nb", "a\x00b", "ä", "a?b", "a#b", "a%2e", "x" * 201, "/".join(["abcdefghi"] * 100), "-", "~"]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_is_no_name(storage: Storage, garbage: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        storage.blobs.put(garbage, [b"x"], workspace_id=WORKSPACE)
    with pytest.raises(ValueError, match="no name"):
        storage.blobs.delete(garbage)
    with pytest.raises(ValueError, match="no name"):
        storage.blobs.read(StoredObject(key=garbage, size=1, sha256=""))


def test_the_check_leaves_nothing_behind(storage: Storage) -> None:
    storage.blobs.check()
    assert list(storage.blobs.list()) == []


def test_a_stream_may_be_left_in_the_middle(storage: Storage) -> None:
    obj = storage.put("x", *[SOUND] * 10)
    stream = storage.blobs.stream(obj)
    assert SOUND.startswith(next(iter(stream))[:1000])
    del stream
    assert storage.blobs.read(obj, 0, 5) == SOUND[:5]


def test_many_may_read_and_write_at_once(storage: Storage) -> None:
    def work(n: int) -> None:
        obj = storage.put(f"r/{n}", SOUND[n : n + 70_000], SOUND[:n])
        for at in (0, 65_530):
            if storage.blobs.read(obj, at, 20) != (SOUND[n : n + 70_000] + SOUND[:n])[at : at + 20]:
                wrong.append(n)
        done.append(n)

    done: list[int] = []
    wrong: list[int] = []
    workers = [threading.Thread(target=work, args=(n,)) for n in range(12)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(done) == list(range(12))
    assert wrong == []
