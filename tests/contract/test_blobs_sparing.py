"""A storage that leaves room on the disk that its objects take it of."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from callvault.adapters.blobs.disk import DiskBlobs
from callvault.adapters.blobs.memory import MemoryBlobs
from callvault.adapters.blobs.sparing import CHECKED, SparingBlobs
from callvault.domain.errors import DiskFull
from callvault.ports.blobs import Filing, Sparing
from tests.fakes import FakeRoom

HELD = 4 * CHECKED


def test_room_is_asked_for_at_the_beginning_and_after_each_megabyte(tmp_path: Path) -> None:
    room = FakeRoom(tmp_path)
    SparingBlobs(MemoryBlobs(), room).put("w/x", [bytes(CHECKED // 4)] * 12)
    assert room.asked == [0] + [CHECKED // 4] * 3


def test_what_has_no_room_is_refused_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    inner = DiskBlobs(tmp_path)
    blobs = SparingBlobs(inner, FakeRoom(tmp_path, free=-1))
    with pytest.raises(DiskFull):
        blobs.put("w/x", [b"x"])
    with pytest.raises(DiskFull):
        blobs.check_room(0)
    assert list(inner.list()) == [] and list((tmp_path / ".incoming").iterdir()) == []


def test_a_disk_that_fills_while_an_object_comes_refuses_the_rest(tmp_path: Path) -> None:
    inner, room = DiskBlobs(tmp_path), FakeRoom(tmp_path)

    def filling() -> Iterator[bytes]:
        yield bytes(CHECKED)
        room.free = 0
        yield bytes(CHECKED)

    with pytest.raises(DiskFull):
        SparingBlobs(inner, room).put("w/x", filling())
    assert list(inner.list()) == [] and list((tmp_path / ".incoming").iterdir()) == []


def test_what_is_held_in_memory_on_its_way_to_an_object_store_needs_no_room(tmp_path: Path) -> None:
    blobs = SparingBlobs(MemoryBlobs(), FakeRoom(tmp_path, free=-1), HELD)
    blobs.check_room(1 << 40)
    blobs.put("w/x", [bytes(HELD - 1)])
    with pytest.raises(DiskFull):
        blobs.put("w/y", [bytes(CHECKED)] * 5)


def test_it_does_what_the_storage_in_it_does(tmp_path: Path) -> None:
    blobs = SparingBlobs(DiskBlobs(tmp_path), FakeRoom(tmp_path))
    assert isinstance(blobs, Filing) and isinstance(blobs, Sparing)
    obj = blobs.put("w/x", [b"sound"])
    file = blobs.file(obj)
    assert file and file.read() == b"sound"
    assert SparingBlobs(MemoryBlobs(), FakeRoom(tmp_path)).file(obj) is None
