"""`callvault demo`: every line that it prints works when it is pasted."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import Demo, ended, started

pytestmark = [
    pytest.mark.xdist_group("demo"),
    pytest.mark.skipif(shutil.which("curl") is None, reason="the lines are for curl"),
]
SECONDS = 39.55
"""Of the first sample call."""


def pasted(demo: Demo, name: str, folder: Path) -> bytes:
    done = subprocess.run(["sh", "-c", f"{demo.commands[name]} -sS"], cwd=folder, capture_output=True, check=True)
    return done.stdout


def seconds_of(wav: bytes) -> float:
    channels, rate = int.from_bytes(wav[22:24], "little"), int.from_bytes(wav[24:28], "little")
    return (len(wav) - 44) / (2 * channels * rate)


@pytest.mark.parametrize(
    ("name", "file"), [("Vapi", "vapi.wav"), ("AgentPhone", "agentphone.wav"), ("Gravity Rail", "gravityrail.wav")]
)
def test_the_lines_that_fetch_sound_fetch_the_whole_call(demo: Demo, tmp_path: Path, name: str, file: str) -> None:
    pasted(demo, name, tmp_path)
    wav = (tmp_path / file).read_bytes()
    assert wav[:4] == b"RIFF"
    assert seconds_of(wav) == pytest.approx(SECONDS, abs=0.1)


def test_the_line_of_osvi_tells_a_url_that_opens(demo: Demo, tmp_path: Path) -> None:
    told = json.loads(pasted(demo, "OSVI", tmp_path))
    assert told["data"]["expires_in_seconds"] == 900
    got = subprocess.run(["curl", "-sS", told["data"]["recording_url"]], capture_output=True, check=True).stdout
    assert seconds_of(got) == pytest.approx(SECONDS, abs=0.1)


def test_the_line_of_do_retrieves_the_recording(demo: Demo, tmp_path: Path) -> None:
    told = json.loads(pasted(demo, ".do", tmp_path))
    assert told["success"] is True
    assert (told["data"]["status"], told["data"]["channels"]) == ("completed", 2)


def test_a_second_demo_takes_up_the_first_and_ends_cleanly(tmp_path: Path) -> None:
    first = started(tmp_path)
    loaded = recordings(first)
    assert ended(first) == 0
    second = started(tmp_path)
    assert recordings(second) == loaded
    assert ended(second) == 0
    assert len(loaded) == 3


def recordings(demo: Demo) -> list[str]:
    asked = ["curl", "-sS", "-H", f"Authorization: Bearer {demo.key}", f"{demo.address}/api/v1/recordings"]
    told = json.loads(subprocess.run(asked, capture_output=True, check=True).stdout)
    return [recording["id"] for recording in told["data"]]
