"""The intake of one node: every door under one name, and what goes on behind them."""

import asyncio
import contextlib
import logging

from callvault.domain.errors import Fault, Missing
from callvault.ports.blobs import Blobs
from callvault.ports.codecs import Codecs
from callvault.ports.jobs import Duty, JobKind
from callvault.ports.spool import Spool
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids
from callvault.services.access import Access
from callvault.services.delivery.views import Views
from callvault.services.ingest.admission import Admission
from callvault.services.ingest.captures import Captures
from callvault.services.ingest.compaction import Compaction
from callvault.services.ingest.completion import Completion
from callvault.services.ingest.files import Files
from callvault.services.ingest.filing import Filing
from callvault.services.ingest.live import LiveCalls
from callvault.services.ingest.mover import Mover
from callvault.services.ingest.openrecordings import OpenRecordings
from callvault.services.ingest.pauses import Pauses
from callvault.services.ingest.recovery import Recovery
from callvault.services.ingest.rounds import Rounds
from callvault.services.ingest.segments import Segments
from callvault.services.ingest.sound import decoder
from callvault.services.ingest.takes import Takes
from callvault.services.recentworkspaces import RecentWorkspaces
from callvault.services.timelines import Timelines, Unlock
from callvault.services.witness import Witness

log = logging.getLogger(__name__)
IDLE_EVERY_SECONDS = 5.0
RECOVER_AGAIN_SECONDS = 5.0


class Intake:
    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        spool: Spool,
        codecs: Codecs,
        *,
        emptying: Blobs,
        clock: Clock,
        ids: Ids,
        access: Access,
        witness: Witness,
        timelines: Timelines,
        views: Views,
        unlock: Unlock,
        workspaces: RecentWorkspaces,
    ) -> None:
        """`emptying` is the same storage for what leaves the spool, which must not be kept from it by a full disk."""
        segments, decode = Segments(emptying, clock, ids), decoder(codecs)
        self.open = OpenRecordings(store, spool, clock=clock, witness=witness, unlock=unlock, workspaces=workspaces)
        self.admission = Admission(self.open, access)
        self.takes = Takes(spool, self.open, codecs, admission=self.admission, decode=decode, clock=clock)
        filing = Filing(store, Segments(blobs, clock, ids), self.open, decode=decode, clock=clock, witness=witness)
        self.files = Files(filing, self.open, codecs, self.admission)
        self.captures = Captures(store, filing, self.open, codecs, admission=self.admission)
        self.pauses = Pauses(store, self.open, admission=self.admission, witness=witness, clock=clock, ids=ids)
        self.mover = Mover(store, spool, segments, self.open, decode=decode, clock=clock)
        self.completion = Completion(
            store, spool, self.mover, self.open, views, admission=self.admission, witness=witness, clock=clock, ids=ids
        )
        self.live = LiveCalls(
            store, spool, self.open, codecs, admission=self.admission, completion=self.completion, clock=clock
        )
        self.rounds = Rounds(spool, self.open, self.mover, self.completion, clock)
        self.recovery = Recovery(store, spool, self.open)
        self._compaction = Compaction(store, emptying, segments, timelines, unlock, clock=clock, ids=ids)

    def kinds(self) -> list[JobKind]:
        return [*self._compaction.kinds(), *self.pauses.kinds()]

    def duties(self) -> list[Duty]:
        return [Duty("complete idle recordings", self.completion.complete_idle, IDLE_EVERY_SECONDS)]

    async def run(self) -> None:
        """On the node that has the spool, until `stop`: takes in streams, finds what was cut off when the node went
        down, makes its rounds. At the end all that came in is durable, and in storage if that is there."""
        streaming = asyncio.create_task(self.live.run())
        # Should it end by an error, this ends by the same.
        streaming.add_done_callback(lambda _: self.rounds.stop())
        while not await self._recovered():
            if await self.rounds.stopping(RECOVER_AGAIN_SECONDS):
                break
        else:
            await self.rounds.until_stopped()
        await streaming
        await self.rounds.last()

    async def _recovered(self) -> bool:
        try:
            found = await self.recovery.recover()
        except Fault as fault:
            log.warning("what was cut off cannot be looked for yet: %s", fault)
            return False
        if found:
            log.warning("%d recordings were cut off; what they held is there", found)
        return True

    async def abandon(self, node: str) -> list[str]:
        """For the operator: see `Recovery.abandon`. What has ended and waited for that node alone is completed."""
        abandoned = await self.recovery.abandon(node)
        for recording_id in abandoned:
            with contextlib.suppress(Missing):
                await self.completion.finish(recording_id)
        return abandoned

    def stop(self) -> None:
        self.live.stop()
        self.rounds.stop()
