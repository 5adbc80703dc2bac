"""The sealed format: what was sealed comes out, in any part, and nothing else ever does."""

import hashlib
import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from callvault.wire.sealed import (
    FRAME,
    HEADER,
    ROOM,
    SEALED_FRAME,
    NotAsSealed,
    frame_count,
    plain_size,
    regrouped,
    seal,
    sealed_size,
    stretch,
    unseal,
)

VECTORS = json.loads((Path(__file__).parents[2] / "media" / "sealed" / "vectors.json").read_text())
KEY, NAME = bytes(range(32)), "w/r/segments/customer/000001"
sizes = st.one_of(st.integers(0, 300), st.integers(-2, 2).map(lambda n: FRAME + n), st.integers(0, 4 * FRAME))


def sound(size: int) -> bytes:
    period = bytes((i * i + 7 * i) % 251 for i in range(251))
    return (period * (size // 251 + 1))[:size]


def sealed(plain: bytes, name: str = NAME, key: bytes = KEY) -> bytes:
    return b"".join(seal(key, name, [plain]))


def opened(data: bytes, size: int, name: str = NAME, key: bytes = KEY) -> bytes:
    return b"".join(unseal(key, name, size, stretch(size, 0, size), [data]))


def cut(data: bytes, places: list[int]) -> list[bytes]:
    at = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:stop] for start, stop in itertools.pairwise(at)]


@pytest.mark.parametrize("vector", VECTORS["objects"], ids=lambda vector: vector["what"])
def test_the_published_vectors_hold(vector: dict) -> None:
    key, plain = bytes.fromhex(vector["data_key"]), sound(vector["size"])
    made = sealed(plain, vector["name"], key)
    assert hashlib.sha256(plain).hexdigest() == vector["sha256"]
    assert (len(made), hashlib.sha256(made).hexdigest()) == (vector["sealed_size"], vector["sealed_sha256"])
    assert made.hex() == vector.get("sealed", made.hex())
    assert opened(made, vector["size"], vector["name"], key) == plain


@given(sizes)
def test_sizes_can_be_told_from_each_other(size: int) -> None:
    assert sealed_size(size) == len(sealed(bytes(size)))
    assert plain_size(sealed_size(size)) == size


@given(st.integers(0, 3 * SEALED_FRAME))
def test_a_length_that_no_sealed_object_has_is_refused(length: int) -> None:
    try:
        assert sealed_size(plain_size(length)) == length
    except NotAsSealed:
        assert length not in {sealed_size(size) for size in range(max(0, length - 80), length)}


@given(sizes, st.lists(st.integers(0, 5 * FRAME), max_size=8), st.lists(st.integers(0, 5 * FRAME), max_size=8))
def test_how_it_comes_in_pieces_does_not_matter(size: int, coming: list[int], going: list[int]) -> None:
    plain = sound(size)
    made = b"".join(seal(KEY, NAME, cut(plain, coming)))
    assert made == sealed(plain)
    assert b"".join(unseal(KEY, NAME, size, stretch(size, 0, size), cut(made, going))) == plain


@given(sizes, st.integers(0, 4 * FRAME), st.integers(0, 4 * FRAME))
def test_any_range_is_opened_from_just_the_frames_under_it(size: int, start: int, length: int) -> None:
    plain, made = sound(size), sealed(sound(size))
    start = min(start, max(0, size - 1))
    stop = min(size, start + 1 + length)
    part = stretch(size, start, stop)
    taken = made[part.offset : part.offset + part.length]
    assert part.length <= (stop - start) + 2 * SEALED_FRAME + len(HEADER)
    frames = b"".join(unseal(KEY, NAME, size, part, [taken]))
    assert frames[part.skip : part.skip + stop - start] == plain[start:stop]
    assert part.to_end == (part.offset + part.length == len(made))


