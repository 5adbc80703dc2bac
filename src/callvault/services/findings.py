"""Findings: a transcript, an analysis. They are told of a recording once it is over: those that are there by then with
its end, those that come later as they come."""

from collections.abc import Sequence
from dataclasses import replace

from callvault.domain.access import Action, Caller
from callvault.domain.call import Call, Turn
from callvault.domain.recording import Recording
from callvault.domain.unit import Unit
from callvault.ports.store import Store
from callvault.services.witness import Witness

TRANSCRIBED, ANALYZED = "recording.transcribed", "recording.analyzed"
GOING_ON = "processing"


async def found_by_its_end(store: Store, recording: Recording) -> list[str]:
    """What the end of a recording tells besides."""
    call, turn = await store.get(Call, recording.call_id), await store.get(Turn, recording.call_id, 0)
    return [*([TRANSCRIBED] if turn else []), *([ANALYZED] if call and call.analysis else [])]


def tell(unit: Unit, witness: Witness, caller: Caller, originals: Sequence[Recording], event: str) -> None:
    """Of the newest of a call's originals, if it is over; else its end tells. Those that are not over change with the
    finding, so that none of them ends without having seen it."""
    changed = {write.entity.id for write in unit.writes if isinstance(write.entity, Recording)}
    going_on = [original for original in originals if original.status == GOING_ON and original.id not in changed]
    unit.change(*(replace(original, version=original.version + 1) for original in going_on))
    for newest in originals[:1]:
        events = [] if newest.status == GOING_ON else [event]
        witness.of_recording(unit, caller, Action.CHANGE_RECORDING, newest, *events)
