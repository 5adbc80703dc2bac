"""MP4 and its kin, looked at before FFmpeg makes room for every sample that a few bytes may claim there are."""

from collections.abc import Iterator
from typing import Final

from callvault.domain.errors import Malformed

COUNT_BYTES: Final = 16
"""So long is what `declared` looks for: pieces of a box must overlap by it."""

_FIRST: Final = frozenset({b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"sidx", b"uuid", b"free", b"skip", b"wide"})
_COUNT_BEHIND: Final = {b"stsz": 12, b"stz2": 12, b"trun": 8}
"""How far behind the beginning of its kind's name a box tells its count."""
_COMPRESSED: Final = b"cmov"


def is_mp4(head: bytes) -> bool:
    return head[4:8] in _FIRST


def box_of(head: bytes) -> tuple[bytes, int]:
    """The kind and length of the box that begins so; 0 where it goes on to the end of the file."""
    length, kind = int.from_bytes(head[:4], "big"), head[4:8]
    if length == 1:
        return kind, max(int.from_bytes(head[8:16], "big"), 16)
    return kind, max(length, 8) if length else 0


def declared(piece: bytes) -> int:
    """How many samples a piece of a box says there are, whatever the boxes inside that say it lie in."""
    if _COMPRESSED in piece:
        raise Malformed(what="the sound file", why="its index is compressed")
    return sum(_counts(piece))


def _counts(piece: bytes) -> Iterator[int]:
    for kind, behind in _COUNT_BEHIND.items():
        at = piece.find(kind)
        while at >= 0:
            count = piece[at + behind : at + behind + 4]
            yield int.from_bytes(count, "big") if len(count) == 4 else 0
            at = piece.find(kind, at + 1)
