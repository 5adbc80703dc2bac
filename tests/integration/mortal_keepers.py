"""Workers that sweep all the time, made to be killed: run as a program it forks one for each line on its input."""

import sys

from callvault.domain.schedule import Schedule
from callvault.ports.store import Store
from callvault.services.audit import Audit
from callvault.services.removal import Removal
from callvault.services.retention import SWEEP, Retention
from callvault.services.witness import Witness
from callvault.worker import Worker
from tests.integration.mortal_workers import CLOCK, IDS, engine, forked, open_store


def retention(store: Store) -> Retention:
    witness = Witness(CLOCK, IDS, Audit(store, CLOCK))
    return Retention(store, clock=CLOCK, witness=witness, removal=Removal(store, CLOCK, IDS, witness))


async def keep(url: str) -> None:
    store = open_store(url)
    kinds = retention(store).kinds()
    often = Schedule(name=SWEEP, kind=SWEEP, every_seconds=1)
    await Worker(engine(url, store), store, kinds, clock=CLOCK, ids=IDS, schedules=[often]).run()


if __name__ == "__main__":
    forked(lambda: keep(sys.argv[1]))
