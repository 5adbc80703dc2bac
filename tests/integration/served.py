"""The program as it runs: `callvault serve` as a process of its own, on SQLite and a data folder."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx


class ServedVault:
    """Started again after a stop or a kill, it has the same data, key and port."""

    def __init__(self, data: Path, **settings: str) -> None:
        self.data, self.key, self.port = data, "", 0
        self._settings = {f"CALLVAULT_{name.upper()}": value for name, value in settings.items()}
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> "ServedVault":
        command = [sys.executable, "-m", "callvault", "serve", "--port", str(self.port), "--json"]
        environment = {**os.environ, **self._settings, "CALLVAULT_DATA": str(self.data), "CALLVAULT_LOG_LEVEL": "error"}
        with (self.data.parent / f"{self.data.name}.log").open("a") as log:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, (self.data.parent / f"{self.data.name}.log").read_text()
        told = json.loads(line)
        self.url = told["url"]
        self.port, self.key = int(self.url.rsplit(":", 1)[1]), told.get("key") or self.key
        return self

    def stop(self) -> int:
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        return self._end(signal.SIGKILL)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    def client(self, **more: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers=self.headers, timeout=30, **more)

    def _end(self, how: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(how)
        assert process.stdout is not None
        process.stdout.close()
        return process.wait(20)

    def __enter__(self) -> "ServedVault":
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()
