"""Kill -9, twenty times at moments nobody chose: whatever was acknowledged is there, byte for byte, and once."""

import subprocess
import sys
from pathlib import Path

KILLS = 20


def test_whatever_was_acknowledged_survives_twenty_kills(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.unit.services.ingest.nursery", str(tmp_path), str(KILLS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    takes, streams, *problems = done.stdout.splitlines()
    assert [problem for problem in problems if problem] == []
    assert int(takes.split()[0]) > 20 * KILLS
    assert int(streams.split()[0]) > 0
