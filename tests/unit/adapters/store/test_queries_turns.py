"""Plans of queries: entities are made of rows with turns for others in between."""

import asyncio
import time
from typing import Any

from callvault.adapters.store.queries import Plan


async def test_others_have_their_turn_while_many_entities_are_made() -> None:
    made, seen = [0], set[int]()

    def entity_of(row: tuple[Any, ...]) -> int:
        time.sleep(0.006)
        made[0] = row[0]
        return made[0]

    async def other() -> None:
        while True:
            seen.add(made[0])
            await asyncio.sleep(0)

    going = asyncio.create_task(other())
    plan = Plan("", lambda values: (), (), entity_of)
    assert await plan.entities((n,) for n in range(10)) == [*range(10)]
    going.cancel()
    assert seen >= set(range(1, 9))
