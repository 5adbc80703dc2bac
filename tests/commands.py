"""The program's commands, run in this process or as a program of their own."""

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from callvault.cli.program import main

PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Result:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def command(*args: str | Path, **changes: str) -> Result:
    """In this process, as a program would be called; `changes` of the environment without the prefix."""
    out, err, status = io.TextIOWrapper(io.BytesIO()), io.StringIO(), 0
    with environ(**changes), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(arg) for arg in args])
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
    out.seek(0)
    return Result(status, out.read(), err.getvalue())


@contextlib.contextmanager
def environ(**changes: str) -> Iterator[None]:
    before = {name: value for name, value in os.environ.items() if name.startswith("CALLVAULT_")}
    for name in before:
        del os.environ[name]
    os.environ.update({f"CALLVAULT_{name}": value for name, value in changes.items()})
    try:
        yield
    finally:
        for name in changes:
            del os.environ[f"CALLVAULT_{name}"]
        os.environ.update(before)


@dataclass
class Server:
    process: "subprocess.Popen[str]"
    url: str
    key: str | None
    """The first key, when this start made one."""
    log: Path

    def client(self, key: str | None = None) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"authorization": f"Bearer {key or self.key}"}, timeout=30)

    def stop(self, number: int = signal.SIGTERM) -> float:
        """Seconds until it had gone."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(PATIENCE_SECONDS)
        return time.monotonic() - began


@contextlib.contextmanager
def serving(folder: Path, *args: str, **environ: str) -> Iterator[Server]:
    """`callvault serve` on a free port, until the end of the block."""
    log = folder.with_suffix(".log")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CALLVAULT_")}
    with log.open("a") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "callvault", "serve", "--json", "--port", "0", "--data", str(folder), *args],
            stdout=subprocess.PIPE,
            stderr=err,
            text=True,
            env=inherited | {f"CALLVAULT_{name}": value for name, value in environ.items()},
        )
    try:
        assert process.stdout
        line = process.stdout.readline()
        assert line, log.read_text()
        told = json.loads(line)
        yield Server(process, told["url"], told["key"], log)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(PATIENCE_SECONDS)
        if process.stdout:
            process.stdout.close()


def keys_in(text: str) -> list[str]:
    return re.findall(r"cvk_[0-9A-Za-z]{8}_[0-9A-Za-z]+", text)
