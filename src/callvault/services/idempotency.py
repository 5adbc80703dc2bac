"""Idempotency: a request with a key is done once, however often it is sent, and answered the same each time."""

import asyncio
import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from callvault.domain.access import Principal
from callvault.domain.errors import (
    AlreadyThere,
    CallerFault,
    IdempotencyConflict,
    Malformed,
    PassingFault,
    RequestUnderWay,
    StaleWrite,
)
from callvault.domain.idempotency import IdempotentRequest
from callvault.domain.query import Query
from callvault.domain.unit import Unit
from callvault.ports.jobs import Duty
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids

KEPT_MS = 24 * 3_600_000
CLAIM_MS = 120_000
"""A request that has not answered by then was cut off; the next one with its key finishes it."""
WAIT_SECONDS = 15.0
LOOK_SECONDS = 0.05
KEY = re.compile(r"[\x21-\x7e]{1,255}")
SWEEP = 500
SWEEP_EVERY_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: str
    replayed: bool = False


Run = Callable[[str], Awaitable[Reply]]
"""Does what was asked. It is handed an id for what it makes: run again after a crash, it gets the same id."""


def fingerprint(principal: Principal, *parts: bytes) -> str:
    """Of the asker and the request: an answer is not for other keys than the one that asked first."""
    digest = hashlib.sha256(principal.key_id.encode())
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


class Idempotency:
    def __init__(self, store: Store, clock: Clock, ids: Ids, *, wait_seconds: float = WAIT_SECONDS) -> None:
        """`wait_seconds`: so long one request waits for the answer of another."""
        self._store, self._clock, self._ids, self._wait_seconds = store, clock, ids, wait_seconds
        self._left: set[tuple[str, str, int]] = set()
        """Claims that are over here and could not be left, for the database did not answer: by workspace, key and
        version, for the next claim of the same is another one's."""

    async def once(self, workspace_id: str, key: str, print_: str, run: Run, *, made_id: str | None = None) -> Reply:
        """The answer of the first request with this key; one that was refused leaves no trace and may be sent mended.
        `made_id` is the id that what is made will have, where that is known already.

        `IdempotencyConflict` for another request under the same key; `RequestUnderWay` for the same one while it still
        runs, or may do so: of a process that was killed nobody knows it at once.
        """
        if not KEY.fullmatch(key):
            raise Malformed(what="Idempotency-Key", why="it is 1 to 255 visible ASCII characters")
        waited = 0.0
        while waited < self._wait_seconds:
            known = await self._store.get(IdempotentRequest, workspace_id, key)
            if known and not hmac.compare_digest(known.fingerprint, print_) and not self._is_over(known):
                raise IdempotencyConflict
            if known and known.status and not self._is_over(known):
                return Reply(known.status, known.answer, replayed=True)
            if claim := await self._claim(known, workspace_id, key, print_, made_id):
                return await self._run(claim, run)
            await asyncio.sleep(LOOK_SECONDS)
            waited += LOOK_SECONDS
        raise RequestUnderWay

    def duties(self) -> list[Duty]:
        return [Duty("forget old requests", self.sweep, SWEEP_EVERY_SECONDS)]

    async def sweep(self) -> bool:
        """Forgets what is too old to be asked for again; whether there may be more of it."""
        self._left.clear()
        old = Query(IdempotentRequest).where("claimed_ms", "<", self._clock.now_ms() - KEPT_MS)
        found = await self._store.find(old.by("claimed_ms", "workspace_id", "key").page(SWEEP))
        unit = Unit()
        unit.remove(*found)
        if found:
            await self._store.commit(unit)
        return len(found) == SWEEP

    async def _claim(
        self, known: IdempotentRequest | None, workspace_id: str, key: str, print_: str, made_id: str | None
    ) -> IdempotentRequest | None:
        """None when somebody else has it."""
        now, unit = self._clock.now_ms(), Unit()
        if known is None or self._is_over(known):
            version = known.version + 1 if known else 1
            claim = IdempotentRequest(
                workspace_id=workspace_id,
                key=key,
                fingerprint=print_,
                reserved_id=made_id or self._ids.uuid(),
                claimed_ms=now,
                version=version,
            )
        elif now - known.claimed_ms < CLAIM_MS and (workspace_id, key, known.version) not in self._left:
            return None
        else:
            claim = replace(known, claimed_ms=now, version=known.version + 1)
        (unit.change if known else unit.add)(claim)
        try:
            await self._store.commit(unit)
        except (AlreadyThere, StaleWrite):
            return None
        self._left.discard((workspace_id, key, claim.version - 1))
        return claim

    async def _run(self, claim: IdempotentRequest, run: Run) -> Reply:
        left: IdempotentRequest | None = replace(
            claim, claimed_ms=claim.claimed_ms - CLAIM_MS, version=claim.version + 1
        )
        try:
            reply = await run(claim.reserved_id)
            left = replace(claim, status=reply.status, answer=reply.body, version=claim.version + 1)
        except CallerFault:
            left = None
            raise
        finally:
            await self._leave(claim, left)
        return reply

    async def _leave(self, claim: IdempotentRequest, left: IdempotentRequest | None) -> None:
        """With its answer; without a trace when nothing was done; else so that the next one goes on at once."""
        unit = Unit()
        if left is None:
            unit.remove(claim)
        else:
            unit.change(left)
        try:
            await self._store.commit(unit)
        except StaleWrite:
            pass
        except PassingFault:
            self._left.add((claim.workspace_id, claim.key, claim.version))
            raise

    def _is_over(self, known: IdempotentRequest) -> bool:
        return self._clock.now_ms() - known.claimed_ms >= KEPT_MS
