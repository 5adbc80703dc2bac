"""A process that commits units to a SQLite store, 16 at once, and tells each when it is acknowledged.

python tests/contract/store_writer.py DATABASE NAME COUNT
"""

import asyncio
import os
import sys

from callvault.adapters.store.sqlite import SqliteStore
from callvault.domain.call import Call
from callvault.domain.event import Event
from callvault.domain.unit import Unit


async def main(database: str, name: str, count: int) -> None:
    store = SqliteStore(database)
    numbers = iter(range(count))

    async def write() -> None:
        for n in numbers:
            unit, one = Unit(), f"{name}-{n}"
            unit.add(Call(id=one, workspace_id="w", public_id=one, created_ms=1, updated_ms=1))
            unit.tell(Event(id=one, workspace_id="w", type="call.created", created_ms=1))
            await store.commit(unit)
            os.write(1, f"{one}\n".encode())

    await asyncio.gather(*(write() for _ in range(16)))
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
