"""The journal on disk: crashes, full disks, rotation, seals."""

import errno
import os
import resource
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.contract.test_spool import MASTER, disk_spool, keyring, piece, takes

from callvault.adapters.spool import disk
from callvault.adapters.spool.disk import SMALL_BYTES, DiskSpool, company_seconds
from callvault.adapters.spool.index import Entry
from callvault.adapters.spool.journal import JournalHead
from callvault.adapters.spool.ledger import Ledger
from callvault.adapters.spool.sealing import JournalKeys
from callvault.domain.errors import BlobCorrupt, BlobsUnavailable, DiskFull, KeyUnavailable, Misconfigured
from callvault.domain.workspace import WorkspaceKey
from callvault.ports.spool import Piece, Spool


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.spool"))


def reopened(spool: DiskSpool, folder: Path, file_bytes: int = 1 << 20, spare_bytes: int = 0) -> DiskSpool:
    spool.close()
    return disk_spool(folder, keyring("w1", "w2"), file_bytes, spare_bytes)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., DiskSpool]:
    return lambda file_bytes=1 << 20: disk_spool(tmp_path, keyring("w1", "w2"), file_bytes)


def test_everything_is_there_after_a_restart_and_serials_go_on(make: Callable[..., DiskSpool], tmp_path: Path) -> None:
    spool = make()
    for n in range(4):
        spool.append("r1", "w1", [piece(n)]).result()
    spool.drop("r1", spool.read("r1")[0].serial)
    last, name = spool.read("r1")[-1].serial, spool.id
    spool = reopened(spool, tmp_path)
    assert spool.id == name
    assert takes(spool, "r1") == [1, 2, 3]
    spool.append("r1", "w1", [piece(9)]).result()
    assert spool.read("r1")[-1].serial > last
    spool.close()


def test_serials_go_on_after_everything_was_dropped_and_the_program_restarted(
    make: Callable[..., DiskSpool], tmp_path: Path
) -> None:
    spool = make()
    for n in range(3):
        spool.append("r1", "w1", [piece(n)]).result()
    last = spool.read("r1")[-1].serial
    spool.drop("r1", last)
    for _ in range(3):
        spool = reopened(spool, tmp_path)
        spool.append("r1", "w1", [piece(5)]).result()
        (held,) = spool.read("r1")
        assert held.serial > last
        last = held.serial
        spool.drop("r1", last)
    spool.close()


@pytest.mark.parametrize(
    ("told", "took", "waits"), [(2, 0.003, 0.0015), (8, 1.0, 0.005), (1, 0.004, 0.0), (8, 0.0008, 0.0)]
)
def test_a_slow_sync_is_followed_by_a_moment_for_those_who_were_told(told: int, took: float, waits: float) -> None:
    assert company_seconds(told, took) == waits


def test_after_two_were_told_the_writer_waits_for_two(
    make: Callable[..., DiskSpool], monkeypatch: pytest.MonkeyPatch
) -> None:
    is_writing, may_write, write = threading.Event(), threading.Event(), JournalHead.append

    def append_when_it_may(head: JournalHead, parts: Sequence[bytes]) -> int:
        is_writing.set()
        assert may_write.wait(10)
        return write(head, parts)

    monkeypatch.setattr(JournalHead, "append", append_when_it_may)
    monkeypatch.setattr(disk, "company_seconds", lambda told, took: 60.0 if told == 2 else 0.0)
    spool = make()
    first = spool.append("r1", "w1", [piece(0)])
    assert is_writing.wait(10)
    two = [spool.append("r1", "w1", [piece(n)]) for n in (1, 2)]
    may_write.set()
    for done in (first, *two):
        done.result(10)
    third = spool.append("r1", "w1", [piece(3)])
    assert not wait([third], 0.05).done
    spool.append("r1", "w1", [piece(4)]).result(10)
    assert third.done()
    spool.append("r1", "w1", [piece(5)])
    spool.close()
    spool = make()
    assert takes(spool, "r1") == list(range(6))
    spool.close()


@pytest.mark.parametrize("lost", [1, 7, 40, 150, 200])
def test_a_torn_tail_loses_the_torn_record_alone(make: Callable[..., DiskSpool], tmp_path: Path, lost: int) -> None:
    spool = make()
    for n in range(3):
        spool.append("r1", "w1", [piece(n)]).result()
    spool.close()
    (path,) = files(tmp_path)
    path.write_bytes(path.read_bytes()[:-lost])
    spool = make()
    assert takes(spool, "r1") == [0, 1]
    spool.append("r1", "w1", [piece(3)]).result()
    spool = reopened(spool, tmp_path)
    assert takes(spool, "r1") == [0, 1, 3]
    spool.close()


