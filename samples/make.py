"""Speaks the sample calls with espeak-ng and lays each lane into an Ogg file: `python samples/make.py`.

Needs Debian's espeak-ng and ffmpeg. The results are committed under src/callvault/cli/samples, so that nobody
else needs either. A pause before a turn may be negative: then the two talk over each other.
"""

import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soxr

TARGET = Path(__file__).parents[1] / "src/callvault/cli/samples"
RATE = 16_000
VOICES = {"customer": ("en-us+f3", 165), "assistant": ("en-gb+m3", 155)}

CALLS: dict[str, dict] = {
    "clinic": {
        "facts": {
            "direction": "inbound",
            "kind": "phone",
            "from": "+15550100123",
            "to": "+15550100999",
            "assistant": {"id": "asst-clinic", "name": "Ada"},
            "phoneNumber": {"id": "num-clinic", "number": "+15550100999"},
            "participants": [
                {"id": "member-front-desk", "name": "Ada", "role": "assistant"},
                {"id": "patient-4711", "name": "Jane Miller", "role": "customer", "number": "+15550100123"},
            ],
        },
        "tags": ["appointment"],
        "turns": [
            ("assistant", 400, "Thank you for calling Riverside Clinic. This is Ada. How can I help you today?"),
            ("customer", 500, "Hi Ada, this is Jane Miller. I need to move my appointment with Doctor Brown."),
            ("assistant", 450, "Of course. May I have your date of birth, please?"),
            ("customer", 600, "Sure, it is the fourth of March, nineteen eighty five."),
            ("assistant", 500, "Thank you, Jane. I see you on Tuesday at ten. Which day would suit you better?"),
            ("customer", -700, "Could we do Thursday, in the afternoon?"),
            ("assistant", 500, "Thursday at three fifteen is free. Shall I book it for you?"),
            ("customer", 300, "Yes, please. That is perfect."),
            ("assistant", 350, "Done. You will get a text message in a minute. Have a good day!"),
            ("customer", -300, "Thank you, bye."),
        ],
    },
    "payment": {
        "facts": {
            "direction": "outbound",
            "kind": "phone",
            "from": "+15550100777",
            "to": "+15550100456",
            "assistant": {"id": "asst-billing", "name": "Max"},
            "phoneNumber": {"id": "num-billing", "number": "+15550100777"},
            "participants": [
                {"id": "member-billing", "name": "Max", "role": "assistant"},
                {"id": "customer-0815", "name": "Tom Reed", "role": "customer", "number": "+15550100456"},
            ],
        },
        "tags": ["billing"],
        "paused_after": 3,
        "turns": [
            ("assistant", 300, "Hello, this is Max from Northwind Energy. Am I speaking with Tom Reed?"),
            ("customer", 400, "Yes, speaking."),
            ("assistant", 400, "Your invoice for October is open. Would you like to pay it by card now?"),
            ("customer", 700, "Okay, let me get my card. One second."),
            ("customer", 2600, "All right, I have it here."),
            ("assistant", 400, "Thank you. The payment went through, and the receipt is on its way."),
            ("customer", 400, "Great, thanks a lot. Goodbye."),
        ],
    },
    "web": {
        "facts": {
            "direction": "web",
            "kind": "web",
            "assistant": {"id": "asst-clinic", "name": "Ada"},
            "participants": [
                {"id": "member-front-desk", "name": "Ada", "role": "assistant"},
                {"id": "visitor-1", "name": "Web visitor", "role": "customer"},
            ],
        },
        "tags": ["web", "short"],
        "turns": [
            ("customer", 300, "Hello? Are you open on Saturday?"),
            ("assistant", 400, "Hello! Yes, we are open on Saturday, from nine until one."),
            ("customer", 350, "Perfect, see you then."),
        ],
    },
}


def spoken(role: str, text: str) -> np.ndarray:
    voice, speed = VOICES[role]
    with tempfile.NamedTemporaryFile(suffix=".wav") as out:
        subprocess.run(["espeak-ng", "-v", voice, "-s", str(speed), "-w", out.name, text], check=True)
        raw = Path(out.name).read_bytes()
    rate = int.from_bytes(raw[24:28], "little")
    sound = soxr.resample(np.frombuffer(raw[44:], "<i2").astype(np.float32) / 32768, rate, RATE)
    return np.trim_zeros(np.round(sound * 32767 * 0.7).astype(np.int16))


def make(name: str, call: dict) -> None:
    clock, placed, turns = 0, [], []
    for role, pause_ms, text in call["turns"]:
        sound = spoken(role, text)
        start = max(0, clock + pause_ms * RATE // 1000)
        placed.append((role, start, sound))
        turns.append(
            {
                "role": role,
                "content": text,
                "startMs": start * 1000 // RATE,
                "endMs": (start + len(sound)) * 1000 // RATE,
            }
        )
        clock = start + len(sound)
    folder = TARGET / name
    folder.mkdir(parents=True, exist_ok=True)
    for lane in VOICES:
        samples = np.zeros(clock + RATE // 2, np.int16)
        for role, start, sound in placed:
            if role == lane:
                samples[start : start + len(sound)] = sound
        encode(samples, folder / f"{lane}.ogg")
    facts = {"call": call["facts"], "tags": call["tags"], "turns": turns, "pauses": []}
    if (said := call.get("paused_after")) is not None:
        between = {"startMs": turns[said]["endMs"] + 250, "endMs": turns[said + 1]["startMs"] - 250}
        facts["pauses"] = [{**between, "reason": "card number"}]
    (folder / "call.json").write_text(json.dumps(facts, indent=1) + "\n")


def encode(samples: np.ndarray, target: Path) -> None:
    command = ["ffmpeg", "-y", "-loglevel", "error", "-f", "s16le", "-ar", str(RATE), "-ac", "1", "-i", "-"]
    command += ["-c:a", "libopus", "-b:a", "20k", "-map_metadata", "-1", "-fflags", "+bitexact", str(target)]
    subprocess.run(command, input=samples.tobytes(), check=True)


if __name__ == "__main__":
    for name, call in CALLS.items():
        make(name, call)
