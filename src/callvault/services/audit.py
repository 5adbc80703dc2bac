"""The audit: every act is written down in its workspace's chain, and whoever may can read and prove the chain."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from callvault.domain.access import Action, Caller
from callvault.domain.audit import GENESIS, STRETCH, AuditEntry, ChainedEntry, digest, thing_key, thing_keys
from callvault.domain.errors import Fault, StoreUnavailable
from callvault.domain.ids import Json
from callvault.domain.query import Query
from callvault.domain.unit import Unit
from callvault.ports.store import Store
from callvault.ports.system import Clock

log = logging.getLogger(__name__)
EVERY_SECONDS = 0.2
GROUP = 2_000
AT_A_LOOK = 15 << STRETCH
"""So many entries are looked through for those about a thing by one query: they stand in sixteen stretches at
most, and so many ordered lists a store merges."""
MOST_WAITING = 50_000
"""When so many wait because the database takes none, what must be audited is refused instead of going unseen."""


class Audit:
    """Writes down. A change puts its `entry` into its own unit; a read hands it to `later`."""

    def __init__(self, store: Store, clock: Clock, most_waiting: int = MOST_WAITING) -> None:
        self._store, self._clock = store, clock
        self._most_waiting = most_waiting
        self._waiting: list[AuditEntry] = []
        self._writing = asyncio.Lock()
        self._stopping = asyncio.Event()

    def entry(
        self,
        caller: Caller,
        action: Action | str,
        workspace_id: str,
        thing: str,
        outcome: str = "done",
        **detail: Json,
    ) -> AuditEntry:
        """`thing` is `recording:<id>`, `key:<id>` ...; the detail never holds a secret, a number or what was said."""
        return AuditEntry(
            workspace_id,
            # No database takes a NUL in a text, and an entry that cannot be written would hold up all behind it.
            thing.replace("\0", ""),
            self._clock.now_ms(),
            caller.actor,
            action.label if isinstance(action, Action) else action,
            outcome,
            caller.principal.member_id if caller.principal else None,
            caller.address,
            caller.request_id,
            detail,
        )

    def later(self, entry: AuditEntry) -> None:
        """Written within `EVERY_SECONDS` together with others, in this order; at a clean stop none is left."""
        if len(self._waiting) >= self._most_waiting:
            raise StoreUnavailable(why="it takes no audit entries, and nothing is done unaudited")
        self._waiting.append(entry)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def flush(self) -> None:
        """All that waits is written; after a passing fault it still waits. What comes meanwhile is for the next time:
        so that groups stay large."""
        async with self._writing:
            left = len(self._waiting)
            while left > 0:
                group = self._waiting[: min(left, GROUP)]
                await self._store.commit(Unit(audit=group))
                del self._waiting[: len(group)]
                left -= len(group)

    async def run(self) -> None:
        """Flushes until `stop`, and once more then."""
        stopping = False
        while not stopping:
            with contextlib.suppress(TimeoutError):
                stopping = await asyncio.wait_for(self._stopping.wait(), EVERY_SECONDS)
            try:
                await self.flush()
            except Fault as fault:
                log.warning("audit entries wait: %s", fault, extra={"waiting": self.waiting})

    def stop(self) -> None:
        self._stopping.set()


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What walking a workspace's chain found; `head` is worth keeping elsewhere: it proves what was there today."""

    workspace_id: str
    entries: int
    head: str
    broken_seq: int | None = None
    """The first entry that is not as it was written."""
    why: str = ""


def entries_of(workspace_id: str) -> Query[ChainedEntry]:
    return Query(ChainedEntry).where("workspace_id", "=", workspace_id)


def about(workspace_id: str, thing: str, first: int, last: int) -> Query[ChainedEntry]:
    """The entries about the thing from the number `first` to `last`."""
    keys = thing_keys(workspace_id, thing, first, last)
    return (
        entries_of(workspace_id)
        .where("thing_key", "in", keys)
        .where("thing", "=", thing)
        .where("seq", "<=", last)
        .by("seq")
    )


class AuditTrail:
    """Reads what `Audit` wrote. Who may read is for the callers to check (`Action.READ_AUDIT`)."""

    def __init__(self, store: Store, audit: Audit) -> None:
        self._store, self._audit = store, audit

    async def page(
        self, workspace_id: str, after_seq: int = 0, limit: int = 100, thing: str | None = None
    ) -> Sequence[ChainedEntry]:
        if thing:
            return await self._about(workspace_id, thing, after_seq, limit)
        return await self._store.find(entries_of(workspace_id).by("seq").page(limit, (after_seq,)))

    async def _about(self, workspace_id: str, thing: str, after_seq: int, limit: int) -> Sequence[ChainedEntry]:
        newest = await self._store.find(entries_of(workspace_id).by("-seq").page(1))
        found: list[ChainedEntry] = []
        for first in range(after_seq + 1, newest[0].seq + 1 if newest else 0, AT_A_LOOK):
            query = about(workspace_id, thing, first, min(first + AT_A_LOOK - 1, newest[0].seq))
            found += await self._store.find(query.page(limit - len(found), (first - 1,)))
            if len(found) == limit:
                break
        return found

    async def walk(self, workspace_id: str) -> AsyncIterator[ChainedEntry]:
        await self._audit.flush()
        last = 0
        while entries := await self.page(workspace_id, last, 1_000):
            for entry in entries:
                yield entry
            last = entries[-1].seq

    async def verify(self, workspace_id: str, known: tuple[int, str] | None = None) -> ChainReport:
        """`known` is a number and a digest kept from an earlier report: it shows whether the end was cut off."""
        seq, previous = 0, GENESIS
        async for entry in self.walk(workspace_id):
            if why := _flaw(entry, seq, previous, known):
                return ChainReport(workspace_id, seq, previous, seq + 1, why)
            seq, previous = entry.seq, entry.digest
        if known and seq < known[0]:
            return ChainReport(workspace_id, seq, previous, seq + 1, "the chain ends before the entry kept elsewhere")
        return ChainReport(workspace_id, seq, previous)

    async def export(self, workspace_id: str) -> AsyncIterator[bytes]:
        """JSONL, one entry a line, with all that its digest is made of."""
        previous = GENESIS
        async for link in self.walk(workspace_id):
            line = {**link.entry._asdict(), "seq": link.seq, "previous": previous, "digest": link.digest}
            previous = link.digest
            yield json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def _flaw(entry: ChainedEntry, seq: int, previous: str, known: tuple[int, str] | None) -> str:
    if entry.seq != seq + 1:
        return f"entry {seq + 1} is missing"
    if digest(entry, previous) != entry.digest:
        return "its content, behind the entry before it, does not have its digest"
    if thing_key(entry.workspace_id, entry.seq, entry.thing) != entry.thing_key:
        return "it is not found among those about its thing"
    if known and entry.seq == known[0] and entry.digest != known[1]:
        return "it is not the entry whose digest was kept elsewhere"
    return ""