def test_garbage_behind_the_last_record_is_no_record(make: Callable[..., DiskSpool], tmp_path: Path) -> None:
    spool = make()
    spool.append("r1", "w1", [piece(1)]).result()
    spool.close()
    with files(tmp_path)[0].open("ab") as file:
        file.write(bytes(500) + b"\x30\x00\x00\x00garbage" * 20)
    spool = make()
    assert takes(spool, "r1") == [1]
    spool.close()


def test_a_file_that_was_just_begun_when_the_power_went_is_no_trouble(
    make: Callable[..., DiskSpool], tmp_path: Path
) -> None:
    spool = make()
    spool.append("r1", "w1", [piece(1)]).result()
    spool.close()
    (tmp_path / "00000000ff.spool").write_bytes(b"cvsp")
    spool = make()
    spool.append("r1", "w1", [piece(2)]).result()
    assert takes(spool, "r1") == [1, 2]
    spool.close()


def test_damage_within_older_files_stops_the_start_rather_than_losing_what_follows(
    make: Callable[..., DiskSpool], tmp_path: Path
) -> None:
    spool = make(1000)
    for n in range(20):
        spool.append("r1", "w1", [piece(n)]).result()
    spool.close()
    first = files(tmp_path)[0]
    data = bytearray(first.read_bytes())
    data[40:44] = bytes(4)
    first.write_bytes(data)
    with pytest.raises(BlobCorrupt):
        make()


def test_files_leave_the_disk_when_nothing_in_them_is_wanted(make: Callable[..., DiskSpool], tmp_path: Path) -> None:
    spool = make(2000)
    for n in range(100):
        spool.append("r1", "w1", [piece(n)]).result()
        if n % 10 == 9:
            spool.drop("r1", spool.read("r1")[-1].serial)
    assert len(files(tmp_path)) <= 7
    spool.append("r1", "w1", [piece(0)]).result()
    spool = reopened(spool, tmp_path)
    assert takes(spool, "r1") == [0]
    spool.close()


def test_one_recording_that_cannot_leave_does_not_keep_the_disk_full(
    make: Callable[..., DiskSpool], tmp_path: Path
) -> None:
    spool = make(4000)
    for n in range(5):
        spool.append("stuck", "w2", [piece(n)]).result()
    for n in range(400):
        spool.append("r1", "w1", [piece(n)]).result()
        spool.drop("r1", spool.read("r1")[-1].serial)
    assert sum(path.stat().st_size for path in files(tmp_path)) < 40_000
    assert takes(spool, "stuck") == [0, 1, 2, 3, 4]
    spool = reopened(spool, tmp_path)
    assert takes(spool, "stuck") == [0, 1, 2, 3, 4]
    assert takes(spool, "r1") == []
    spool.close()


def test_sound_lies_sealed_on_the_disk_and_opens_with_the_workspaces_key_alone(
    make: Callable[..., DiskSpool], tmp_path: Path
) -> None:
    secret = b"four one one one" * 20
    spool = make()
    spool.append("r1", "w1", [piece(1, secret)]).result()
    spool.append("r2", "w2", [piece(1, secret)]).result()
    spool.close()
    assert secret[:16] not in b"".join(path.read_bytes() for path in files(tmp_path))
    other = disk_spool(tmp_path, keyring("w1"))
    assert other.read("r1")[0].pieces[0].payload == secret
    with pytest.raises(KeyUnavailable):
        other.read("r2")
    other.close()


def test_a_workspace_without_a_key_is_refused_and_the_others_go_on(make: Callable[..., DiskSpool]) -> None:
    spool = make()
    refused, taken = spool.append("r9", "stranger", [piece(1)]), spool.append("r1", "w1", [piece(1)])
    taken.result()
    with pytest.raises(KeyUnavailable):
        refused.result()
    assert takes(spool, "r9") == []
    spool.close()


def test_a_piece_that_is_none_is_refused_at_once_and_hurts_nobody(make: Callable[..., DiskSpool]) -> None:
    spool = make()
    with pytest.raises(ValueError, match="not in tuple"):
        spool.append("r1", "w1", [Piece("a", 1, "vinyl", 8000, 0, 1, b"x")])
    spool.append("r1", "w1", [piece(1)]).result()
    assert takes(spool, "r1") == [1]
    spool.close()


def test_a_changed_byte_is_noticed(make: Callable[..., DiskSpool], tmp_path: Path) -> None:
    spool = make()
    spool.append("r1", "w1", [piece(1)]).result()
    data = bytearray(files(tmp_path)[0].read_bytes())
    data[-5] ^= 1
    files(tmp_path)[0].write_bytes(data)
    with pytest.raises(BlobCorrupt):
        spool.read("r1")
    spool.close()


