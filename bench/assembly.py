"""Assembly: a call's WAV from its index and its takes, beside ffmpeg, sox and cp; its memory; its first byte anywhere.

python -m bench.assembly [hours of the long call]
"""

import asyncio
import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.codecs import _write_speech as write_speech
from callvault.adapters.allocator import keep_freed_blocks
from callvault.adapters.blobs.disk import DiskBlobs
from callvault.adapters.blobs.sealed import SealedBlobs
from callvault.adapters.codecs.encoding import FORMATS
from callvault.adapters.codecs.pyav import PyAvCodecs
from callvault.adapters.keys.master import KeyBytes
from callvault.adapters.keys.memory import MemoryKeyring
from callvault.adapters.spool.memory import MemorySpool
from callvault.adapters.store.migration import migrate
from callvault.adapters.store.sqlite import SqliteStore
from callvault.adapters.system import SystemClock, SystemIds
from callvault.domain.lane import Lane, Segment
from callvault.domain.recording import Recording
from callvault.domain.unit import Unit
from callvault.domain.workspace import WorkspaceKey
from callvault.ports.blobs import Blobs
from callvault.services.delivery.renditions import Renditions
from callvault.services.delivery.takes import CodedTakes
from callvault.services.delivery.views import View, Views
from callvault.services.ingest.packing import pack
from callvault.services.ingest.sound import decoder
from callvault.services.timelines import Timelines
from callvault.wire.spoolfile import Piece

RATE = 16_000
MINUTE = 60 * RATE
ROUNDS = 5
LONG_HOURS = 10
LANES = ("customer", "assistant")
Line = tuple[str, ...]


@dataclass
class Vault:
    """The store, the storage and the views, with nothing of any recording in mind."""

    store: SqliteStore
    blobs: Blobs
    views: Views

    @staticmethod
    def at(folder: Path, sealed: bool) -> "Vault":
        database = folder / "vault.db"
        if not database.exists():
            migrate(f"sqlite:///{database}")
        store, bare = SqliteStore(database), DiskBlobs(folder / "blobs")
        blobs: Blobs = SealedBlobs(bare, _keyring()) if sealed else bare
        timelines = Timelines(store, MemorySpool(), SystemClock())
        return Vault(store, blobs, Views(timelines, blobs, CodedTakes(PyAvCodecs())))

    async def view(self, name: str) -> View:
        recording = await self.store.get(Recording, name)
        assert recording
        return await self.views.open(recording)


def _keyring() -> MemoryKeyring:
    """The same in every process."""
    master = KeyBytes(b"m" * 32)
    wrapped = master.wrap(b"k" * 32, "w")
    key = WorkspaceKey(id="k", workspace_id="w", created_ms=1, wrapped=wrapped, master_key_id=master.id)
    keyring = MemoryKeyring(master)
    keyring.learn("w", [key], None)
    return keyring


# -- a recording as ingest leaves it ---------------------------------------------------------------


async def record(vault: Vault, name: str, minutes: int, sounds: list[np.ndarray]) -> None:
    """Two lanes of 16-bit sound in takes of a second and segments of a minute."""
    recording = Recording(
        id=name,
        workspace_id="w",
        call_id="c",
        created_ms=1,
        updated_ms=1,
        last_heard_ms=1,
        status="completed",
        in_progress=False,
        sound_version=1,
    )
    unit = Unit()
    unit.add(recording)
    for lane, sound in zip(LANES, sounds, strict=True):
        unit.add(Lane(recording_id=name, name=lane, workspace_id="w", role=lane, rate=RATE))
        for minute in range(minutes):
            unit.add(*_segment(vault.blobs, name, lane, minute, np.roll(sound, 977 * minute)[:MINUTE]))
    await vault.store.commit(unit)


