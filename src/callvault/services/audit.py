"""The audit: every act is written down in its workspace's chain, and whoever may can read and prove the chain."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from callvault.domain.access import Action, Caller
from callvault.domain.audit import (
    GENESIS,
    STRETCH,
    AuditBlock,
    AuditEntry,
    AuditMention,
    ChainedEntry,
    digest,
    keys_between,
    thing_keys,
)
from callvault.domain.errors import Fault, StoreUnavailable
from callvault.domain.ids import Json
from callvault.domain.query import Query
from callvault.domain.unit import Unit
from callvault.ports.store import Store
from callvault.ports.system import Clock

log = logging.getLogger(__name__)
_in_a_line = json.JSONEncoder(separators=(",", ":")).encode
EVERY_SECONDS = 0.2
GROUP = 2_000
AT_ONCE = 8
"""Blocks that are read together; before the next ones the event loop has its turn, for to open them takes long."""
AT_A_LOOK = 15 << STRETCH
"""So many entries are looked through for those about a thing by one query: their blocks are in sixteen stretches at
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
            thing,
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
    """The first entry of which it is not proved that it is as it was written: of a block, none is alone."""
    why: str = ""


def blocks_of(workspace_id: str) -> Query[AuditBlock]:
    return Query(AuditBlock).where("workspace_id", "=", workspace_id)


def about(workspace_id: str, thing: str, first: int, last: int) -> Query[AuditMention]:
    """The blocks with entries about the thing, and a few others, from the number `first` to `last`."""
    keys = keys_between(workspace_id, thing, first, last)
    return Query(AuditMention).where("thing_key", "in", keys).where("seq", "<=", last).by("seq")


class AuditTrail:
    """Reads what `Audit` wrote. Who may read is for the callers to check (`Action.READ_AUDIT`)."""

    def __init__(self, store: Store, audit: Audit) -> None:
        self._store, self._audit = store, audit

    async def page(
        self, workspace_id: str, after_seq: int = 0, limit: int = 100, thing: str | None = None
    ) -> Sequence[ChainedEntry]:
        found: list[ChainedEntry] = []
        blocks = self._about(workspace_id, thing, after_seq) if thing else self._blocks(workspace_id, after_seq)
        async with aclosing(blocks):
            async for block in blocks:
                found += block.entries(after_seq, thing)
                if len(found) >= limit:
                    break
        return found[:limit]

    async def _blocks(self, workspace_id: str, after_seq: int = 0) -> AsyncGenerator[AuditBlock, None]:
        query = blocks_of(workspace_id).by("seq")
        while blocks := await self._store.find(query.page(AT_ONCE, (after_seq,))):
            for block in blocks:
                yield block
            after_seq = blocks[-1].seq
            await asyncio.sleep(0)

    async def _about(self, workspace_id: str, thing: str, after_seq: int) -> AsyncGenerator[AuditBlock, None]:
        newest = await self._store.find(blocks_of(workspace_id).by("-seq").page(1))
        for first in range(after_seq + 1, newest[0].seq + 1 if newest else 0, AT_A_LOOK):
            query, after = about(workspace_id, thing, first, min(first + AT_A_LOOK - 1, newest[0].seq)), first - 1
            while mentions := await self._store.find(query.page(AT_ONCE, (after,))):
                seqs = [mention.seq for mention in mentions]
                for block in await self._store.find(blocks_of(workspace_id).where("seq", "in", seqs).by("seq")):
                    yield block
                after = seqs[-1]
                await asyncio.sleep(0)

    async def verify(self, workspace_id: str, known: tuple[int, str] | None = None) -> ChainReport:
        """`known` is a number and a digest kept from an earlier report: it shows whether the end was cut off."""
        await self._audit.flush()
        seq, previous = 0, GENESIS
        async for block in self._blocks(workspace_id):
            if why := _flaw(block, seq, previous, known) or await self._misplaced(block, seq):
                return ChainReport(workspace_id, seq, previous, seq + 1, why)
            seq, previous = block.seq, block.digest
        if known and seq < known[0]:
            return ChainReport(workspace_id, seq, previous, seq + 1, "the chain ends before the entry kept elsewhere")
        return ChainReport(workspace_id, seq, previous)

    async def _misplaced(self, block: AuditBlock, seq: int) -> str:
        things = [link.entry.thing for link in block.entries()]
        if (block.first, block.seq) != (seq + 1, seq + len(things)):
            return f"not as many are told as there must be up to entry {block.seq}"
        keys = thing_keys(block.workspace_id, block.seq, things)
        mentions = Query(AuditMention).where("thing_key", "in", keys).where("seq", "=", block.seq)
        if await self._store.count(mentions) < len(keys):
            return f"not all up to entry {block.seq} are found among those about their things"
        return ""

    async def export(self, workspace_id: str) -> AsyncIterator[bytes]:
        """JSONL, one entry a line, with all that the digest of its block is made of."""
        await self._audit.flush()
        previous = GENESIS
        async for block in self._blocks(workspace_id):
            place = {"block": block.seq, "previous": previous, "digest": block.digest}
            for seq, entry, _ in block.entries():
                yield _in_a_line({**entry._asdict(), "seq": seq, **place}).encode() + b"\n"
            previous = block.digest


def _flaw(block: AuditBlock, seq: int, previous: str, known: tuple[int, str] | None) -> str:
    if block.first > seq + 1:
        return f"entry {seq + 1} is missing"
    if digest(block, previous) != block.digest:
        return f"what is told up to entry {block.seq}, behind the entry before, does not have its digest"
    if known and block.first <= known[0] < block.seq:
        return f"no block ends with entry {known[0]}, as one did when its digest was kept elsewhere"
    if known and known[0] == block.seq and known[1] != block.digest:
        return f"entry {known[0]} does not end the block whose digest was kept elsewhere"
    return ""
