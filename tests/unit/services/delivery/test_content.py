"""Content: what is stored leaves in the order it was put, read ahead in threads."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.workhouse import PATIENCE_SECONDS, until

from callvault.adapters.blobs.disk import DiskBlobs
from callvault.adapters.blobs.memory import MemoryBlobs
from callvault.domain.errors import BlobMissing
from callvault.services.delivery.content import FIRST_PIECE, PIECE, Pieces, StoredContent, made_ahead

SOUND = bytes(range(256)) * 9000


@pytest.mark.parametrize(("start", "end"), [(0, None), (0, 1), (7, 2_000_001), (len(SOUND) - 1, None), (9, 9)])
async def test_any_range_of_what_is_stored_leaves_as_it_was_put(start: int, end: int | None) -> None:
    blobs = MemoryBlobs()
    content = StoredContent(blobs.put("w/x", [SOUND]), "audio/flac", blobs)
    assert b"".join([chunk async for chunk in content.stream(start, end)]) == SOUND[start:end]


async def test_the_next_piece_is_read_while_one_is_on_its_way_and_no_more() -> None:
    asked: list[int] = []

    def read(at: int, size: int) -> bytes:
        asked.append(at)
        return bytes(size)

    pieces = aiter(Pieces(read, 0, 10 * PIECE))
    for taken in range(1, 4):
        await anext(pieces)
        await until(lambda taken=taken: asyncio.sleep(0, len(asked) == taken + 1))
    assert asked == [(2**n - 1) * FIRST_PIECE for n in range(4)]


async def test_the_first_piece_is_small_and_comes_before_the_second_is_there() -> None:
    going = threading.Event()

    def read(at: int, size: int) -> bytes:
        assert at == 0 or going.wait(PATIENCE_SECONDS)
        return SOUND[at : at + size]

    pieces = aiter(Pieces(read, 0, len(SOUND)))
    first = await anext(pieces)
    going.set()
    assert first == SOUND[:FIRST_PIECE]
    assert first + b"".join([piece async for piece in pieces]) == SOUND


async def test_storage_that_breaks_off_is_told_behind_what_it_gave() -> None:
    def breaking(at: int, size: int) -> bytes:
        if at:
            raise OSError("the disk is gone")
        return bytes(size)

    heard = []
    with pytest.raises(OSError, match="the disk is gone"):
        async for piece in Pieces(breaking, 0, PIECE):
            heard.append(piece)
    assert heard == [bytes(FIRST_PIECE)]


def test_what_lies_in_a_folder_as_it_is_comes_with_its_file(tmp_path: Path) -> None:
    blobs = DiskBlobs(tmp_path)
    opened = StoredContent(blobs.put("w/x", [SOUND]), "audio/flac", blobs).stream(7, 9).file
    assert opened
    with opened() as file:
        assert file.read() == SOUND


@pytest.mark.parametrize("sealing", [None, "key.data"])
def test_what_lies_in_no_file_or_sealed_comes_without_one(sealing: str | None) -> None:
    blobs = MemoryBlobs()
    opened = StoredContent(replace(blobs.put("w/x", [SOUND]), sealing=sealing), "audio/flac", blobs).stream().file
    assert (opened and opened()) is None


@pytest.mark.parametrize("any_order", [False, True])
def test_what_is_made_ahead_comes_in_order_and_a_fault_in_its_place(any_order: bool) -> None:
    def make(at: int, size: int) -> int:
        if at == 4:
            raise BlobMissing(key="w/x")
        return at * size

    heard = []
    with pytest.raises(BlobMissing):
        for piece in made_ahead(make, ((at, 10) for at in range(9)), any_order):
            heard.append(piece)
    assert heard == [0, 10, 20, 30]


def test_who_would_wait_makes_a_piece_that_nobody_has_begun_and_its_fault_waits_for_its_turn() -> None:
    here, begun, made_here = threading.get_ident(), threading.Event(), threading.Event()

    def make(at: int, _: int) -> int:
        if threading.get_ident() == here:
            made_here.set()
            raise BlobMissing(key="w/x")
        begun.set()
        assert made_here.wait(PATIENCE_SECONDS)
        return at

    def asked() -> Iterator[tuple[int, int]]:
        yield 0, 1
        assert begun.wait(PATIENCE_SECONDS)
        yield from ((at, 1) for at in range(1, 9))

    heard = made_ahead(make, asked(), any_order=True)
    assert next(heard) == 0
    with pytest.raises(BlobMissing):
        list(heard)


def test_who_stops_listening_has_no_more_made() -> None:
    asked: list[int] = []
    heard = made_ahead(lambda at, _: asked.append(at), ((at, 1) for at in range(99)), any_order=True)
    next(heard)
    heard.close()  # type: ignore[attr-defined]
    assert len(asked) <= 3
    assert not any(thread.name.startswith("maker") for thread in threading.enumerate())
