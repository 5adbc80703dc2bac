"""Calls with real sound in a running vault, and the WAV that anybody must get of them, made without the vault."""

import struct
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np

RATE = 8000
SECONDS = 2
TURNS = [
    {"role": "assistant", "content": "Good morning, this is Ada.", "start": 0.1, "end": 0.6},
    {"role": "customer", "content": "I need an appointment.", "start": 0.7, "end": 1.2, "confidence": 0.93},
    {"role": "assistant", "content": "Tomorrow at ten?", "start": 1.3, "end": 1.8},
]
FACTS: dict[str, Any] = {
    "direction": "inbound",
    "from": "+15550100",
    "to": "+15550199",
    "assistant": {"id": "agt_ada", "name": "Ada"},
    "phoneNumber": {"id": "num_1", "number": "+15550199"},
    "startedAt": "2026-03-04T05:06:07Z",
}


@dataclass(frozen=True)
class Recorded:
    id: str
    """The recording's."""
    call: dict[str, Any]
    lanes: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def public_id(self) -> str:
        return str(self.call["publicId"])

    @property
    def wav(self) -> bytes:
        return wav_of(*self.lanes.values())


def wav_of(*lanes: np.ndarray) -> bytes:
    """All lanes in one channel: summed, and at its bounds where the sum is beyond them."""
    summed = np.sum([lane.astype(np.int64) for lane in lanes], axis=0)
    data = np.clip(summed, -32768, 32767).astype("<i2").tobytes()
    head = struct.pack("<4sI4s", b"RIFF", 36 + len(data), b"WAVE")
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    return head + form + struct.pack("<4sI", b"data", len(data)) + data


def begun(client: httpx.Client, turns: list[dict[str, Any]] | None = None, **facts: Any) -> Recorded:
    """A call that is going on, with sound and what was said until now."""
    told = _ok(client.post("/api/v1/recordings", json={"call": {**FACTS, **facts}}))
    lanes = noises()
    for name, sound in lanes.items():
        place = f"/api/v1/recordings/{told['id']}/lanes/{name}/takes/0?start=0"
        headers = {"content-type": f"audio/L16;rate={RATE};channels=1"}
        _ok(client.put(place, content=sound.astype(">i2").tobytes(), headers=headers))
    if turns is not None:
        _ok(client.put(f"/api/v1/recordings/{told['id']}/transcript", json={"turns": turns}))
    return Recorded(told["id"], told["call"], lanes)


def ended(client: httpx.Client, recorded: Recorded) -> Recorded:
    _ok(client.post(f"/api/v1/recordings/{recorded.id}/complete"))
    _ok(client.post(f"/api/v1/calls/{recorded.call['id']}/end", json={"reason": "customer-ended-call"}))
    for _ in range(200):
        if _ok(client.get(f"/api/v1/recordings/{recorded.id}"))["status"] == "completed":
            return recorded
        time.sleep(0.05)
    raise AssertionError("the recording does not complete")


def noises() -> dict[str, np.ndarray]:
    """Loud enough that their sum goes beyond 16 bits."""
    sound = np.random.default_rng(7).integers(-25_000, 25_000, (2, SECONDS * RATE)).astype(np.int16)
    return {"customer": sound[0], "assistant": sound[1]}


def _ok(answer: httpx.Response) -> Any:
    assert answer.is_success, answer.text
    return answer.json()