def test_a_folder_belongs_to_one_process(make: Callable[..., DiskSpool]) -> None:
    spool = make()
    with pytest.raises(Misconfigured):
        make()
    spool.close()
    make().close()


@contextmanager
def no_file_over(size: int):  # type: ignore[no-untyped-def]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def files_at_once(more: int):  # type: ignore[no-untyped-def]
    """As when connections have taken all the others."""
    free = os.open("/", os.O_RDONLY)
    os.close(free)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def fill(spool: Spool) -> int:
    for n in range(10_000):
        try:
            spool.append("r1", "w1", [piece(n)]).result()
        except DiskFull:
            return n
    raise AssertionError


def test_a_full_disk_refuses_and_what_was_acknowledged_stays_and_it_goes_on_when_there_is_space(
    make: Callable[..., DiskSpool], tmp_path: Path
) -> None:
    spool = make()
    with no_file_over(20_000):
        count = fill(spool)
        assert count > 20
        with pytest.raises(DiskFull):
            spool.append("r1", "w1", [Piece("customer", 77, "pcmu", 8000, 0, 30_000, bytes(30_000))]).result()
        assert takes(spool, "r1") == list(range(count))
    spool.append("r1", "w1", [piece(count)]).result()
    spool = reopened(spool, tmp_path)
    assert takes(spool, "r1") == list(range(count + 1))
    spool.close()


