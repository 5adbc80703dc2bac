"""What workers do: the jobs, schedules and duties that the services tell of themselves."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any, Final

from callvault.bootstrap.adapters import Adapters
from callvault.ports.jobs import Duty, JobEngine
from callvault.services.house import Services
from callvault.web.app import all_parts, learn_messages
from callvault.worker import Worker

SETTLE_SECONDS: Final = 600


def worker(services: Services, adapters: Adapters, engine: JobEngine, public_url: str) -> Worker:
    learn_messages(services, all_parts(), public_url)
    adapters.store.listen(lambda unit: engine.wake() if unit.jobs else None)
    return Worker(
        engine,
        services.store,
        list(_told(services, "kinds")),
        clock=services.clock,
        ids=services.ids,
        schedules=list(_told(services, "schedules")),
        duties=[*_told(services, "duties"), Duty("settle keys", lambda: _settle(services), SETTLE_SECONDS)],
    )


def _told(services: Services, what: str) -> Iterator[Any]:
    """Any service may have `kinds`, `schedules` and `duties`."""
    for each in fields(services):
        tell = getattr(getattr(services, each.name), what, None)
        if callable(tell):
            yield from tell()


async def _settle(services: Services) -> bool:
    await services.sealing.settle()
    return False
