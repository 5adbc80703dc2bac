"""Redactions that happen at the same time, each decided before the other was written."""

import asyncio
from typing import Any

import pytest
from tests.actionhouse import ActionHouse
from tests.webhouse import webhouse

from callvault.domain.access import OPERATOR
from callvault.domain.recording import Mask
from callvault.domain.unit import Unit
from callvault.services.actions.redact import Redact, Secret
from callvault.services.delivery.expiry import Expiry
from callvault.services.derivations import Derivations


class Meeting:
    """A store whose first commits wait for each other."""

    def __init__(self, inner: Any, many: int) -> None:
        self._inner, self._coming = inner, many
        self._all_here = asyncio.Barrier(many)

    async def commit(self, unit: Unit) -> None:
        if self._coming:
            self._coming -= 1
            await self._all_here.wait()
        await self._inner.commit(unit)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def redact_in_company(house: ActionHouse, many: int) -> Redact:
    services = house.web.services
    store, tools = Meeting(services.store, many), {"clock": services.clock, "witness": services.witness}
    expiry = Expiry(store, services.clock)
    views, recordings = services.delivery.views, services.recordings
    return Redact(store, Derivations(store, views, expiry, recordings=recordings, **tools))


@pytest.mark.parametrize("of_a_copy", [False, True])
async def test_of_two_redactions_at_the_same_time_the_second_has_the_spans_of_both(of_a_copy: bool) -> None:
    async with webhouse() as web:
        web.client.headers.update(await web.bearer())
        house = ActionHouse(web)
        original = await house.recording(2)
        other = await house.do("convert", original, format="wav") if of_a_copy else original
        redact, ids = redact_in_company(house, 2), web.services.ids
        secrets = [Secret(start_us=0, end_us=500_000), Secret(start_us=1_000_000, end_us=1_500_000, lane="customer")]
        made = await asyncio.gather(
            redact(OPERATOR, original["id"], ids.uuid(), secrets=secrets[:1]),
            redact(OPERATOR, other["id"], ids.uuid(), secrets=secrets[1:]),
        )
        both = {Mask(start_us=s.start_us, end_us=s.end_us, lane=s.lane) for s in secrets}
        assert sorted(len(version.edits.masks) for version in made) == [1, 2]
        assert any(set(version.edits.masks) == both for version in made)
        [heard, _] = sorted(made, key=lambda version: len(version.edits.masks), reverse=True)
        call = await web.services.calls.by_id(OPERATOR, original["call"]["id"])
        assert (await web.services.recordings.heard_of(None, call)).id == heard.id
