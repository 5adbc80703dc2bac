"""wrk, which loads a server from a core of its own, told by a Lua script what to ask."""

import os
import shutil
import subprocess
import tempfile
from typing import Final, NamedTuple

_REPORT: Final = r"""
done = function(summary, latency)
  local e = summary.errors
  local wrong = e.connect + e.read + e.write + e.status + e.timeout
  io.write(string.format("%d %d %f %f\n", summary.requests, wrong, latency:percentile(50), latency:percentile(99)))
end
"""


class Loaded(NamedTuple):
    requests: int
    p50_ms: float
    p99_ms: float


def is_there() -> bool:
    return shutil.which("wrk") is not None


def load(address: str, script: str, *, connections: int, seconds: int) -> Loaded:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script + _REPORT)
        file.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", file.name, f"http://{address}"]
        told = subprocess.run(pinned(1, command), capture_output=True, text=True, check=True).stdout
    requests, wrong, p50_us, p99_us = told.splitlines()[-1].split()
    assert wrong == "0", told
    return Loaded(int(requests), float(p50_us) / 1000, float(p99_us) / 1000)


def pinned(core: int, command: list[str]) -> list[str]:
    """On a core of its own, where there are several."""
    cores = sorted(os.sched_getaffinity(0))
    return ["taskset", "-c", str(cores[core % len(cores)]), *command] if shutil.which("taskset") else command
