"""Removal: recordings and all that was made of them become tombstones, and a durable job destroys what they held."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from callvault.domain.access import Action, Caller
from callvault.domain.errors import OnHold
from callvault.domain.ids import Json
from callvault.domain.job import Job
from callvault.domain.recording import Recording
from callvault.domain.unit import Unit
from callvault.domain.versions import descendants_of
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids
from callvault.services.lineage import family_of
from callvault.services.witness import Witness


class Removal:
    def __init__(self, store: Store, clock: Clock, ids: Ids, witness: Witness) -> None:
        self._store, self._clock, self._ids, self._witness = store, clock, ids, witness

    async def doomed(self, recordings: Iterable[Recording]) -> Sequence[Recording]:
        """The living ones among them and what was made of them; `OnHold` if a hold keeps any."""
        chosen = list(recordings)
        family = await family_of(self._store, Recording, chosen)
        doomed = {recording.id: recording for recording in (*chosen, *descendants_of(chosen, family))}
        living = [recording for recording in doomed.values() if recording.deleted_ms is None]
        if any(recording.held for recording in living):
            raise OnHold
        return living

    def remove(self, unit: Unit, caller: Caller, recordings: Iterable[Recording], cause: str = "deleted") -> None:
        """`cause` is the event: `deleted`, or `autoDeleted` at the end of a retention."""
        for recording in recordings:
            tombstone = self._tombstone(recording)
            unit.change(tombstone)
            self._witness.of_recording(
                unit, caller, Action.DELETE_RECORDING, tombstone, f"recording.{cause}", cause=cause
            )

    def enqueue_purge(
        self, unit: Unit, workspace_id: str, recordings: Iterable[Recording], call_id: str | None = None
    ) -> None:
        ids: list[Json] = [recording.id for recording in recordings]
        now = self._clock.now_ms()
        arguments: dict[str, Json] = {"recordings": ids, "call": call_id}
        unit.enqueue(
            Job(
                id=self._ids.uuid(),
                workspace_id=workspace_id,
                kind="purge",
                created_ms=now,
                due_ms=now,
                recording_id=str(ids[0]) if len(ids) == 1 else None,
                arguments=arguments,
            )
        )

    def _tombstone(self, recording: Recording) -> Recording:
        now = self._clock.now_ms()
        return replace(
            recording,
            status="deleted",
            in_progress=False,
            deleted_ms=now,
            updated_ms=now,
            link_epoch=recording.link_epoch + 1,
            tags=(),
            metadata={},
            version=recording.version + 1,
        )
