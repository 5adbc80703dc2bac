"""A segment's index: where its takes lie on the lane and in the object; a million takes are no burden."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RUN = np.dtype(
    [
        ("start", "<i8"),
        ("samples", "<i8"),
        ("offset", "<i8"),
        ("length", "<i8"),
        ("take", "<i8"),
        ("codec", "<u1"),
    ]
)
"""A stretch of sound in one codec: its place on the lane, the bytes in the object that hold it, the take's number."""

TAKE = np.dtype([("take", "<i8"), ("start", "<i8"), ("samples", "<i8"), ("digest", "V32")])

CODECS = ("pcmu", "pcma", "l16", "s16le", "file", "g722")
BYTES_PER_SAMPLE = {"pcmu": 1, "pcma": 1, "l16": 2, "s16le": 2}
"""For the codecs in which any sample can be reached without those before it."""
STREAMED = "g722"
"""The codec whose bytes hang on those before them, from take to take, so that a lane of it is one stream."""
STREAMED_SAMPLES_PER_BYTE = 2


class TakeMark(NamedTuple):
    """Which bytes came under a take's number, so that the same again is known and others are refused."""

    take: int
    start: int
    samples: int
    digest: bytes


def parse_runs(data: bytes) -> NDArray[np.void]:
    return np.frombuffer(data, RUN)


def parse_takes(data: bytes) -> list[TakeMark]:
    marks = np.frombuffer(data, TAKE)
    return [TakeMark(int(m["take"]), int(m["start"]), int(m["samples"]), bytes(m["digest"])) for m in marks]


def serialize_takes(marks: list[TakeMark]) -> bytes:
    return np.array([(m.take, m.start, m.samples, m.digest) for m in marks], TAKE).tobytes()
