import struct
import wave
from io import BytesIO

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callvault.domain.errors import Malformed
from callvault.wire import wav

RAMP = np.arange(100, dtype="<i2").tobytes()


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    return name + struct.pack("<I", len(body) if size is None else size) + body + b"\0" * (len(body) % 2)


def form(tag: int = 1, channels: int = 1, rate: int = 8000, bits: int = 16, extra: bytes = b"") -> bytes:
    block = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits) + extra)


def riff(*chunks: bytes, magic: bytes = b"RIFF", size: int | None = None) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return magic + struct.pack("<I", len(body) if size is None else size) + body


def parsed(data: bytes) -> wav.WavHeader:
    return wav.parse(data, len(data))


def test_the_standard_library_reads_what_we_write() -> None:
    with wave.open(BytesIO(wav.header(16000, 2, 50) + RAMP)) as file:
        assert file.getparams()[:4] == (2, 2, 16000, 50)
        assert file.readframes(50) == RAMP


def test_ffmpeg_reads_what_we_write() -> None:
    with av.open(BytesIO(wav.header(8000, 1, 100) + RAMP)) as container:
        frames = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    assert np.concatenate(frames).astype("<i2").tobytes() == RAMP


def test_ffmpeg_reads_our_rf64() -> None:
    frames = 0x8000_0000
    data = wav.header(8000, 1, frames) + RAMP
    with av.open(BytesIO(data)) as container:
        stream = container.streams.audio[0]
        assert stream.codec_context.sample_rate == 8000
        assert stream.duration == frames


@pytest.mark.parametrize("frames", [0, 1, 99, (0xFFFF_FFFF - 36) // 2, (0xFFFF_FFFF - 36) // 2 + 1, 10**12])
def test_the_length_of_a_header_is_known_before_it_is_made(frames: int) -> None:
    assert len(wav.header(8000, 1, frames)) == wav.header_length(1, frames)


def test_riff_reaches_to_the_last_byte_that_its_size_can_say() -> None:
    last = (0xFFFF_FFFF - 36) // 2
    assert wav.header(8000, 1, last)[:4] == b"RIFF"
    assert wav.header(8000, 1, last + 1)[:4] == b"RF64"


def test_an_odd_number_of_bytes_is_padded_in_the_file_and_not_in_the_data() -> None:
    assert wav.file_length(1, 3, 8) == 44 + 3 + 1
    assert struct.unpack("<I", wav.header(8000, 1, 3, 8)[4:8]) == (40,)
    assert struct.unpack("<I", wav.header(8000, 1, 3, 8)[40:44]) == (3,)


@given(
    st.integers(4000, 192_000),
    st.integers(1, 20),
    st.integers(0, 2**40),
    st.sampled_from([8, 16, 24, 32]),
)
def test_what_was_written_is_read(rate: int, channels: int, frames: int, bits: int) -> None:
    length = wav.file_length(channels, frames, bits)
    info = wav.parse(wav.header(rate, channels, frames, bits), length)
    assert (info.encoding, info.rate, info.channels, info.bits, info.frames) == ("pcm", rate, channels, bits, frames)
    assert info.data_offset == wav.header_length(channels, frames, bits)
    assert info.lies == ()


@pytest.mark.parametrize(
    ("tag", "bits", "encoding"),
    [(1, 8, "pcm"), (1, 24, "pcm"), (3, 32, "float"), (3, 64, "float"), (6, 8, "pcma"), (7, 8, "pcmu")],
)
def test_the_coding_is_told(tag: int, bits: int, encoding: str) -> None:
    info = parsed(riff(form(tag, bits=bits), chunk(b"data", RAMP)))
    assert (info.encoding, info.bits) == (encoding, bits)


def test_samples_of_20_bits_are_stored_in_24() -> None:
    fmt = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 8000, 24000, 3, 20))
    assert parsed(riff(fmt, chunk(b"data", bytes(30)))).bits == 24


def test_a_coding_for_codecs_alone_is_told_as_other() -> None:
    gsm = chunk(b"fmt ", struct.pack("<HHIIHHHH", 0x31, 1, 8000, 1625, 65, 0, 2, 320))
    assert parsed(riff(gsm, chunk(b"data", bytes(130)))).encoding == "other"


