"""Calls with real sound and artifacts in a running vault, and the files that anybody must get of them, made of the
same samples without the vault."""

import gzip
import struct
import time
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np

from tests.media.captures import packet, pcap

RATE = 8000
STARTED_AT = "2025-03-04T05:06:07.000Z"
TURNS = [
    {"role": "assistant", "content": "Good morning, this is Ada.", "start": 0.1, "end": 0.6},
    {"role": "customer", "content": "I need an appointment.", "start": 0.7, "end": 1.2, "confidence": 0.93},
]
FACTS: dict[str, Any] = {
    "direction": "inbound",
    "from": "+15550100",
    "to": "+15550199",
    "assistant": {"id": "7c9e6679-7425-40de-944b-e07fc1f90ae7", "name": "Ada"},
    "phoneNumber": {"id": "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d", "number": "+15550199"},
    "startedAt": STARTED_AT,
    "participants": [{"id": "bob", "name": "Bob", "role": "customer", "number": "+15550100"}],
}
SPOKEN = "AI: Good morning, this is Ada.\nUser: I need an appointment.\n"
"""The same as Vapi has it."""
VIDEO = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(range(256)) * 8
CAPTURE = pcap([(1_000_000 * n, packet(bytes(12) + bytes([n]) * 160)) for n in range(5)])
LOGS = b'{"level":30,"time":1741064767000000000,"severityText":"INFO","body":"the call begins"}\n{"body":"it ends"}\n'


@dataclass(frozen=True)
class Sounded:
    recording_id: str
    call: dict[str, Any]
    customer: np.ndarray
    assistant: np.ndarray

    @property
    def id(self) -> str:
        return str(self.call["id"])

    @property
    def files(self) -> dict[str, bytes]:
        """What Vapi's endpoints hand out, by their names."""
        both = np.stack([self.customer, self.assistant], axis=1)
        return {
            "mono-recording": wav(np.clip(both.astype(np.int32).sum(axis=1), -32768, 32767)),
            "stereo-recording": wav(both),
            "customer-recording": wav(self.customer),
            "assistant-recording": wav(self.assistant),
            "video-recording": VIDEO,
            "pcap": CAPTURE,
        }


def wav(samples: np.ndarray) -> bytes:
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    data = samples.astype("<i2").tobytes()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, RATE, 2 * channels * RATE, 2 * channels, 16)
    return (
        struct.pack("<4sI4s", b"RIFF", 36 + len(data), b"WAVE") + form + struct.pack("<4sI", b"data", len(data)) + data
    )


def noise(seed: int, seconds: float = 1.5) -> np.ndarray:
    """Loud enough that a sum of two goes beyond 16 bits."""
    return np.random.default_rng(seed).integers(-25_000, 25_000, int(seconds * RATE)).astype(np.int16)


def begun(client: httpx.Client, seed: int = 1, *, turns: bool = True, sound: bool = True, **facts: Any) -> Sounded:
    """A call that goes on, with what came in until now."""
    told = ok(client.post("/api/v1/recordings", json={"call": {**FACTS, **facts}}))
    made = Sounded(told["id"], told["call"], noise(seed), noise(seed + 1))
    for lane in ("customer", "assistant") if sound else ():
        put_lane(client, made.recording_id, lane, getattr(made, lane))
    if turns:
        ok(client.put(f"/api/v1/recordings/{made.recording_id}/transcript", json={"turns": TURNS}))
    return made


def put_lane(client: httpx.Client, recording_id: str, lane: str, samples: np.ndarray) -> None:
    place = f"/api/v1/recordings/{recording_id}/lanes/{lane}/takes/0?start=0"
    headers = {"content-type": f"audio/L16;rate={RATE};channels=1"}
    ok(client.put(place, content=samples.astype(">i2").tobytes(), headers=headers))


def with_artifacts(client: httpx.Client, made: Sounded) -> Sounded:
    kinds = {
        "video": ("video/mp4", VIDEO),
        "call-logs": ("application/jsonl", LOGS),
        "pcap": ("application/vnd.tcpdump.pcap", CAPTURE),
    }
    for kind, (media_type, data) in kinds.items():
        place = f"/api/v1/recordings/{made.recording_id}/artifacts/{kind}"
        ok(client.put(place, content=data, headers={"content-type": media_type}))
    return made


def ended(client: httpx.Client, made: Sounded) -> Sounded:
    ok(client.post(f"/api/v1/recordings/{made.recording_id}/complete"))
    settled(client, made.recording_id)
    return made


def settled(client: httpx.Client, recording_id: str) -> None:
    for _ in range(1200):
        if ok(client.get(f"/api/v1/recordings/{recording_id}"))["status"] in ("completed", "failed"):
            return
        time.sleep(0.05)
    raise AssertionError("the recording does not complete")


def same_logs(received: bytes) -> bool:
    return gzip.decompress(received) == LOGS


def ok(answer: httpx.Response) -> Any:
    assert answer.is_success, answer.text
    return answer.json()
