"""The vendors' clients for node: installed from a committed lock, once for all runs."""

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

BUILD = Path(__file__).parents[2] / "build" / "node"


def installed(folder: Path) -> Path:
    """A copy of the folder with what its lock names beside it; skips the test where that cannot be had."""
    if not (shutil.which("npm") and shutil.which("node")):
        pytest.skip("node and npm are not there")
    print_ = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()[:16]
    home = BUILD / f"{folder.name}-{print_}"
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for file in folder.iterdir():
            shutil.copy(file, home)
        if not (home / "whole").exists():
            command = ["npm", "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
            done = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=240, check=False)
            if done.returncode:
                pytest.skip(f"npm does not bring what {folder.name} names: is the network there?")
            (home / "whole").touch()
    return home
