"""One file of the journal, as it is written to."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from callvault.adapters.spool.journal import PARTS_AT_ONCE, JournalHead
from callvault.wire.spoolfile import FILE_HEAD, FileHead


@pytest.fixture
def head(tmp_path: Path) -> Iterator[JournalHead]:
    head = JournalHead(tmp_path / "1.spool", FileHead(bytes(16), 1))
    yield head
    head.close()


@pytest.mark.parametrize("count", [1, PARTS_AT_ONCE, PARTS_AT_ONCE + 1])
def test_any_number_of_parts_lies_one_behind_the_other(head: JournalHead, count: int) -> None:
    parts = [b"%d." % n for n in range(count)]
    assert head.append(parts) == FILE_HEAD
    whole = b"".join(parts)
    assert head.append([b"next"]) == FILE_HEAD + len(whole)
    assert head.path.read_bytes()[FILE_HEAD:] == whole + b"next"


def test_a_write_to_it_returns_when_it_is_durable(head: JournalHead) -> None:
    """No crash of a test would show that it did not."""
    fds = (int(fd) for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}"))
    (fd,) = (fd for fd in fds if os.path.samefile(f"/proc/self/fd/{fd}", head.path))
    flags = dict(line.split(":\t") for line in Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines())["flags"]
    assert int(flags, 8) & os.O_DSYNC
