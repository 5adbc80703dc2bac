"""Encoders and decoders beside Debian's ffmpeg, on the same hour of speech, one after the other.

python -m bench.codecs [seconds]
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from callvault.adapters.codecs import lame
from callvault.adapters.codecs.encoding import FORMATS
from callvault.adapters.codecs.pyav import PyAvCodecs
from callvault.ports.codecs import Samples, SoundLimits
from callvault.wire import wav

SECONDS = 3600
RATE = 16000
ROUNDS = 3
SPEECH = Path(__file__).parents[1] / "src" / "callvault" / "cli" / "samples" / "clinic"
Line = tuple[str, ...]


def run(seconds: int = SECONDS) -> list[Line]:
    with tempfile.TemporaryDirectory(prefix="callvault-bench-") as folder:
        source = Path(folder) / "speech.wav"
        _write_speech(source, seconds)
        head = (f"{seconds} s of speech, mono, {RATE} Hz", "ours", "ffmpeg", "ffmpeg / ours")
        return [head, *(_encoding(source, format) for format in FORMATS), *(_decoding(source, f) for f in FORMATS)]


def _write_speech(path: Path, seconds: int) -> None:
    """The samples' own call, over and over."""
    with (SPEECH / "customer.ogg").open("rb") as customer, (SPEECH / "assistant.ogg").open("rb") as assistant:
        lanes = [
            np.concatenate(list(PyAvCodecs().decode(file, SoundLimits())))[::3, 0] for file in (customer, assistant)
        ]
    shorter = min(map(len, lanes))
    mixed = (lanes[0][:shorter] // 2 + lanes[1][:shorter] // 2).astype("<i2")
    sound = np.resize(mixed, seconds * RATE)
    path.write_bytes(wav.header(RATE, 1, len(sound)) + sound.tobytes())


def _encoding(source: Path, format: str) -> Line:
    form = FORMATS[format]
    bits = ["-b:a", str(form.bits_for(form.rate_for(RATE), 1))] if form.bits else []
    target = source.with_name(f"theirs.{format}")
    codec = ["-c:a", form.codec]
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(_seconds(lambda: _encode(source, format)))
        theirs.append(_seconds(lambda: _ffmpeg("-i", str(source), *codec, *bits, str(target))))
    label = " (lameenc)" if format == "mp3" and lame.AVAILABLE else ""
    return _line(f"encode {format}{label}", ours, theirs)


def _encode(source: Path, format: str) -> None:
    with source.with_name(f"ours.{format}").open("wb") as file:
        file.writelines(PyAvCodecs().encode(_blocks(source), format=format, rate=RATE, channels=1))


def _blocks(source: Path) -> Iterator[Samples]:
    with source.open("rb") as file:
        file.seek(44)
        while data := file.read(2 * RATE):
            yield np.frombuffer(data, "<i2")


def _decoding(source: Path, format: str) -> Line:
    made, target = source.with_name(f"ours.{format}"), source.with_name("theirs.raw")
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(_seconds(lambda: _decode(made)))
        theirs.append(_seconds(lambda: _ffmpeg("-i", str(made), "-f", "s16le", str(target))))
    return _line(f"decode {format}", ours, theirs)


def _decode(made: Path) -> None:
    with made.open("rb") as file, made.with_name("ours.raw").open("wb") as target:
        for block in PyAvCodecs().decode(file, SoundLimits()):
            target.write(block.data)


def _ffmpeg(*arguments: str) -> None:
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", "-threads", "1", *arguments], check=True)


def _seconds(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _line(what: str, ours: list[float], theirs: list[float]) -> Line:
    return what, f"{min(ours):.2f} s", f"{min(theirs):.2f} s", f"{min(theirs) / min(ours):.2f}"


if __name__ == "__main__":
    for line in run(*map(int, sys.argv[1:])):
        print("  ".join((line[0].ljust(48), *(cell.rjust(14) for cell in line[1:]))))
