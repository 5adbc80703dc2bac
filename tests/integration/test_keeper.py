"""No server outlives the test run that asked for it, however the run ends."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

OWNER = """
import os, sys, time
from pathlib import Path
from tests.keeper import keep
print(keep(["sleep", "600"], Path(sys.argv[1]), os.getpid(), [sys.argv[2]]), flush=True)
time.sleep(float(sys.argv[3]))
"""


def wait_until_gone(pid: int, *paths: Path) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until and (psutil.pid_exists(pid) or any(path.exists() for path in paths)):
        time.sleep(0.02)
    assert not psutil.pid_exists(pid)
    assert [path for path in paths if path.exists()] == []


@pytest.mark.parametrize("ends", ["by itself", "killed"])
def test_a_server_ends_with_its_owner_and_what_it_left_goes_too(ends: str, tmp_path: Path) -> None:
    folder, left = tmp_path / "folder", tmp_path / "left.sock"
    folder.mkdir()
    left.touch()
    command = [sys.executable, "-c", OWNER, str(folder), str(left), "0" if ends == "by itself" else "600"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as owner:
        assert owner.stdout
        pid = int(owner.stdout.readline())
        if ends == "killed":
            owner.kill()
    wait_until_gone(pid, folder, left)