def _segment(blobs: Blobs, name: str, lane: str, minute: int, sound: np.ndarray) -> tuple[object, object]:
    payload, first = sound.astype("<i2").tobytes(), minute * MINUTE
    seconds = range(0, MINUTE, RATE)
    pieces = [
        Piece(lane, (first + at) // RATE, "s16le", RATE, first + at, RATE, payload[2 * at : 2 * (at + RATE)], b"d" * 32)
        for at in seconds
    ]
    packed = pack(pieces, decoder(PyAvCodecs()))
    key = f"w/{name}/{lane}/{minute}"
    stored = blobs.put(key, [packed.body], workspace_id="w")
    row = Segment(
        recording_id=name,
        lane=lane,
        seq=minute,
        workspace_id="w",
        object_key=key,
        first_sample=packed.first_sample,
        end_sample=packed.end_sample,
        runs=packed.runs,
        takes=packed.takes,
        peaks_offset=packed.peaks_offset,
    )
    return row, replace(stored, workspace_id="w", recording_id=name, created_ms=1)


# -- what a process of its own measures ------------------------------------------------------------


async def _whole(vault: Vault, name: str, target: str) -> dict[str, float]:
    """From the cold index to the last byte of a new file: one that is written over costs another 30 ms on ext4, which
    begins to write it out when it is closed. Memory is beyond that of a program that has done it on a short call."""
    await _write(vault, "short", target)
    os.unlink(target)
    idle = _resident("VmRSS")
    _forget_peak()
    began, cpu = time.perf_counter(), time.process_time()
    await _write(vault, name, target)
    seconds, used = time.perf_counter() - began, time.process_time() - cpu
    return {"seconds": seconds, "cpu": used, "mib": (_resident("VmHWM") - idle) / 1024}


async def _write(vault: Vault, name: str, target: str) -> None:
    """In a thread of its own, as whoever makes a file of a view does."""
    view = await vault.view(name)
    await asyncio.to_thread(_write_pieces, view, target)


def _write_pieces(view: View, target: str) -> None:
    with open(target, "wb", buffering=0) as file:
        for piece in view.pieces():
            file.write(piece)


async def _first_byte(vault: Vault, name: str, minute: str) -> dict[str, float]:
    """Of a program that has answered before, but nothing of this call, and has settled as the house does: else what it
    imported is looked through for garbage, some time or other."""
    await vault.view("short")
    gc.freeze()
    began = time.perf_counter()
    view = await vault.view(name)
    async for _ in view.stream(len(view.wav_header) + int(minute) * MINUTE * 2):
        return {"seconds": time.perf_counter() - began}
    raise AssertionError("no byte")


async def _mp3(vault: Vault, name: str, _: str) -> dict[str, float]:
    began = time.perf_counter()
    renditions = Renditions(vault.store, vault.views, PyAvCodecs(), clock=SystemClock(), ids=SystemIds())
    recording = await vault.store.get(Recording, name)
    assert recording
    content = await renditions.made(recording, "mono", "mp3")
    return {"seconds": time.perf_counter() - began, "size": content.length}


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _resident(what: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what))
    return int(line.split()[1])


MEASURES: dict[str, Callable[[Vault, str, str], Awaitable[dict[str, float]]]] = {
    "whole": _whole,
    "first byte": _first_byte,
    "mp3": _mp3,
}


def ours(measure: str, folder: Path, name: str, argument: object) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.assembly", "--", measure, str(folder), name, str(argument)]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


async def _measured(measure: str, folder: str, name: str, argument: str) -> dict[str, float]:
    keep_freed_blocks()
    vault = Vault.at(Path(folder), sealed=folder.endswith("/sealed"))
    try:
        return await MEASURES[measure](vault, name, argument)
    finally:
        await vault.store.close()


# -- the tables ------------------------------------------------------------------------------------


def run(long_hours: int = LONG_HOURS) -> list[Line]:
    with tempfile.TemporaryDirectory(prefix="callvault-bench-", dir=os.environ.get("TMPDIR")) as place:
        folder = Path(place)
        sounds = [_speech(folder, shift) for shift in (0, 31 * RATE)]
        vaults = {kind: folder / kind for kind in ("unsealed", "sealed")}
        asyncio.run(_fill(vaults, sounds, long_hours))
        _lanes(vaults["unsealed"], folder)
        return [
            *_whole_lines(vaults, folder),
            *_memory_lines(vaults, folder, long_hours),
            *_first_byte_lines(vaults),
            *_mp3_lines(vaults["sealed"], folder),
        ]


def _speech(folder: Path, shift: int) -> np.ndarray:
    write_speech(folder / "speech.wav", 300)
    sound = np.frombuffer((folder / "speech.wav").read_bytes(), "<i2", offset=44)
    return np.roll(sound, shift)


async def _fill(vaults: dict[str, Path], sounds: list[np.ndarray], long_hours: int) -> None:
    calls = {"short": 2, "hour": 60, "four hours": 240, "long": 60 * long_hours}
    for kind, folder in vaults.items():
        folder.mkdir()
        vault = Vault.at(folder, kind == "sealed")
        for name, minutes in calls.items():
            await record(vault, name.replace(" ", "-"), minutes, sounds)
        await vault.store.close()


def _lanes(folder: Path, to: Path) -> None:
    """The hour's lanes as the files that the peers mix."""

    async def write() -> None:
        vault = Vault.at(folder, sealed=False)
        recording = await vault.store.get(Recording, "hour")
        assert recording
        for lane in LANES:
            view = await vault.views.open(recording, lane)
            with (to / f"{lane}.wav").open("wb") as file:
                file.writelines(view.pieces())
        await vault.store.close()

    asyncio.run(write())