@given(sizes, st.data())
def test_no_changed_bit_is_ever_delivered(size: int, data: st.DataObject) -> None:
    made = bytearray(sealed(sound(size)))
    made[data.draw(st.integers(0, len(made) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    delivered = []
    with pytest.raises(NotAsSealed):
        delivered.extend(unseal(KEY, NAME, size, stretch(size, 0, size), [bytes(made)]))
    assert sound(size).startswith(b"".join(delivered))


@given(sizes, st.integers(1, 5 * FRAME))
def test_an_object_cut_anywhere_is_refused(size: int, missing: int) -> None:
    made = sealed(sound(size))
    with pytest.raises(NotAsSealed):
        opened(made[: max(0, len(made) - missing)], size)


@given(sizes, st.integers(1, 2 * FRAME))
def test_an_object_with_bytes_added_is_refused(size: int, more: int) -> None:
    with pytest.raises(NotAsSealed):
        opened(sealed(sound(size)) + bytes(more), size)


def test_the_last_frame_is_delivered_only_when_nothing_comes_behind_it() -> None:
    size = 2 * FRAME + 9
    coming = [*cut(sealed(sound(size)), [len(HEADER) + 2 * SEALED_FRAME]), b"x"]
    delivered = []
    with pytest.raises(NotAsSealed):
        delivered.extend(unseal(KEY, NAME, size, stretch(size, 0, size), coming))
    assert b"".join(delivered) == sound(2 * FRAME)


def test_frames_that_come_in_one_piece_leave_in_one_and_never_in_too_large_a_one() -> None:
    size = ROOM + 9 * FRAME
    part = stretch(size, 5, size)
    whole = sealed(sound(size))
    pieces = list(unseal(KEY, NAME, size, part, [whole]))
    assert max(map(len, pieces)) <= ROOM
    assert len(pieces) == 2
    assert len(list(unseal(KEY, NAME, THREE, stretch(THREE, 0, THREE), [sealed(sound(THREE))]))) == 1


def frame(data: bytes, n: int) -> bytes:
    return data[len(HEADER) + n * SEALED_FRAME :][:SEALED_FRAME]


THREE = 3 * FRAME
FORGERIES: dict[str, Callable[[bytes], bytes]] = {
    "two frames swapped": lambda made: HEADER + frame(made, 1) + frame(made, 0) + frame(made, 2),
    "a frame doubled": lambda made: HEADER + frame(made, 0) + frame(made, 0) + frame(made, 2),
    "the last frame first": lambda made: HEADER + frame(made, 2) + frame(made, 0) + frame(made, 1),
    "a frame left out": lambda made: HEADER + frame(made, 0) + frame(made, 2),
    "the last frame left out": lambda made: HEADER + frame(made, 0) + frame(made, 1),
    "a frame of another object": lambda made: HEADER + frame(made, 0) + frame(sealed(sound(THREE), "w/other"), 1),
    "another version in the header": lambda made: made[:10] + b"\x02" + made[11:],
    "another frame size in the header": lambda made: made[:11] + b"\x11" + made[12:],
    "no header": lambda made: made[len(HEADER) :],
    "nothing": lambda made: b"",
    "the header alone": lambda made: HEADER,
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES.keys())
def test_frames_stay_in_their_places(forge: Callable[[bytes], bytes]) -> None:
    with pytest.raises(NotAsSealed):
        opened(forge(sealed(sound(THREE))), THREE)


@pytest.mark.parametrize("frames", [1, 2])
def test_an_object_cut_at_a_frame_s_end_does_not_pass_for_a_shorter_one(frames: int) -> None:
    made = sealed(sound(THREE))
    with pytest.raises(NotAsSealed):
        opened(made[: sealed_size(frames * FRAME)], frames * FRAME)


def test_a_longer_object_does_not_pass_for_a_shorter_one() -> None:
    made = sealed(sound(100))
    for told in (0, 99, 101, FRAME, FRAME + 1):
        with pytest.raises(NotAsSealed):
            opened(made, told)


@pytest.mark.parametrize("size", [0, 1, THREE])
def test_an_object_under_another_name_or_key_is_refused(size: int) -> None:
    made = sealed(sound(size))
    with pytest.raises(NotAsSealed):
        opened(made, size, name=NAME + "x")
    with pytest.raises(NotAsSealed):
        opened(made, size, key=bytes(32))


def test_no_nonce_comes_twice_under_a_key() -> None:
    """Recovered from the sealed bytes: what is known to be zero shows the key stream, which no two frames share."""
    made = sealed(bytes(5 * FRAME))
    streams = {frame(made, n)[:FRAME] for n in range(frame_count(5 * FRAME))}
    assert len(streams) == 5


def test_each_frame_can_be_opened_with_aes_gcm_alone() -> None:
    plain = sound(FRAME + 10)
    made = sealed(plain)
    bound = made[:16] + NAME.encode()
    cipher = AESGCM(KEY)
    assert cipher.decrypt(bytes(3) + (0).to_bytes(8) + b"\x00", frame(made, 0), bound) == plain[:FRAME]
    assert cipher.decrypt(bytes(3) + (1).to_bytes(8) + b"\x01", frame(made, 1), bound) == plain[FRAME:]


def test_pieces_that_lie_whole_in_a_chunk_are_not_copied() -> None:
    chunk = bytes(10 * FRAME)
    pieces = list(regrouped([chunk], FRAME))
    assert [isinstance(piece, memoryview) and piece.obj is chunk for piece in pieces] == [True] * 10


@given(st.lists(st.binary(max_size=20), max_size=20), st.integers(1, 9))
def test_regrouping_loses_and_adds_nothing(chunks: list[bytes], size: int) -> None:
    pieces = [bytes(piece) for piece in regrouped(chunks, size)]
    assert b"".join(pieces) == b"".join(chunks)
    assert all(len(piece) == size for piece in pieces[:-1])
    assert all(0 < len(piece) <= size for piece in pieces)
