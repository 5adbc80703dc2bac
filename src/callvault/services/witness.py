"""The witness: puts into a unit of work the event and the audit entry that its change must not be without."""

from callvault.domain.access import Action, Caller
from callvault.domain.call import Call
from callvault.domain.event import Event
from callvault.domain.ids import Json
from callvault.domain.recording import Recording
from callvault.domain.unit import Unit
from callvault.ports.system import Clock, Ids
from callvault.services.audit import Audit


class Witness:
    """An event tells ids and states, never numbers, names or what was said: it may go to any webhook."""

    def __init__(self, clock: Clock, ids: Ids, audit: Audit) -> None:
        self._clock, self._ids, self._audit = clock, ids, audit

    def of_call(self, unit: Unit, caller: Caller, action: Action, call: Call, *events: str, **detail: Json) -> None:
        """`events` as in `call.ended`; the detail is for the audit."""
        unit.note(self._audit.entry(caller, action, call.workspace_id, f"call:{call.id}", "done", **detail))
        facts: dict[str, Json] = {"status": call.status}
        unit.tell(*(self._event(call, event, None, call.id, facts) for event in events))

    def of_recording(
        self, unit: Unit, caller: Caller, action: Action, recording: Recording, *events: str, **detail: Json
    ) -> None:
        """`events` as in `recording.updated`."""
        workspace_id = recording.workspace_id
        unit.note(self._audit.entry(caller, action, workspace_id, f"recording:{recording.id}", "done", **detail))
        facts: dict[str, Json] = {"status": recording.status, "redacted": recording.redacted}
        unit.tell(*(self._event(recording, e, recording.id, recording.call_id, facts) for e in events))

    def _event(
        self, of: Call | Recording, kind: str, recording_id: str | None, call_id: str, facts: dict[str, Json]
    ) -> Event:
        return Event(
            id=self._ids.uuid(),
            workspace_id=of.workspace_id,
            type=kind,
            created_ms=self._clock.now_ms(),
            recording_id=recording_id,
            call_id=call_id,
            readers=of.readers,
            data=dict(facts),
        )