def _whole_lines(vaults: dict[str, Path], folder: Path) -> list[Line]:
    a, b = (str(folder / f"{lane}.wav") for lane in LANES)
    made, copy = str(folder / "ours.wav"), str(folder / "copy.wav")
    theirs, mixed = str(folder / "sox.wav"), str(folder / "ffmpeg.wav")
    peers = {
        "ffmpeg amix": [*FFMPEG, "-i", a, "-i", b, "-filter_complex", "amix=inputs=2:normalize=0", mixed],
        "sox -m": ["sox", "-m", a, b, str(folder / "half.wav")],
        "cp": ["cp", made, copy],
    }
    wall: dict[str, float] = {}
    cpu: dict[str, float] = {}
    for _ in range(ROUNDS):
        for kind, vault in vaults.items():
            told = ours("whole", vault, "hour", made)
            _better(wall, kind, told["seconds"])
            _better(cpu, kind, told["cpu"])
        for name, command in peers.items():
            seconds, used = _run(command)
            _better(wall, name, seconds)
            _better(cpu, name, used)
    subprocess.run(["sox", "-D", "-m", "-v", "1", a, "-v", "1", b, theirs], check=True)
    assert Path(made).read_bytes()[44:] == Path(theirs).read_bytes()[44:], "sox hears something else"
    lines: list[Line] = [("mono WAV of 1 h, two lanes of 16 kHz", "s", *(f"{name} / ours" for name in peers))]
    for what, best in (("by the clock", wall), ("of CPU", cpu)):
        for kind in vaults:
            ratios = (f"{best[peer] / best[kind]:.2f}" for peer in peers)
            lines.append((f"{kind}, {what}", f"{best[kind]:.3f}", *ratios))
        lines.append((f"peers, {what}", "", *(f"{best[peer]:.3f}" for peer in peers)))
    return lines


def _memory_lines(vaults: dict[str, Path], folder: Path, long_hours: int) -> list[Line]:
    """The highest of several runs: how high one comes hangs on how its threads meet."""
    target = str(folder / "ours.wav")
    lines = [("peak memory over idle, MiB", "1 h", f"{long_hours} h")]
    for kind, vault in vaults.items():
        peaks = [max(ours("whole", vault, name, target)["mib"] for _ in range(ROUNDS)) for name in ("hour", "long")]
        lines.append((kind, *(f"{mib:.1f}" for mib in peaks)))
    return lines


def _first_byte_lines(vaults: dict[str, Path]) -> list[Line]:
    lines = [("first byte of a 4 h call never read before, ms", "minute 1", "minute 235", "235 / 1")]
    for kind, vault in vaults.items():
        best: dict[str, float] = {}
        for _ in range(2 * ROUNDS):
            for minute in ("1", "235"):
                _forget(vault)
                _better(best, minute, 1000 * ours("first byte", vault, "four-hours", minute)["seconds"])
        lines.append((kind, f"{best['1']:.1f}", f"{best['235']:.1f}", f"{best['235'] / best['1']:.2f}"))
    return lines


def _mp3_lines(vault: Path, folder: Path) -> list[Line]:
    form, target = FORMATS["mp3"], str(folder / "theirs.mp3")
    source = ["-i", str(folder / "ours.wav"), "-t", "3600"]
    bits = ["-c:a", form.codec, "-b:a", str(form.bits_for(form.rate_for(RATE), 1))]
    mine = ours("mp3", vault, "hour", "")["seconds"]
    theirs, _ = _run([*FFMPEG, *source, *bits, target])
    return [("mp3 of 1 h, sealed", "ours, s", "ffmpeg, s", "ffmpeg / ours"), _ratio("from takes", mine, theirs)]


def _ratio(name: str, mine: float, theirs: float) -> Line:
    return name, f"{mine:.2f}", f"{theirs:.2f}", f"{theirs / mine:.2f}"


FFMPEG = ["ffmpeg", "-nostdin", "-loglevel", "error", "-y"]


def _run(command: list[str]) -> tuple[float, float]:
    """Seconds by the clock, and of CPU, of a command that ends with the file it makes: a new one, as ours is."""
    Path(command[-1]).unlink(missing_ok=True)
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - began, used


def _better(best: dict[str, float], name: str, seconds: float) -> None:
    best[name] = min(seconds, best.get(name, seconds))


def _forget(vault: Path) -> None:
    """The system's memory of the files, too, so that they are read from the disk."""
    for path in vault.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def main(arguments: list[str]) -> Any:
    if arguments[:1] == ["--"]:
        return print(json.dumps(asyncio.run(_measured(*arguments[1:]))))
    for line in run(*map(int, arguments)):
        print(" | ".join(line))
    return None


if __name__ == "__main__":
    main(sys.argv[1:])
