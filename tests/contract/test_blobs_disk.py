"""What a folder must do besides: hold what it took through a power cut, and tell a missing file from a missing disk."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from callvault.adapters.blobs.disk import INCOMING, LEFT_OVER_SECONDS, DiskBlobs
from callvault.adapters.blobs.opening import open_blobs
from callvault.domain.errors import BlobCorrupt, BlobMissing, BlobsUnavailable, DiskFull, Misconfigured
from callvault.domain.stored import StoredObject

OBJECT = StoredObject(key="w/r/x", size=5, sha256="")


def in_incoming(folder: Path) -> list[str]:
    return os.listdir(folder / INCOMING)


def test_an_object_is_on_disk_before_it_has_a_name_and_the_name_before_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs, acts = DiskBlobs(tmp_path), list[str]()
    sync, link = os.fsync, os.link

    def watched_sync(fd: int) -> None:
        acts.append("sync " + os.readlink(f"/proc/self/fd/{fd}").removeprefix(str(tmp_path)))
        sync(fd)

    def watched_link(source: Path, target: Path) -> None:
        link(source, target)
        acts.append(f"name {str(target).removeprefix(str(tmp_path))}")

    monkeypatch.setattr(os, "fsync", watched_sync)
    monkeypatch.setattr(os, "link", watched_link)
    blobs.put("w/r/x", [b"sound"])
    assert acts[0].startswith(f"sync /{INCOMING}/")
    assert acts[1:] == ["sync ", "sync /w", "name /w/r/x", "sync /w/r"]


def test_small_chunks_are_written_many_at_once(tmp_path: Path) -> None:
    def writes() -> int:
        facts = Path("/proc/thread-self/io").read_text().split()
        return int(facts[facts.index("syscw:") + 1])

    blobs, chunks, before = DiskBlobs(tmp_path), [bytes([n]) * 65_552 for n in range(64)], writes()
    stored = blobs.put("w/r/x", chunks)
    assert writes() - before <= 5
    assert blobs.read(stored) == b"".join(chunks)


def test_a_put_that_was_killed_leaves_nothing_under_the_name(tmp_path: Path) -> None:
    program = (
        "import sys, time, pathlib\n"
        "from callvault.adapters.blobs.disk import DiskBlobs\n"
        "def chunks():\n"
        "    yield bytes(100_000)\n"
        "    print('half', flush=True)\n"
        "    time.sleep(60)\n"
        "DiskBlobs(pathlib.Path(sys.argv[1])).put('w/r/x', chunks())\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == b"half\n"
    process.kill()
    process.wait()
    process.stdout.close()
    blobs = DiskBlobs(tmp_path)
    assert list(blobs.list()) == []
    assert len(in_incoming(tmp_path)) == 1
    assert blobs.read(blobs.put("w/r/x", [b"whole"])) == b"whole"


def test_what_a_crash_left_behind_goes_when_it_is_old_and_not_while_it_may_be_somebody_s(tmp_path: Path) -> None:
    DiskBlobs(tmp_path)
    for name, age in (("old", LEFT_OVER_SECONDS + 60), ("young", 60)):
        path = tmp_path / INCOMING / name
        path.touch()
        os.utime(path, (time.time() - age, time.time() - age))
    DiskBlobs(tmp_path)
    assert in_incoming(tmp_path) == ["young"]


def test_what_another_process_is_done_with_just_then_stops_no_start(tmp_path: Path) -> None:
    DiskBlobs(tmp_path)
    (tmp_path / INCOMING / "listed").symlink_to(tmp_path / "gone")
    DiskBlobs(tmp_path).put("w/r/x", [b"sound"])


def test_a_put_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    blobs = DiskBlobs(tmp_path)
    blobs.put("w/r/x", [b"sound"])
    with pytest.raises(ZeroDivisionError):
        blobs.put("w/r/y", (bytes([1 // n]) for n in (1, 0)))
    assert in_incoming(tmp_path) == []


def test_a_disk_that_is_not_there_is_not_a_file_that_is_not_there(tmp_path: Path) -> None:
    folder = tmp_path / "mounted"
    blobs = DiskBlobs(folder)
    obj = blobs.put("w/r/x", [b"sound"])
    with pytest.raises(BlobMissing):
        blobs.read(StoredObject(key="w/r/y", size=1, sha256=""))
    folder.rename(tmp_path / "elsewhere")
    folder.mkdir()
    for do in (lambda: blobs.read(obj), lambda: blobs.put("w/r/z", [b"x"])):
        with pytest.raises(BlobsUnavailable, match=str(folder)):
            do()
    folder.rmdir()
    (tmp_path / "elsewhere").rename(folder)
    assert blobs.read(obj) == b"sound"


def test_a_full_disk_takes_nothing_in_part(tmp_path: Path) -> None:
    trial = ["unshare", "-rm", "mount", "-t", "tmpfs", "t", str(tmp_path)]
    if subprocess.run(trial, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    program = (
        "import pathlib, sys\n"
        "from callvault.adapters.blobs.disk import DiskBlobs\n"
        "from callvault.domain.errors import DiskFull\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "blobs = DiskBlobs(folder)\n"
        "kept = blobs.put('w/r/kept', [bytes(300_000)])\n"
        "try:\n"
        "    blobs.put('w/r/x', [bytes(100_000)] * 20)\n"
        "except DiskFull as full:\n"
        "    print(full)\n"
        "print(list(blobs.list()), list((folder / '.incoming').iterdir()), len(blobs.read(kept)))\n"
        "print(blobs.put('w/r/x', [bytes(100_000)]).size)\n"
    )
    mount = f'mount -t tmpfs -o size=1m t "{tmp_path}" && exec "$0" -c "$1" "{tmp_path}"'
    command = ["unshare", "-rm", "sh", "-c", mount, sys.executable, program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str(DiskFull(path=tmp_path)), "[('w/r/kept', 300000)] [] 300000", "100000"]


def test_a_folder_that_cannot_be_one_is_the_operator_s_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Misconfigured, match=f"{tmp_path}/file/storage cannot be used"):
        DiskBlobs(tmp_path / "file" / "storage")


def test_a_link_in_the_folder_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("12345")
    blobs = DiskBlobs(tmp_path / "storage")
    blobs.put("w/r/y", [b"sound"])
    (tmp_path / "storage" / "w" / "r" / "x").symlink_to(tmp_path / "secret")
    with pytest.raises(Misconfigured):
        blobs.read(OBJECT)


def test_of_several_processes_one_gives_the_name(tmp_path: Path) -> None:
    program = (
        "import pathlib, sys\n"
        "from callvault.adapters.blobs.disk import DiskBlobs\n"
        "from callvault.domain.errors import BlobExists\n"
        "blobs, won = DiskBlobs(pathlib.Path(sys.argv[1])), 0\n"
        "sys.stdin.readline()\n"
        "for n in range(200):\n"
        "    try:\n"
        "        blobs.put(f'w/r/{n}', [b'x'])\n"
        "        won += 1\n"
        "    except BlobExists:\n"
        "        pass\n"
        "print(won)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(3)]  # type: ignore[call-overload]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    won = [int(process.communicate()[0]) for process in processes]
    assert sum(won) == 200
    assert len(list(DiskBlobs(tmp_path).list())) == 200


def test_no_file_stays_open(tmp_path: Path) -> None:
    blobs = open_blobs(f"file://{tmp_path}")
    obj = blobs.put("w/r/x", [bytes(2**20)])
    for _ in range(20):
        next(iter(blobs.stream(obj)))
        blobs.read(obj, 5, 5)
    assert [file.path for file in psutil.Process().open_files() if file.path.startswith(str(tmp_path))] == []


def test_a_file_system_without_hard_links_is_told_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = DiskBlobs(tmp_path)

    def refused(source: Path, target: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted", str(source), None, str(target))

    monkeypatch.setattr(os, "link", refused)
    with pytest.raises(Misconfigured, match="without hard links"):
        blobs.put("w/r/x", [b"sound"])


def test_what_the_file_system_keeps_in_a_disk_s_root_is_not_listed(tmp_path: Path) -> None:
    blobs = DiskBlobs(tmp_path)
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "lost+found" / "x").touch()
    blobs.put("w/r/x", [b"sound"])
    assert list(blobs.list()) == [("w/r/x", 5)]


def test_an_object_is_given_as_a_file_that_outlives_its_name(tmp_path: Path) -> None:
    blobs = DiskBlobs(tmp_path)
    with blobs.file(blobs.put("w/r/x", [b"sound"])) as file:
        blobs.delete("w/r/x")
        assert file.read() == b"sound"
    with pytest.raises(BlobMissing):
        blobs.file(OBJECT)


@pytest.mark.parametrize("content", [b"soun", b"sounds"])
def test_a_file_that_is_not_as_long_as_it_was_is_not_given(tmp_path: Path, content: bytes) -> None:
    blobs = DiskBlobs(tmp_path)
    blobs.put(OBJECT.key, [content])
    with pytest.raises(BlobCorrupt):
        blobs.file(OBJECT)
