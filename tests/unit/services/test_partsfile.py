"""A file made of stored objects reads as one."""

import io
import os

import pytest

from callvault.adapters.blobs.memory import MemoryBlobs
from callvault.services.partsfile import PartsFile


@pytest.fixture
def parts() -> PartsFile:
    blobs = MemoryBlobs()
    stored = [blobs.put(f"w/{n}", [part]) for n, part in enumerate((b"abc", b"d", b"efghij"))]
    return PartsFile(blobs, stored)


def test_it_is_read_whole_over_the_borders_of_its_parts(parts: PartsFile) -> None:
    assert parts.buffered().read() == b"abcdefghij"


@pytest.mark.parametrize(("at", "length"), [(0, 3), (2, 3), (3, 1), (4, 6), (9, 5), (10, 1), (50, 1)])
def test_any_stretch_of_it_is_had(parts: PartsFile, at: int, length: int) -> None:
    file = parts.buffered()
    file.seek(at)
    assert file.read(length) == b"abcdefghij"[at : at + length]


def test_it_is_sought_from_every_end(parts: PartsFile) -> None:
    assert parts.seek(-2, os.SEEK_END) == 8 and parts.read() == b"ij"
    assert parts.seek(-4, os.SEEK_CUR) == 6 and parts.read(2) == b"gh"
    assert parts.seek(-99, io.SEEK_CUR) == parts.tell() == 0


def test_without_parts_it_is_empty() -> None:
    assert PartsFile(MemoryBlobs(), []).buffered().read() == b""
