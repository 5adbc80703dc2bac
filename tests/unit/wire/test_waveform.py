import json
import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callvault.domain.errors import Malformed
from callvault.wire.waveform import Waveform, parse_dat, parse_json, serialize_dat, serialize_json

# Two pixels of two channels: minimum and maximum of the left one, then of the right one.
PEAKS = np.array([[[-32768, 32767], [-100, 100]], [[0, 256], [-256, 0]]], np.int16)


def same(one: Waveform, other: Waveform) -> bool:
    facts = [(w.rate, w.samples_per_pixel, w.bits, w.peaks.shape) for w in (one, other)]
    return facts[0] == facts[1] and np.array_equal(one.peaks, other.peaks)


def test_a_dat_file_is_as_the_bbc_wrote_it_down() -> None:
    data = serialize_dat(Waveform(16000, 256, PEAKS))
    assert data[:24] == struct.pack("<iIiiIi", 2, 0, 16000, 256, 2, 2)
    assert struct.unpack("<8h", data[24:]) == (-32768, 32767, -100, 100, 0, 256, -256, 0)


def test_a_dat_file_of_8_bits_has_a_256th_of_each_peak_towards_zero_as_audiowaveform_has() -> None:
    data = serialize_dat(Waveform(16000, 256, PEAKS, bits=8))
    assert data[:24] == struct.pack("<iIiiIi", 2, 1, 16000, 256, 2, 2)
    assert struct.unpack("<8b", data[24:]) == (-128, 127, 0, 0, 0, 1, -1, 0)


@pytest.mark.parametrize("points", [0, 1, 4095, 4096, 4097, 20_000])
def test_a_long_json_file_has_every_number_in_its_place(points: int) -> None:
    peaks = np.arange(4 * points).astype(np.int16).reshape(points, 2, 2)
    assert json.loads(serialize_json(Waveform(8000, 64, peaks)))["data"] == peaks.ravel().tolist()


def test_a_json_file_says_the_same() -> None:
    assert json.loads(serialize_json(Waveform(16000, 256, PEAKS))) == {
        "version": 2,
        "channels": 2,
        "sample_rate": 16000,
        "samples_per_pixel": 256,
        "bits": 16,
        "length": 2,
        "data": [-32768, 32767, -100, 100, 0, 256, -256, 0],
    }


@given(st.integers(0, 40), st.integers(1, 4), st.sampled_from([8, 16]), st.integers(0, 2**32))
def test_what_was_written_is_read(points: int, channels: int, bits: int, seed: int) -> None:
    peaks = np.random.default_rng(seed).integers(-32768, 32767, (points, channels, 2), np.int16)
    waveform = Waveform(8000, 64, peaks >> 8 << 8 if bits == 8 else peaks, bits)
    assert same(parse_dat(serialize_dat(waveform)), waveform)
    assert same(parse_json(serialize_json(waveform)), waveform)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(23),
        struct.pack("<iIiiIi", 1, 0, 8000, 64, 0, 1),
        struct.pack("<iIiiIi", 2, 0, 8000, 64, 1, 1),
        struct.pack("<iIiiIi", 2, 0, 8000, 64, 0, 1) + b"\0",
        struct.pack("<iIiiIi", 2, 0, 0, 64, 0, 1),
        struct.pack("<iIiiIi", 2, 0, 8000, 0, 0, 1),
        struct.pack("<iIiiIi", 2, 0, 8000, 64, 0, 0),
        struct.pack("<iIiiIi", 2, 0, 8000, 64, 2**32 - 1, -1),
    ],
)
def test_a_dat_file_that_contradicts_itself_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_dat(data)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 1},
        {"bits": 12},
        {"length": 3},
        {"channels": 0, "length": 0, "data": []},
        {"data": [0] * 7},
        {"data": [0] * 7 + [40000]},
        {"data": [0] * 7 + ["x"]},
        {"data": [0] * 7 + [None]},
        {"data": [0] * 7 + [1e400]},
        {"data": None},
        {"sample_rate": None},
    ],
)
def test_a_json_file_that_contradicts_itself_is_malformed(change: dict) -> None:
    body = json.loads(serialize_json(Waveform(16000, 256, PEAKS)))
    with pytest.raises(Malformed):
        parse_json(json.dumps(body | change).encode())


json_values = st.recursive(st.none() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=6)


@given(st.binary(max_size=80), st.dictionaries(st.sampled_from(["bits", "data", "length", "version"]), json_values))
def test_fuzz_anything_is_a_waveform_or_malformed(data: bytes, change: dict) -> None:
    body = json.loads(serialize_json(Waveform(16000, 256, PEAKS)))
    head = struct.pack("<iIii", 2, len(data) % 2, 8000, 64)
    changed = json.dumps(body | change).encode()
    for read, raw in ((parse_dat, data), (parse_dat, head + data), (parse_json, data), (parse_json, changed)):
        with suppress(Malformed):
            assert read(raw).peaks.ndim == 3
