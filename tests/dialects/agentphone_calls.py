"""AgentPhone's calls in a running vault, and the WAV that anybody must get of them, made without the vault."""

from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np

from tests.dialects.soundcalls import noise, ok, put_lane, settled, wav

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
    return wav(np.clip(summed, -32768, 32767))


def noises() -> dict[str, np.ndarray]:
    return {"customer": noise(7, SECONDS), "assistant": noise(8, SECONDS)}


def begun(client: httpx.Client, turns: list[dict[str, Any]] | None = None, **facts: Any) -> Recorded:
    """A call that is going on, with sound and what was said until now."""
    told, lanes = ok(client.post("/api/v1/recordings", json={"call": {**FACTS, **facts}})), noises()
    for name, sound in lanes.items():
        put_lane(client, told["id"], name, sound)
    if turns is not None:
        ok(client.put(f"/api/v1/recordings/{told['id']}/transcript", json={"turns": turns}))
    return Recorded(told["id"], told["call"], lanes)


def ended(client: httpx.Client, recorded: Recorded) -> Recorded:
    ok(client.post(f"/api/v1/recordings/{recorded.id}/complete"))
    settled(client, recorded.id)
    return recorded
