"""What the C library does with memory that is freed, seen by the pages that a process has to ask for."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys, threading
from callvault.adapters.allocator import keep_freed_blocks

def work():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(100):
        pieces = [b"x" * 500_000 for _ in range(4)]
        del pieces
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

if sys.argv[1] == "kept":
    keep_freed_blocks()
worker = threading.Thread(target=work)
worker.start()
worker.join()
"""


def pages(how: str) -> int:
    command = [sys.executable, "-c", PROGRAM, how]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that learns")
def test_pieces_of_sound_are_made_in_memory_that_the_process_has_already() -> None:
    assert pages("kept") * 10 < pages("given back")
