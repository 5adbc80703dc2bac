"""Worker processes of a program that forks one for each line on its standard input."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path


class Workers:
    def __init__(self, program: str, database: str) -> None:
        command = [sys.executable, "-m", program, database]
        root = Path(__file__).parents[2]
        self._maker = subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._living: set[int] = set()

    def start(self) -> int:
        assert self._maker.stdin and self._maker.stdout
        self._maker.stdin.write("\n")
        self._maker.stdin.flush()
        pid = int(self._maker.stdout.readline())
        self._living.add(pid)
        return pid

    def kill(self, pid: int) -> None:
        self._living.discard(pid)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def end(self) -> None:
        for pid in list(self._living):
            self.kill(pid)
        self._maker.kill()
        self._maker.communicate()
