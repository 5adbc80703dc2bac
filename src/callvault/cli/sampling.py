"""Loads the sample calls as anybody would bring theirs: a call, a take a lane, the words, the end."""

import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from callvault.domain.access import Caller
from callvault.domain.call import Call, Participant
from callvault.services.callfacts import CallFacts
from callvault.services.house import Services
from callvault.services.ingest.takes import Start
from callvault.services.transcripts import Said
from callvault.wire import mediatypes

FOLDER: Final = Path(__file__).parent / "samples"
SYSTEM: Final = "callvault-sample"
"""The system whose external ids the samples have, by which they are known again."""
OGG: Final = mediatypes.parse("audio/ogg")
FIRST_MS: Final = 0


@dataclass(frozen=True, slots=True)
class Sample:
    name: str
    facts: dict[str, Any]

    @staticmethod
    def all() -> list["Sample"]:
        return [Sample(p.parent.name, json.loads(p.read_text())) for p in sorted(FOLDER.glob("*/call.json"))]

    def lanes(self) -> dict[str, bytes]:
        return {path.stem: path.read_bytes() for path in sorted((FOLDER / self.name).glob("*.ogg"))}


async def load(services: Services, caller: Caller, hours_ago: int, sample: Sample) -> Call:
    """The call, ended, with its completed recording; one that was cut off is gone on with."""
    length_ms = max(turn["endMs"] for turn in sample.facts["turns"])
    started_ms = services.clock.now_ms() - hours_ago * 3_600_000
    made = await services.recordings.create(
        caller, _facts(sample, started_ms, started_ms + length_ms), {"tags": tuple(sample.facts["tags"])}
    )
    intake, recording_id = services.intake, made.recording.id
    for pause in sample.facts["pauses"]:
        await intake.pauses.pause(caller, recording_id, reason=pause["reason"], at_us=pause["startMs"] * 1000)
        await intake.pauses.resume(caller, recording_id, at_us=pause["endMs"] * 1000)
    for lane, sound in sample.lanes().items():
        await intake.takes.put(caller, recording_id, lane, 1, sound, start=Start(ms=Decimal(FIRST_MS)), form=OGG)
    await intake.completion.complete(caller, recording_id)
    await services.transcripts.replace(caller, made.call.id, [_said(turn) for turn in sample.facts["turns"]])
    return await services.calls.end(caller, made.call.id, "customer-ended-call")


def _facts(sample: Sample, started_ms: int, ended_ms: int) -> CallFacts:
    call = sample.facts["call"]
    phone = call.get("phoneNumber", {})
    return CallFacts(
        direction=call["direction"],
        kind=call["kind"],
        from_number=call.get("from"),
        to_number=call.get("to"),
        assistant_id=call["assistant"]["id"],
        assistant_name=call["assistant"]["name"],
        phone_number_id=phone.get("id"),
        phone_number=phone.get("number"),
        started_ms=started_ms,
        ended_ms=ended_ms,
        participants=tuple(Participant(**person) for person in call["participants"]),
        external_ids={SYSTEM: sample.name},
    )


def _said(turn: dict[str, Any]) -> Said:
    return Said(role=turn["role"], content=turn["content"], start_ms=turn["startMs"], end_ms=turn["endMs"])
