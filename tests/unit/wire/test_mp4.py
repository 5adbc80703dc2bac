import pytest

from callvault.domain.errors import Malformed
from callvault.wire import mp4

MANY = (70_000).to_bytes(4, "big")


def box(kind: bytes, body: bytes = b"") -> bytes:
    return (8 + len(body)).to_bytes(4, "big") + kind + body


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (box(b"moov", bytes(92)), (b"moov", 100)),
        (b"\0\0\0\1mdat" + (1 << 33).to_bytes(8, "big"), (b"mdat", 1 << 33)),
        (b"\0\0\0\0mdat", (b"mdat", 0)),
        (b"\0\0\0\3free", (b"free", 8)),
        (b"\0\0\0\1mdat" + bytes(8), (b"mdat", 16)),
        (b"\0\0", (b"", 0)),
    ],
)
def test_a_box_tells_its_kind_and_its_length_and_is_never_shorter_than_its_head(head: bytes, told: tuple) -> None:
    assert mp4.box_of(head) == told


def test_a_file_is_known_by_its_first_box() -> None:
    assert mp4.is_mp4(box(b"ftyp", b"isom"))
    assert not mp4.is_mp4(b"OggS" + bytes(12))
    assert not mp4.is_mp4(b"")


@pytest.mark.parametrize(
    "said",
    [
        box(b"stsz", bytes(4) + b"\0\0\0\1" + MANY),
        box(b"stz2", bytes(4) + b"\0\0\0\x10" + MANY),
        box(b"trun", bytes(4) + MANY),
        b"stsz" + box(b"stsz", bytes(8) + MANY),
    ],
)
def test_samples_are_counted_however_deep_they_lie(said: bytes) -> None:
    assert mp4.declared(box(b"moov", box(b"udta", box(b"trak", said)))) >= 70_000


def test_samples_of_all_tracks_are_counted_together() -> None:
    assert mp4.declared(box(b"moov", 3 * box(b"stsz", bytes(8) + MANY))) == 210_000


def test_a_compressed_index_is_refused() -> None:
    with pytest.raises(Malformed, match="compressed"):
        mp4.declared(box(b"moov", box(b"cmov", bytes(20))))
