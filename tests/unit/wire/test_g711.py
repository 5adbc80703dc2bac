import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callvault.wire import g711

EVERY_CODE = bytes(range(256))
EVERY_SAMPLE = np.arange(-32768, 32768).astype(np.int16)
LAWS = {
    "pcmu": (g711.decode_ulaw, g711.encode_ulaw, "pcm_mulaw"),
    "pcma": (g711.decode_alaw, g711.encode_alaw, "pcm_alaw"),
}


@pytest.fixture(params=LAWS)
def law(request):
    return LAWS[request.param]


def ffmpeg_decodes(codec: str, data: bytes) -> np.ndarray:
    context = av.CodecContext.create(codec, "r")
    context.sample_rate, context.layout = 8000, "mono"
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in context.decode(av.Packet(data))])


def ffmpeg_encodes(codec: str, samples: np.ndarray) -> bytes:
    context = av.CodecContext.create(codec, "w")
    context.sample_rate, context.layout, context.format = 8000, "mono", "s16"
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = 8000
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])


def test_every_code_decodes_as_ffmpeg_decodes_it(law) -> None:
    decode, _, codec = law
    assert np.array_equal(decode(EVERY_CODE), ffmpeg_decodes(codec, EVERY_CODE))


def test_long_sound_decodes_as_its_parts_do(law) -> None:
    decode = law[0]
    long = EVERY_CODE * (2 * g711.AT_ONCE // 256) + EVERY_CODE[:100]
    parts = [decode(long[at : at + 1000]) for at in range(0, len(long), 1000)]
    assert np.array_equal(decode(long), np.concatenate(parts))


def test_the_decoded_values_are_those_of_the_recommendation() -> None:
    # G.711 tables 2a and 1a: values by signal, which are 14-bit and 13-bit there.
    ulaw = {0x80: 8031, 0x8F: 4191, 0x9F: 2079, 0xAF: 1023, 0xBF: 495, 0xCF: 231, 0xDF: 99, 0xEF: 33, 0xFE: 2, 0xFF: 0}
    alaw = {0xFF: 4032, 0xF0: 2112, 0xE0: 1056, 0xD0: 528, 0xC0: 264, 0xB0: 132, 0xA0: 66, 0x80: 1}
    assert list(g711.decode_ulaw(bytes(ulaw))) == [4 * value for value in ulaw.values()]
    assert list(g711.decode_ulaw(bytes(code & 0x7F for code in ulaw))) == [-4 * value for value in ulaw.values()]
    assert list(g711.decode_alaw(bytes(code ^ 0x55 for code in alaw))) == [8 * value for value in alaw.values()]
    assert list(g711.decode_alaw(bytes(code ^ 0xD5 for code in alaw))) == [-8 * value for value in alaw.values()]


def test_what_was_decoded_encodes_to_the_same_sound(law) -> None:
    decode, encode, _ = law
    assert np.array_equal(decode(encode(decode(EVERY_CODE))), decode(EVERY_CODE))


def test_encoding_takes_a_code_within_half_a_step(law) -> None:
    decode, encode, _ = law
    values = np.unique(decode(EVERY_CODE).astype(np.int32))
    coded = decode(encode(EVERY_SAMPLE)).astype(np.int32)
    steps = np.diff(values, prepend=values[0] - 1024, append=values[-1] + 1024)
    place = np.searchsorted(values, coded)
    widest = np.maximum(steps[place], steps[place + 1])
    assert np.all(np.abs(coded - EVERY_SAMPLE) <= widest // 2 + (np.abs(EVERY_SAMPLE.astype(np.int32)) > 32_600) * 140)


def test_encoding_agrees_with_ffmpeg_but_at_the_borders_of_steps(law) -> None:
    decode, encode, codec = law
    values = np.unique(decode(EVERY_CODE))
    ours = np.searchsorted(values, decode(encode(EVERY_SAMPLE)))
    theirs = np.searchsorted(values, decode(ffmpeg_encodes(codec, EVERY_SAMPLE)))
    assert np.abs(ours - theirs).max() <= 1
    assert np.mean(ours != theirs) < 0.02


def test_silence_is_the_code_of_zero() -> None:
    zero = np.zeros(3, np.int16)
    assert g711.encode_ulaw(zero) == g711.SILENCE["pcmu"] * 3
    assert g711.encode_alaw(zero) == g711.SILENCE["pcma"] * 3


@given(st.binary(max_size=500))
def test_fuzz_any_bytes_are_sound(data: bytes) -> None:
    assert len(g711.decode_ulaw(data)) == len(g711.decode_alaw(data)) == len(data)
