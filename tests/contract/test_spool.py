"""What every spool must do, in memory and on disk, sealed and not."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from callvault.adapters.keys.master import KeyBytes
from callvault.adapters.keys.memory import MemoryKeyring
from callvault.adapters.room import DiskRoom
from callvault.adapters.spool.disk import FILE_BYTES, DiskSpool
from callvault.adapters.spool.memory import MemorySpool
from callvault.domain.errors import ShuttingDown
from callvault.domain.workspace import WorkspaceKey
from callvault.ports.spool import Piece, Spool

MASTER = KeyBytes(b"m" * 32)


def keyring(*workspaces: str) -> MemoryKeyring:
    ring = MemoryKeyring(MASTER)
    for w in workspaces:
        wrapped = MASTER.wrap(w.encode().ljust(32, b"k"), w)
        key = WorkspaceKey(id=f"key-{w}", workspace_id=w, created_ms=1, wrapped=wrapped, master_key_id=MASTER.id)
        ring.learn(w, [key], None)
    return ring


def disk_spool(
    folder: Path, keyring: MemoryKeyring | None, file_bytes: int = FILE_BYTES, spare_bytes: int = 0
) -> DiskSpool:
    return DiskSpool(folder, keyring, DiskRoom(folder, spare_bytes), file_bytes)


@pytest.fixture(params=["memory", "disk", "sealed disk"])
def spool(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Spool]:
    made: Spool
    if request.param == "memory":
        made = MemorySpool()
    else:
        made = disk_spool(tmp_path / "spool", keyring("w1", "w2") if "sealed" in request.param else None)
    yield made
    made.close()


def piece(take: int, payload: bytes = b"\xff" * 160, lane: str = "customer") -> Piece:
    return Piece(lane, take, "pcmu", 8000, take * 160, len(payload), payload, bytes([take % 256]) * 32)


def takes(spool: Spool, recording_id: str) -> list[int]:
    return [p.take for spooled in spool.read(recording_id) for p in spooled.pieces]


def test_what_was_appended_is_read_in_order_and_complete(spool: Spool) -> None:
    live = Piece("assistant", -1, "l16", 16000, -7, 2, b"\x00\x01\x02\x03", b"", 1_234_567)
    spool.append("r1", "w1", [piece(1), live]).result()
    spool.append("r2", "w2", [piece(9)]).result()
    spool.append("r1", "w1", [piece(2, b"")]).result()
    assert [p for spooled in spool.read("r1") for p in spooled.pieces] == [piece(1), live, piece(2, b"")]
    assert takes(spool, "r2") == [9]


def test_a_recording_that_is_not_held_has_nothing(spool: Spool) -> None:
    assert list(spool.read("r1")) == []
    assert list(spool.holdings()) == []


def test_serials_rise_over_all_recordings(spool: Spool) -> None:
    for n in range(6):
        spool.append(f"r{n % 2}", "w1", [piece(n)]).result()
    serials = sorted(s.serial for r in ("r0", "r1") for s in spool.read(r))
    assert len(set(serials)) == 6
    assert [s.serial for s in spool.read("r0")] == serials[0::2]


def test_what_is_dropped_is_gone_and_the_rest_stays(spool: Spool) -> None:
    for n in range(5):
        spool.append("r1", "w1", [piece(n)]).result()
    spool.append("r2", "w1", [piece(7)]).result()
    spool.drop("r1", spool.read("r1")[2].serial)
    assert takes(spool, "r1") == [3, 4]
    assert takes(spool, "r2") == [7]
    spool.drop("r1", spool.read("r1")[-1].serial)
    assert [h.recording_id for h in spool.holdings()] == ["r2"]


def test_a_read_takes_no_more_than_asked_for_and_one_record_at_least(spool: Spool) -> None:
    for n in range(5):
        spool.append("r1", "w1", [piece(n, bytes(1000))]).result()
    assert len(spool.read("r1", 3500)) == 3
    assert len(spool.read("r1", 10)) == 1


def test_holdings_tell_the_workspace_and_the_size(spool: Spool) -> None:
    spool.append("r1", "w2", [piece(1, bytes(5000))]).result()
    (held,) = spool.holdings()
    assert (held.recording_id, held.workspace_id) == ("r1", "w2")
    assert 5000 <= held.size < 5500


def test_many_threads_append_at_once_and_nothing_is_mixed_up(spool: Spool) -> None:
    def storm(recording: int) -> None:
        for n in range(50):
            spool.append(f"r{recording}", "w1", [piece(n, bytes([recording]) * 99)]).result()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(storm, range(8)))
    for recording in range(8):
        held = spool.read(f"r{recording}")
        assert [p for s in held for p in s.pieces] == [piece(n, bytes([recording]) * 99) for n in range(50)]


def test_after_closing_nothing_is_taken(spool: Spool) -> None:
    spool.close()
    with pytest.raises(ShuttingDown):
        spool.append("r1", "w1", [piece(1)])