def test_the_extensible_format_names_its_coding_by_a_guid() -> None:
    guid = bytes.fromhex("0100000000001000800000aa00389b71")
    extra = struct.pack("<HHI", 22, 16, 3) + guid
    assert parsed(riff(form(0xFFFE, extra=extra), chunk(b"data", RAMP))).encoding == "pcm"
    strange = struct.pack("<HHI", 22, 16, 3) + bytes(16)
    assert parsed(riff(form(0xFFFE, extra=strange), chunk(b"data", RAMP))).encoding == "other"


def test_other_chunks_may_stand_before_and_behind_the_sound() -> None:
    info = parsed(riff(chunk(b"LIST", b"odd"), form(), chunk(b"data", RAMP), chunk(b"LIST", bytes(30))))
    assert (info.frames, info.lies) == (100, ())


def test_a_size_of_zero_left_by_a_crash_is_corrected() -> None:
    info = parsed(riff(form(), chunk(b"data", RAMP, 0), size=0))
    assert (info.frames, info.declared_length, info.lies) == (100, 0, ("zero",))
    assert parsed(riff(form(), chunk(b"data", RAMP, 0))).lies == ("zero",)


def test_an_honestly_empty_file_is_empty() -> None:
    assert parsed(riff(form(), chunk(b"data", b""))).frames == 0
    assert parsed(riff(form(), chunk(b"data", b""), chunk(b"LIST", bytes(30)))).frames == 0


def test_a_size_beyond_the_file_is_cut_to_the_file() -> None:
    info = parsed(riff(form(), chunk(b"data", RAMP + b"\1", 5000)))
    assert (info.frames, info.lies) == (101, ("beyond the file",))
    odd = riff(form(), chunk(b"data", b"", 5000)) + RAMP[:-1]
    assert parsed(odd).frames == 99


def test_a_size_that_wrapped_at_4_gib_is_corrected() -> None:
    head = riff(form(), chunk(b"data", b"", 1000))
    info = wav.parse(head, len(head) + 2**32 + 1000)
    assert (info.data_length, info.lies) == (2**32 + 1000, ("wrapped",))


@pytest.mark.parametrize("size", [0xFFFF_FFFF, 0x7FFF_FFFF, 0x7FFF_F000])
def test_the_endless_length_of_a_pipe_is_corrected(size: int) -> None:
    info = parsed(riff(form(), chunk(b"data", RAMP, size), size=0xFFFF_FFFF))
    assert (info.frames, info.lies) == (100, ("unknown",))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "begin"),
        (b"<?xml version='1.0'?><Error/>", "begin"),
        (b"RIFF\0\0\0\0AVI LIST", "begin"),
        (riff(form()), "no sound"),
        (riff(chunk(b"data", RAMP)), "before its format"),
        (riff(form(channels=0), chunk(b"data", RAMP)), "no channels"),
        (riff(form(rate=0), chunk(b"data", RAMP)), "no channels, no rate"),
        (riff(chunk(b"fmt ", b"short"), chunk(b"data", RAMP)), "cut off"),
        (riff(chunk(b"fmt ", struct.pack("<HHIIHH", 1, 2, 8000, 8000, 2, 16)), chunk(b"data", RAMP)), "contradicts"),
        (riff(chunk(b"ds64", b"", 28), magic=b"RF64"), "64-bit"),
    ],
)
def test_what_is_no_wav_is_refused_with_the_reason(data: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        parsed(data)


@given(st.binary(max_size=200), st.integers(0, 2**40))
def test_fuzz_garbage_is_a_value_or_malformed(data: bytes, length: int) -> None:
    for head in (data, b"RIFF\0\0\0\0WAVE" + data, riff(form(), data), riff(chunk(b"ds64", data), magic=b"RF64")):
        try:
            info = wav.parse(head, length)
        except Malformed:
            continue
        assert 0 <= info.data_length <= max(length - info.data_offset, 0) or not info.lies
