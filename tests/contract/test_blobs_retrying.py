"""Asking again: only for faults that pass, a few times, and without losing or doubling anything."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from callvault.adapters.blobs.memory import MemoryBlobs
from callvault.adapters.blobs.retrying import ATTEMPTS, FIRST_PAUSE, IN_MEMORY, RetryingBlobs
from callvault.domain.errors import BlobCorrupt, BlobExists, BlobMissing, BlobsUnavailable, DiskFull, Misconfigured
from callvault.domain.stored import StoredObject
from tests.fakes import FakeRoom

SOUND = os.urandom(600_000)
CHUNKS = [SOUND[at : at + 10_007] for at in range(0, len(SOUND), 10_007)]


class Faulty(MemoryBlobs):
    """Raises what it is given, one after the other, each behind so many chunks."""

    def __init__(self, *faults: tuple[int, Exception]) -> None:
        super().__init__()
        self.faults = list(faults)
        self.calls = 0

    def put(self, key: str, chunks: Iterable[bytes], *, workspace_id: str = "", digest: bool = True) -> StoredObject:
        self.calls += 1
        return super().put(key, self._faulty(chunks), digest=digest)

    def read(self, obj: StoredObject, start: int = 0, length: int | None = None) -> bytes:
        self.calls += 1
        return b"".join(self._faulty(super().stream(obj, start, length)))

    def stream(self, obj: StoredObject, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        self.calls += 1
        whole = b"".join(super().stream(obj, start, length))
        return self._faulty(whole[at : at + 1000] for at in range(0, len(whole), 1000))

    def _faulty(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        behind, fault = self.faults.pop(0) if self.faults else (1_000_000, None)
        for n, chunk in enumerate(chunks):
            if n == behind and fault:
                raise fault
            yield chunk


class LostAnswer(MemoryBlobs):
    """The first put succeeds and nobody hears of it."""

    def __init__(self, stored: Callable[[bytes], bytes] = lambda whole: whole) -> None:
        super().__init__()
        self.stored = stored

    def put(self, key: str, chunks: Iterable[bytes], *, workspace_id: str = "", digest: bool = True) -> StoredObject:
        if key not in self.objects:
            self.objects[key] = self.stored(b"".join(chunks))
            raise away()
        return super().put(key, chunks)


def away() -> BlobsUnavailable:
    return BlobsUnavailable(why="503 SlowDown")


def retrying(inner: MemoryBlobs) -> tuple[RetryingBlobs, list[float]]:
    pauses: list[float] = []
    return RetryingBlobs(inner, pause=pauses.append), pauses


@pytest.mark.parametrize("behind", [0, 1, len(CHUNKS) - 1])
def test_a_source_that_gives_once_is_put_again_whole(behind: int) -> None:
    inner = Faulty((behind, away()), (0, away()), (1, away()))
    blobs, pauses = retrying(inner)
    obj = blobs.put("w/x", iter(CHUNKS))
    assert inner.objects == {"w/x": SOUND}
    assert (obj.size, len(pauses)) == (len(SOUND), 3)


def test_what_finds_no_room_to_be_kept_is_not_put_without_it(tmp_path: Path) -> None:
    inner, room, pauses = MemoryBlobs(), FakeRoom(tmp_path, free=-1), list[float]()
    blobs = RetryingBlobs(inner, scratch=lambda _: room.scratch(20_000), pause=pauses.append)
    with pytest.raises(DiskFull):
        blobs.put("w/x", iter(CHUNKS))
    assert (inner.objects, pauses) == ({}, [])


def test_what_is_larger_than_memory_is_put_again_from_a_file() -> None:
    inner = Faulty((30, away()))
    blobs, _ = retrying(inner)
    blobs.put("w/x", (SOUND for _ in range(IN_MEMORY // len(SOUND) * 3)))
    assert inner.objects["w/x"] == SOUND * (IN_MEMORY // len(SOUND) * 3)


def test_pauses_grow_and_are_not_alike() -> None:
    pauses = []
    for _ in range(20):
        blobs, mine = retrying(Faulty(*[(0, away())] * 3))
        blobs.put("w/x", iter(CHUNKS))
        pauses.append(mine)
    for place, times in enumerate(zip(*pauses, strict=True)):
        middle = FIRST_PAUSE * 3**place
        assert all(middle * 0.5 <= pause <= middle * 1.5 for pause in times)
        assert len(set(times)) > 1


def test_a_storage_that_stays_away_is_given_up() -> None:
    inner = Faulty(*[(0, away())] * 99)
    blobs, pauses = retrying(inner)
    with pytest.raises(BlobsUnavailable, match="SlowDown"):
        blobs.put("w/x", iter(CHUNKS))
    assert (inner.calls, len(pauses), inner.objects) == (ATTEMPTS, ATTEMPTS - 1, {})


@pytest.mark.parametrize("fault", [Misconfigured(problems="403"), BlobCorrupt(key="k", why="w"), BlobMissing(key="k")])
def test_what_does_not_pass_is_not_tried_again(fault: Exception) -> None:
    for do in (
        lambda blobs: blobs.put("w/x", iter(CHUNKS)),
        lambda blobs: blobs.read(StoredObject(key="w/y", size=1, sha256="")),
        lambda blobs: list(blobs.stream(StoredObject(key="w/y", size=1, sha256=""))),
    ):
        inner = Faulty((0, fault))
        inner.objects["w/y"] = b"y"
        blobs, pauses = retrying(inner)
        with pytest.raises(type(fault)):
            do(blobs)
        assert (inner.calls, pauses) == (1, [])


def test_the_source_s_own_fault_is_not_the_storage_s() -> None:
    def source() -> Iterator[bytes]:
        yield b"half of"
        raise BlobsUnavailable(why="the place it is copied from is away")

    inner = Faulty()
    blobs, pauses = retrying(inner)
    with pytest.raises(BlobsUnavailable, match="copied from"):
        blobs.put("w/x", source())
    assert (inner.calls, pauses, inner.objects) == (1, [], {})


def test_a_put_whose_answer_was_lost_has_happened() -> None:
    blobs, _ = retrying(LostAnswer())
    obj = blobs.put("w/x", iter(CHUNKS))
    assert blobs.read(obj) == SOUND
    assert (obj.size, len(obj.sha256)) == (len(SOUND), 64)


@pytest.mark.parametrize("other", [lambda whole: whole[:-1], lambda whole: whole[:-1] + b"?", lambda whole: b""])
def test_a_name_that_somebody_else_took_meanwhile_is_not_taken_for_ours(other: Callable[[bytes], bytes]) -> None:
    blobs, _ = retrying(LostAnswer(other))
    with pytest.raises(BlobExists):
        blobs.put("w/x", iter(CHUNKS))


def test_a_stream_goes_on_where_it_broke_off() -> None:
    inner = Faulty((3, away()), (2, away()), (0, away()), (0, away()), (5, away()))
    inner.objects["w/x"] = SOUND
    blobs, pauses = retrying(inner)
    obj = StoredObject(key="w/x", size=len(SOUND), sha256="")
    assert b"".join(blobs.stream(obj, 100, 50_000)) == SOUND[100:50_100]
    assert len(pauses) == 5


def test_a_stream_that_comes_no_further_ends() -> None:
    inner = Faulty((3, away()), *[(0, away())] * 99)
    inner.objects["w/x"] = SOUND
    blobs, pauses = retrying(inner)
    got = []
    with pytest.raises(BlobsUnavailable):
        for chunk in blobs.stream(StoredObject(key="w/x", size=len(SOUND), sha256="")):
            got.append(chunk)
    assert b"".join(got) == SOUND[:3000]
    assert len(pauses) == ATTEMPTS - 1
