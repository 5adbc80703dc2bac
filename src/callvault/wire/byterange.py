"""Byte ranges (RFC 9110, section 14): which are asked for, and how several are framed in one answer."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

RANGES_MAX: Final = 16
"""More ranges in one request serve no player; the header is then ignored, as the RFC allows."""

_SPEC: Final = re.compile(r"(\d*)-(\d*)", re.ASCII)
_DIGITS_MAX: Final = 19


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes from `start` to before `end`."""

    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start


def parse(header: str | None, length: int) -> tuple[ByteRange, ...] | None:
    """The ranges to send of a representation of that length.

    None: no range was asked for, or in a way that is to be ignored: send it all (200). Empty: none of them can be
    satisfied (416). Overlapping and touching ranges are joined, at the place of the first of them.
    """
    unit, _, listed = (header or "").partition("=")
    if unit.strip().lower() != "bytes":
        return None
    specs = [spec.strip() for spec in listed.split(",", 4 * RANGES_MAX)]
    matches = [_SPEC.fullmatch(spec) for spec in specs if spec]
    if not 0 < len(matches) <= RANGES_MAX:
        return None
    ranges = []
    for match in matches:
        if match is None or not _is_sane(match[1], match[2]):
            return None
        wanted = _resolve(match[1], match[2], length)
        if wanted.length > 0:
            ranges.append(wanted)
    return _joined(ranges)


def if_range_holds(header: str | None, etag: str, modified_s: int | None = None) -> bool:
    """Whether ranges may be sent: the condition is absent, or names this very representation (strong comparison)."""
    if header is None:
        return True
    value = header.strip()
    if value.startswith(('"', "W/")):
        return value == etag and not etag.startswith("W/")
    try:
        return modified_s is not None and parsedate_to_datetime(value).timestamp() == modified_s
    except (ValueError, OverflowError):
        return False


def content_range(part: ByteRange, length: int) -> str:
    return f"bytes {part.start}-{part.end - 1}/{length}"


def unsatisfied_range(length: int) -> str:
    """The `Content-Range` of a 416."""
    return f"bytes */{length}"


@dataclass(frozen=True, slots=True)
class Multipart:
    """The body of a 206 with several ranges, whose length is known before a byte of it is read."""

    ranges: Sequence[ByteRange]
    length: int
    """Of the whole representation."""
    media_type: str
    boundary: str
    """Letters and digits that do not occur in the content: random ones."""

    @property
    def content_type(self) -> str:
        return f"multipart/byteranges; boundary={self.boundary}"

    @property
    def content_length(self) -> int:
        return sum(len(head) + part.length for head, part in self.parts()) + len(self.tail)

    def parts(self) -> Iterator[tuple[bytes, ByteRange]]:
        """For each part what to send before its bytes."""
        for part in self.ranges:
            head = f"--{self.boundary}\r\nContent-Type: {self.media_type}\r\n"
            yield f"\r\n{head}Content-Range: {content_range(part, self.length)}\r\n\r\n".encode(), part

    @property
    def tail(self) -> bytes:
        """What to send behind the last part."""
        return f"\r\n--{self.boundary}--\r\n".encode()


def _is_sane(first: str, last: str) -> bool:
    if (not first and not last) or max(len(first), len(last)) > _DIGITS_MAX:
        return False
    return not first or not last or int(first) <= int(last)


def _resolve(first: str, last: str, length: int) -> ByteRange:
    if not first:
        return ByteRange(max(length - int(last), 0), length)
    return ByteRange(int(first), min(int(last) + 1, length) if last else length)


def _joined(ranges: list[ByteRange]) -> tuple[ByteRange, ...]:
    joined: list[ByteRange] = []
    for part in ranges:
        touching = [other for other in joined if other.start <= part.end and part.start <= other.end]
        if not touching:
            joined.append(part)
            continue
        place = joined.index(touching[0])
        merged = ByteRange(min(part.start, *(t.start for t in touching)), max(part.end, *(t.end for t in touching)))
        joined = [other for other in joined if other not in touching]
        joined.insert(place, merged)
    return tuple(joined)
