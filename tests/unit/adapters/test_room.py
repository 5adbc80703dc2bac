"""Room on a disk: what is asked of the system, and when."""

import os
from pathlib import Path

import pytest
from tests.fakes import FakeRoom
from tests.unit.adapters.spool.test_disk import no_file_over

from callvault.adapters.room import CHECKED, DiskRoom
from callvault.domain.errors import BlobsUnavailable, DiskFull

HELD = 2 * CHECKED


def free(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def test_what_leaves_the_spare_room_free_is_let_in_and_no_more(tmp_path: Path) -> None:
    spare = free(tmp_path) // 2
    room = DiskRoom(tmp_path, spare)
    room.check()
    room.check(spare // 2)
    with pytest.raises(DiskFull, match=str(tmp_path)):
        room.check(2 * spare)
    with pytest.raises(DiskFull):
        DiskRoom(tmp_path, 1 << 62).check()


def test_a_file_system_without_a_size_of_its_own_has_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result([4096, 4096, 0, 0, 0, 0, 0, 0, 0, 255]))
    DiskRoom(tmp_path).check(1 << 40)


def test_a_disk_that_does_not_answer_is_an_error_that_passes(tmp_path: Path) -> None:
    with pytest.raises(BlobsUnavailable, match="No such file"):
        DiskRoom(tmp_path / "gone").check()


def test_a_scratch_file_asks_for_room_once_it_is_on_the_disk_and_after_each_megabyte(tmp_path: Path) -> None:
    room = FakeRoom(tmp_path)
    with room.scratch(HELD) as file:
        for _ in range(HELD // 1024):
            file.write(bytes(1024))
        assert room.asked == []
        for _ in range(2 * CHECKED // 1024):
            file.write(bytes(1024))
        assert room.asked == [1024] * 3
        room.free = 0
        file.seek(0)
        file.write(b"over what was there")
        file.seek(0, os.SEEK_END)
        with pytest.raises(DiskFull):
            file.write(bytes(CHECKED))
        assert file.tell() == HELD + 2 * CHECKED
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_all_the_same_is_told_as_such(tmp_path: Path) -> None:
    with no_file_over(CHECKED), FakeRoom(tmp_path).scratch(1) as file:
        file.write(bytes(CHECKED))
        for write in (file.write, lambda data: file.writelines([data])):
            with pytest.raises(DiskFull):
                write(b"x")
