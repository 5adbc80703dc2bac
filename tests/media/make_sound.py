"""Makes the files of tests/media/sound, each named for its defect: `.venv/bin/python tests/media/make_sound.py`.

The sound is a tone of 440 Hz, of half the full scale, 16 kHz, one channel, 0.5 s unless the name says otherwise.
"""

import struct
from io import BytesIO
from pathlib import Path

import av
import numpy as np

from callvault.adapters.codecs.pyav import PyAvCodecs
from callvault.wire import wav

HERE = Path(__file__).parent / "sound"
RATE = 16000
TONE = np.rint(16384 * np.sin(2 * np.pi * 440 * np.arange(RATE // 2) / RATE)).astype("<i2")
WAV = wav.header(RATE, 1, len(TONE)) + TONE.tobytes()


def encoded(format: str, samples: np.ndarray = TONE) -> bytes:
    return b"".join(PyAvCodecs().encode([samples], format=format, rate=RATE, channels=1))


def webm_with_a_gap() -> bytes:
    """The packets from 0.2 s to 1.2 s never came: those behind them keep their timestamps."""
    file = BytesIO()
    with av.open(file, "w", format="webm", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libopus", rate=48000, layout="mono")
        tone = (16384 * np.sin(2 * np.pi * 440 * np.arange(48000 * 3 // 2) / 48000)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(tone.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = 48000, 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            if not 0.2 <= packet.pts * packet.time_base < 1.2:
                container.mux(packet)
    return file.getvalue()


def video_without_sound() -> bytes:
    file = BytesIO()
    with av.open(file, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 16
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8))))
        container.mux(stream.encode(None))
    return file.getvalue()


def patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def floats_beyond_full_scale() -> bytes:
    values = np.array([0.0, 0.5, 1.0, 1.5, -1.0, -1.5, np.inf, -np.inf, np.nan, 1e30], "<f4").tobytes()
    head = bytearray(wav.header(RATE, 1, 10, 32))
    head[20:22] = b"\3\0"
    return bytes(head) + values


def samples_without_bytes() -> bytes:
    """Twenty million samples of a byte each, all of them in its first chunk."""
    whole = encoded("m4a")
    of_chunks, sizes = whole.index(b"stsc") + 12, whole.index(b"stsz") + 8
    many = struct.pack(">I", 20_000_000)
    return patched(patched(whole, of_chunks + 4, many), sizes, b"\0\0\0\1" + many)


FILES = {
    "sizes-zero-after-a-crash.wav": lambda: patched(patched(WAV, 4, bytes(4)), 40, bytes(4)),
    "sizes-unknown-from-a-pipe.wav": lambda: patched(patched(WAV, 4, b"\xff" * 4), 40, b"\xff" * 4),
    "cut-off.wav": lambda: WAV[: 44 + len(TONE)],
    "header-alone.wav": lambda: WAV[:44],
    "list-of-two-gigabytes.wav": lambda: WAV[:36] + b"LIST\xff\xff\xff\x7fINFOINAM\xf0\xff\xff\x7f" + WAV[36:],
    "rate-of-one-hertz.wav": lambda: patched(WAV, 24, b"\1\0\0\0"),
    "floats-beyond-full-scale.wav": floats_beyond_full_scale,
    "xml-error-page.wav": lambda: b"<?xml version='1.0'?>\n<Error><Code>NoSuchKey</Code><Key>a.wav</Key></Error>\n",
    "playlist-of-a-local-file.wav": lambda: b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n",
    "list-of-a-local-file.wav": lambda: b"ffconcat version 1.0\nfile /etc/hostname\n",
    "video-without-sound.mp4": video_without_sound,
    "index-cut-off.m4a": lambda: encoded("m4a")[:200],
    "samples-without-bytes.m4a": samples_without_bytes,
    "cut-off.flac": lambda: encoded("flac", np.tile(TONE, 4))[:-2000],
    "last-page-missing.ogg": lambda: encoded("ogg", np.tile(TONE, 6))[: -len(encoded("ogg")) // 2],
    "bytes-damaged.mp3": lambda: patched(encoded("mp3", np.tile(TONE, 4)), 6000, bytes(range(256)) * 4),
    "one-second-missing.webm": webm_with_a_gap,
}


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    for name, make in FILES.items():
        (HERE / name).write_bytes(make())
