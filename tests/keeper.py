"""Keeps a server for one test run: started once for all workers, gone when the run is gone, however that ends.

Run as a program it is the server's parent: it waits for the owner's end (or the command's), kills the command and
removes what it leaves behind.
"""

import ctypes
import fcntl
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil

DIES_WITH_PARENT = 1
_KEEPERS: dict[int, "subprocess.Popen[bytes]"] = {}
"""By what they keep."""


def run_owner() -> int:
    """The process that lives as long as the test run does: with xdist, the one that started the workers."""
    return os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()


def shared(name: str, start: Callable[[Path, int], dict[str, Any]]) -> dict[str, Any]:
    """What `start` told of the server, which the first worker that asks starts for all of them."""
    owner = run_owner()
    born = int(psutil.Process(owner).create_time() * 1000)
    folder = Path(tempfile.gettempdir()) / f"callvault-test-{owner}-{born}-{name}"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        told = folder / "told.json"
        if not told.exists():
            told.write_text(json.dumps(start(folder, owner)))
        return json.loads(told.read_text())


def keep(command: list[str], folder: Path, owner: int, leaves: Sequence[str] = (), **environment: str) -> int:
    """Starts the command under a keeper of its own and returns the command's process id."""
    order = json.dumps({"owner": owner, "folder": str(folder), "command": command, "leaves": list(leaves)})
    with (folder / "log").open("ab") as log:
        keeper = subprocess.Popen(
            [sys.executable, __file__, order],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            env={"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "LANG": "C.UTF-8", **environment},
        )
    assert keeper.stdout
    pid = int(keeper.stdout.readline())
    _KEEPERS[pid] = keeper
    return pid


def end(pid: int) -> None:
    """Kills what this process keeps, if it lives still; when it returns, its keeper has cleared away after it."""
    with suppress(psutil.NoSuchProcess):
        psutil.Process(pid).kill()
    _KEEPERS.pop(pid).wait(60)


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def main(owner: int, folder: Path, command: list[str], leaves: list[str]) -> None:
    with suppress(ProcessLookupError), (folder / "log").open("ab") as log:
        watched = os.pidfd_open(owner)
        libc = ctypes.CDLL(None)
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=lambda: libc.prctl(DIES_WITH_PARENT, signal.SIGKILL),  # noqa: PLW1509
        )
        print(child.pid, flush=True)
        os.close(1)
        select.select([watched, os.pidfd_open(child.pid)], [], [])
        child.kill()
        child.wait()
    shutil.rmtree(folder, ignore_errors=True)
    for path in leaves:
        Path(path).unlink(missing_ok=True)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    main(given["owner"], Path(given["folder"]), given["command"], given["leaves"])
