"""The built program as a user starts it, and a real browser in front of it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium")
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
PLAYS = "--autoplay-policy=no-user-gesture-required"


@dataclass(frozen=True)
class Demo:
    address: str
    key: str
    commands: dict[str, str]
    """The line to paste, by API."""
    process: subprocess.Popen[str]
    folder: Path


def started(folder: Path) -> Demo:
    program = [sys.executable, "-m", "callvault", "demo", "--port", "0", "--data", str(folder / "data")]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CALLVAULT_")}
    said = folder / "said.txt"
    with said.open("w") as out:
        process = subprocess.Popen(program, cwd=folder, stdout=out, stderr=subprocess.STDOUT, text=True, env=environ)
    for _ in range(600):
        if "Ctrl-C" in said.read_text() or process.poll() is not None:
            break
        time.sleep(0.1)
    text = said.read_text()
    found = re.search(r"open at (http://[\d.:]+)/ui/", text)
    if not found:
        process.kill()
        raise AssertionError(text)
    commands = dict(re.findall(r"^  (\S.*?) +(curl .*)$", text, re.M))
    return Demo(found[1], re.findall(r"cvk_\w+", text)[0], commands, process, folder)


def ended(demo: Demo) -> int:
    demo.process.send_signal(signal.SIGINT)
    return demo.process.wait(15)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = started(tmp_path_factory.mktemp("demo"))
    yield running
    if running.process.poll() is None:
        ended(running)


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """Of one module: as long as it is open, an event loop runs in this thread, and no other can."""
    if CHROMIUM is None:
        pytest.skip("needs Debian's chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, PLAYS])
        yield opened
        opened.close()
