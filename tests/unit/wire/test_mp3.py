from contextlib import suppress
from io import BytesIO

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callvault.domain.errors import Malformed
from callvault.wire import mp3
from callvault.wire.mp3 import Counted, info_frame, parse_header


def lame_frames(rate: int, channels: int, kilobits: int, seconds: float = 1) -> list[bytes]:
    """Frames as LAME makes them, one by one, without any tag."""
    context = av.CodecContext.create("libmp3lame", "w")
    context.sample_rate, context.layout, context.format = rate, "mono" if channels == 1 else "stereo", "s16p"
    context.bit_rate = kilobits * 1000
    tone = (8000 * np.sin(np.arange(round(rate * seconds)) * 0.1)).astype(np.int16)
    frames = []
    for at in range(0, len(tone), 576):
        part = np.repeat(tone[None, at : at + 576], channels, 0)
        frame = av.AudioFrame.from_ndarray(part, format="s16p", layout=context.layout.name)
        frame.sample_rate, frame.pts = rate, at
        frames += context.encode(frame)
    return [bytes(packet) for packet in [*frames, *context.encode(None)]]


FORMS = [(8000, 1, 32), (11025, 2, 64), (16000, 1, 48), (22050, 2, 96), (24000, 1, 48), (44100, 2, 128), (48000, 1, 64)]


@pytest.mark.parametrize(("rate", "channels", "kilobits"), FORMS)
def test_frames_are_as_long_as_their_headers_say(rate: int, channels: int, kilobits: int) -> None:
    for frame in lame_frames(rate, channels, kilobits):
        header = parse_header(frame)
        assert (header.rate, header.kilobits, header.length) == (rate, kilobits, len(frame))
        assert header.samples == (1152 if rate >= 32000 else 576)


@pytest.mark.parametrize("size", [1, 100, 5000])
def test_frames_are_counted_wherever_the_stream_is_cut(size: int) -> None:
    frames = lame_frames(44100, 2, 128)
    stream, counted = b"".join(frames), Counted()
    for at in range(0, len(stream), size):
        counted.feed(stream[at : at + size])
    assert (counted.frames, counted.size, counted.samples) == (len(frames), len(stream), 1152 * len(frames))


@pytest.mark.parametrize(("rate", "channels", "kilobits"), FORMS)
def test_players_learn_from_the_info_frame_where_the_sound_begins_and_ends(
    rate: int, channels: int, kilobits: int
) -> None:
    frames = lame_frames(rate, channels, kilobits)
    stream, counted = b"".join(frames), Counted()
    counted.feed(stream)
    info = info_frame(counted.first, counted.frames, counted.size, 576, counted.samples - 576 - rate)
    assert parse_header(info).length == len(info)
    with av.open(BytesIO(info + stream)) as container:
        assert container.duration == 1_000_000
        assert sum(frame.samples for frame in container.decode(audio=0)) == rate


def test_the_tag_is_protected_by_crc_16_arc() -> None:
    assert mp3._crc16(b"123456789") == 0xBB3D  # the check value of the CRC catalogue


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xfb\x90", b"ID3\4", b"\xff\xfd\x90\0", b"\xff\xeb\x90\0", b"\xff\xfb\x9c\0", b"\xff\xfb\xf0\0"]
)
def test_what_is_no_frame_of_layer_3_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_header(data)


def test_a_stream_without_frames_has_no_length() -> None:
    with pytest.raises(Malformed):
        assert Counted().samples


@given(st.binary(max_size=3000), st.integers(1, 500))
def test_fuzz_any_bytes_are_frames_or_malformed(data: bytes, size: int) -> None:
    counted = Counted()
    with suppress(Malformed):
        for at in range(0, len(data), size):
            counted.feed(b"\xff" + data[at : at + size])
        assert counted.samples >= counted.frames * 576
