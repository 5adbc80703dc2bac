"""Workers that send webhooks, made to be killed: run as a program it forks one for each line on its standard input."""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from callvault.adapters.blobs.disk import DiskBlobs
from callvault.adapters.jobs.leased import LeasedJobs
from callvault.adapters.store.sqlite import SqliteStore
from callvault.adapters.system import SystemClock, SystemIds
from callvault.adapters.webhooks.sender import HttpxSender
from callvault.adapters.webhooks.signing import SIGNERS
from callvault.domain.stored import StoredObject
from callvault.ports.jobs import Duty
from callvault.ports.store import Store
from callvault.services.access import Access
from callvault.services.audit import Audit
from callvault.services.webhooks import Webhooks
from callvault.worker import Worker

CLOCK, IDS = SystemClock(), SystemIds()


def webhooks(store: Store, folder: Path) -> Webhooks:
    async def unlock(workspace_id: str, objects: Sequence[StoredObject]) -> None:
        return None

    audit = Audit(store, CLOCK)
    sender = HttpxSender(private_allowed=True)
    tools = {"clock": CLOCK, "ids": IDS, "access": Access(store, CLOCK, audit), "audit": audit}
    return Webhooks(store, DiskBlobs(folder / "blobs"), unlock, sender=sender, signers=SIGNERS, **tools)


async def work(database: Path) -> None:
    store = SqliteStore(database)
    hooks = webhooks(store, database.parent)
    engine = LeasedJobs(store, CLOCK, IDS, lease_seconds=0.6, poll_seconds=0.02)
    duties = [Duty(duty.name, duty.run, 0.02) for duty in hooks.duties()]
    await Worker(engine, store, hooks.kinds(), clock=CLOCK, ids=IDS, duties=duties).run()


def main(database: str) -> None:
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            asyncio.run(work(Path(database)))
        print(pid, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