def test_who_looks_after_a_spool_whose_disk_hangs_is_told(
    make: Callable[..., DiskSpool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "CHECK_SECONDS", 0.01)
    spool, goes_on, write = make(), threading.Event(), JournalHead.append
    with no_file_over(1), pytest.raises(DiskFull):
        spool.append("r1", "w1", [piece(0)]).result()
    monkeypatch.setattr(JournalHead, "append", lambda *given: goes_on.wait(10) and write(*given))
    with pytest.raises(BlobsUnavailable, match="does not answer"):
        spool.check()
    goes_on.set()
    spool.close()


def test_a_spool_that_cannot_be_written_says_so_until_it_can(make: Callable[..., DiskSpool], tmp_path: Path) -> None:
    spool = make()
    spool.append("r1", "w1", [piece(0)]).result()
    spool.check()
    with no_file_over(100):
        spool.check()
        with pytest.raises(DiskFull):
            spool.append("r1", "w1", [piece(1)]).result()
        with pytest.raises(DiskFull):
            spool.check()
    spool.check()
    spool = reopened(spool, tmp_path)
    assert takes(spool, "r1") == [0]
    spool.close()


@pytest.mark.parametrize("more", [0, 1])
def test_while_no_more_files_may_be_open_it_refuses_and_then_goes_on(make: Callable[..., DiskSpool], more: int) -> None:
    """The new journal file needs one, and the folder in which it must be durable another."""
    spool = make(1)
    spool.append("r1", "w1", [piece(0)]).result()
    with files_at_once(more), pytest.raises(BlobsUnavailable):
        spool.append("r1", "w1", [piece(1)]).result(timeout=10)
    spool.append("r1", "w1", [piece(2)]).result(timeout=10)
    with files_at_once(0), pytest.raises(BlobsUnavailable):
        spool.read("r1")
    assert takes(spool, "r1") == [0, 2]
    spool.close()


@pytest.mark.parametrize("error", [KeyError("key"), RuntimeError("changed size"), MemoryError()])
def test_what_nobody_foresaw_is_told_to_who_waits_and_the_writer_goes_on(
    make: Callable[..., DiskSpool], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    spool = make()

    def fail(*_: object) -> int:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(JournalHead, "append", fail)
        with pytest.raises(BlobsUnavailable):
            spool.append("r1", "w1", [piece(1)]).result(timeout=10)
    spool.append("r1", "w1", [piece(2)]).result(timeout=10)
    assert takes(spool, "r1") == [2]
    spool.close()


def test_a_disk_that_does_not_say_how_full_it_is_is_an_error_that_passes(
    make: Callable[..., DiskSpool], monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = make()

    def stale(path: str) -> os.statvfs_result:
        raise OSError(errno.ESTALE, "stale")

    with monkeypatch.context() as patched:
        patched.setattr(os, "statvfs", stale)
        with pytest.raises(BlobsUnavailable):
            spool.append("r1", "w1", [piece(1)]).result(timeout=10)
    spool.append("r1", "w1", [piece(2)]).result(timeout=10)
    spool.close()


def test_what_was_dropped_while_it_was_carried_over_is_not_wanted_again(tmp_path: Path) -> None:
    keys = JournalKeys("5f" * 16, None)
    ledger = Ledger(tmp_path, bytes(16), keys)
    head = ledger.begin_file()
    for serial in (1, 2):
        ledger.add("r1", "w1", Entry(serial, head.number, 100 * serial, 100))
    ledger.drop("r1", 1)
    for serial in (1, 2):
        ledger.move("r1", Entry(serial, head.number, 500 * serial, 100))
    assert [entry.offset for _, entry in ledger.entries("r1", None)] == [1000]
    ledger.drop("r1", 2)
    ledger.move("r1", Entry(2, head.number, 900, 100))
    assert list(ledger.holdings()) == []
    head.close()


def test_sound_leaves_room_on_the_disk_for_what_must_be_written_before_it_can_go(tmp_path: Path) -> None:
    spool = disk_spool(tmp_path, keyring("w1"))
    spool.append("r1", "w1", [piece(1)]).result()
    spool = reopened(spool, tmp_path, spare_bytes=1 << 62)
    with pytest.raises(DiskFull, match=str(tmp_path)):
        spool.append("r1", "w1", [piece(2)]).result()
    assert takes(spool, "r1") == [1]
    spool.drop("r1", spool.read("r1")[0].serial)
    spool = reopened(spool, tmp_path)
    assert list(spool.holdings()) == []
    spool.append("r1", "w1", [piece(3)]).result()
    spool.close()


def test_on_a_full_disk_files_that_nobody_wants_are_removed_all_the_same(
    make: Callable[..., DiskSpool], tmp_path: Path
) -> None:
    spool = make(2000)
    for n in range(60):
        spool.append("r1", "w1", [piece(n)]).result()
    before = len(files(tmp_path))
    with no_file_over(1):
        with pytest.raises(DiskFull):
            spool.drop("r1", spool.read("r1")[40].serial)
        assert len(files(tmp_path)) <= before - 5
    spool = reopened(spool, tmp_path)
    assert set(takes(spool, "r1")) >= set(range(41, 60))
    spool.close()


def test_what_a_restart_would_bring_back_is_held_until_its_drop_is_on_the_disk(
    make: Callable[..., DiskSpool], tmp_path: Path
) -> None:
    spool = make()
    spool.append("r1", "w1", [piece(1)]).result()
    with no_file_over(1), pytest.raises(DiskFull):
        spool.drop("r1", spool.read("r1")[0].serial)
    assert takes(spool, "r1") == []
    assert [held.recording_id for held in spool.holdings()] == ["r1"]
    spool.drop("r1", 0)
    assert list(spool.holdings()) == []
    spool = reopened(spool, tmp_path)
    assert takes(spool, "r1") == []
    spool.close()


def test_what_comes_in_after_a_workspaces_key_was_exchanged_hangs_on_the_new_one_alone(tmp_path: Path) -> None:
    ring = keyring("w1")
    spool = disk_spool(tmp_path, ring)
    spool.append("old", "w1", [piece(1)]).result()
    newer = WorkspaceKey(
        id="newer", workspace_id="w1", created_ms=2, wrapped=MASTER.wrap(b"n" * 32, "w1"), master_key_id=MASTER.id
    )
    ring.learn("w1", [newer], None)
    spool.append("new", "w1", [piece(2)]).result()
    ring.learn("w1", [], None)
    with pytest.raises(KeyUnavailable):
        spool.append("destroyed", "w1", [piece(3)]).result()
    ring.learn("w1", [newer], None)
    spool.close()
    spool = disk_spool(tmp_path, ring)
    assert takes(spool, "new") == [2]
    with pytest.raises(KeyUnavailable):
        spool.read("old")
    spool.close()


def test_one_that_is_large_is_sealed_and_read_back_among_small_ones(
    make: Callable[..., DiskSpool], tmp_path: Path
) -> None:
    spool = make()
    bodies = [b"small", b"four one one one" * SMALL_BYTES, b"small again"]
    for done in [spool.append("r1", "w1", [piece(n, body)]) for n, body in enumerate(bodies)]:
        done.result()
    spool = reopened(spool, tmp_path)
    assert [spooled.pieces[0].payload for spooled in spool.read("r1")] == bodies
    assert b"four one one one" not in files(tmp_path)[0].read_bytes()
    spool.close()


def test_a_key_is_in_every_file_that_needs_it(make: Callable[..., DiskSpool], tmp_path: Path) -> None:
    spool = make(1000)
    for n in range(30):
        spool.append("r1", "w1", [piece(n)]).result()
        spool.drop("r1", n - 2)
    assert len(files(tmp_path)) < 30
    spool = reopened(spool, tmp_path)
    assert takes(spool, "r1")[-1] == 29
    spool.close()
