"""Recordings of known samples over the whole house in memory, and what was made of them, sample by sample."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from callvault.adapters.jobs.leased import LeasedJobs
from callvault.domain.job import ENDED, Job
from callvault.domain.workspace import SCOPES
from callvault.worker import Worker
from tests.webhouse import WebHouse
from tests.workhouse import until

RATE = 8000
READER = [scope for scope in SCOPES if scope != "recordings:original"]
SIDES = ("customer", "assistant")


def noise(seconds: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-9000, 9000, round(seconds * RATE)).astype(np.int16)


@dataclass
class ActionHouse:
    web: WebHouse

    async def ok(self, method: str, path: str, status: tuple[int, ...] = (200, 201), **more: Any) -> Any:
        answer = await self.web.client.request(method, path if "://" in path else f"/api/v1{path}", **more)
        assert answer.status_code in status, answer.text
        return answer.json() if "json" in answer.headers.get("content-type", "") else answer.content

    async def recording(self, seconds: float = 4, seed: int = 1, call: dict | None = None, **lanes: Any) -> dict:
        """Ended; noise on both sides, or what is given for each lane."""
        self.web.clock.advance(1)
        made = await self.ok("POST", "/recordings", json={"call": call or {}})
        sounds = lanes or {lane: noise(seconds, 10 * seed + n) for n, lane in enumerate(SIDES)}
        for lane, sound in sounds.items():
            place, form = f"/recordings/{made['id']}/lanes/{lane}/takes/0?start=0", f"audio/L16;rate={RATE}"
            await self.ok("PUT", place, content=sound.astype(">i2").tobytes(), headers={"content-type": form})
        return await self.ok("POST", f"/recordings/{made['id']}/complete")

    async def do(self, verb: str, recording: dict | str, headers: Any = None, **asked: Any) -> dict:
        """A moment later than what was done before."""
        self.web.clock.advance(1)
        name = recording if isinstance(recording, str) else recording["id"]
        return await self.ok("POST", f"/recordings/{name}/{verb}", json=asked, headers=headers)

    async def refused(self, verb: str, recording: dict, headers: Any = None, **asked: Any) -> tuple[int, str]:
        answer = await self.web.client.post(f"/api/v1/recordings/{recording['id']}/{verb}", json=asked, headers=headers)
        return answer.status_code, answer.json()["code"]

    async def wav(self, recording: dict, view: str = "stereo", headers: Any = None) -> np.ndarray:
        content = await self.ok("GET", f"/recordings/{recording['id']}/audio.wav?view={view}", headers=headers)
        sound = np.frombuffer(content[44:], "<i2")
        return sound.reshape(-1, 2) if view == "stereo" else sound

    async def events(self, recording: dict) -> list[str]:
        told = await self.ok("GET", f"/events?recordingId={recording['id']}")
        return [event["type"].removeprefix("recording.") for event in told["data"]]

    async def reader(self) -> dict[str, str]:
        """A key that may do everything, but hear originals."""
        return await self.web.bearer(*READER)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        services, clock, ids = self.web.services, self.web.clock, self.web.adapters.ids
        engine = LeasedJobs(services.store, clock, ids, poll_seconds=0.005)
        worker = Worker(engine, services.store, services.verbs.kinds(), clock=clock, ids=ids)
        running = asyncio.create_task(worker.run())
        try:
            yield
        finally:
            await worker.stop(2)
            await running

    async def job_ended(self, version: dict) -> Job:
        async def ended() -> Job | None:
            job = await self.web.services.store.get(Job, version["id"])
            return job if job and job.state in ENDED else None

        found: Job = await until(ended)
        return found


def span(start: float, end: float, **more: Any) -> dict[str, Any]:
    return {"start": start, "end": end, **more}


def covered(
    sound: np.ndarray, start: float, end: float, cover: Callable[[np.ndarray], Any] | None = None
) -> np.ndarray:
    """Silent between two seconds, or as is said."""
    out = sound.copy()
    part = out[round(start * RATE) : round(end * RATE)]
    part[...] = cover(part) if cover else 0
    return out


def is_beep(sound: np.ndarray) -> bool:
    """A tone of 1 kHz and nothing else."""
    power = np.abs(np.fft.rfft(sound.astype(float))) ** 2
    at = round(1000 * len(sound) / RATE)
    return bool(power.argmax() == at and power[at - 1 : at + 2].sum() > 0.999 * power.sum())
