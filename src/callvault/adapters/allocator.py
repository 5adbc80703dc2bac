"""The C library's allocator, told once that blocks of memory come and go."""

from typing import Final

COME_AND_GO: Final = 8 << 20
"""Twice that is more than the 10 MiB that a piece of a whole file takes while it is made of two sealed lanes."""


def keep_freed_blocks() -> None:
    """Pieces of sound are made and freed by the hundred. Until it has seen a larger block freed, glibc gives the memory
    of each back to the system and takes it again page by page for the next, which costs more than mixing them; from
    then on it keeps up to twice that block for each thread. Elsewhere this does nothing."""
    bytearray(COME_AND_GO)
