"""Recovery: what a crash cut off is found at the next start, and marked, so that it plays up to the cut."""

from dataclasses import replace

from callvault.domain.errors import Malformed, Missing
from callvault.domain.lane import OpenSpool
from callvault.domain.query import Query
from callvault.domain.unit import Unit
from callvault.ports.spool import Spool
from callvault.ports.store import Store
from callvault.services.ingest.openrecordings import OpenRecordings

CUT = "cut"


class Recovery:
    def __init__(self, store: Store, spool: Spool, open_recordings: OpenRecordings) -> None:
        self._store, self._spool, self._open = store, spool, open_recordings

    async def recover(self) -> int:
        """How many recordings this node was taking in when it went down. Their sound moves to storage in the next
        rounds; they take in more when more comes, and end as `interrupted` when none does. May be called again."""
        rows = await self._store.find(Query(OpenSpool).where("node", "=", self._spool.id).by("recording_id"))
        found = {row.recording_id: row for row in rows}
        for held in self._spool.holdings():
            if held.recording_id not in found:
                blank = OpenSpool(
                    recording_id=held.recording_id,
                    node=self._spool.id,
                    workspace_id=held.workspace_id,
                    opened_ms=0,
                    detail={"moved": "0"},
                )
                found[held.recording_id] = blank
        unit = Unit()
        unit.put(*(replace(row, detail={**row.detail, CUT: "1"}) for row in found.values()))
        await self._store.commit(unit)
        for recording_id in found:
            await self._load(recording_id)
        return len(found)

    async def abandon(self, node: str) -> list[str]:
        """A node is gone for good, and what it had acknowledged and not moved with it: its recordings need not wait for
        it any more. Which ones they are."""
        if node == self._spool.id:
            raise Malformed(what="the node", why="it is this one")
        rows = await self._store.find(Query(OpenSpool).where("node", "=", node).by("recording_id"))
        unit = Unit()
        unit.remove(*rows)
        await self._store.commit(unit)
        return [row.recording_id for row in rows]

    async def _load(self, recording_id: str) -> None:
        try:
            await self._open.get(recording_id)
        except Missing:
            # It was deleted: the next round lets the spool forget it.
            self._open.holding.add(recording_id)
