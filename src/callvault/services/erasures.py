"""Erasures: calls deleted with all that they held, at once while the storage answers, or one by one by durable jobs."""

import asyncio
from collections.abc import Sequence
from typing import Final

from callvault.domain.access import Action, Caller, Principal
from callvault.domain.call import Call
from callvault.domain.errors import BlobsUnavailable, CallerFault, Fault, Missing, PassingFault, TooLarge
from callvault.domain.event import Event
from callvault.domain.ids import Json
from callvault.domain.job import Job
from callvault.domain.query import Query
from callvault.domain.unit import Unit
from callvault.ports.blobs import Blobs
from callvault.ports.jobs import JobKind, Progress
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids
from callvault.services.access import Access
from callvault.services.calls import Calls
from callvault.services.witness import Witness

ERASE: Final = "erase"
ATTEMPTS: Final = 8
MOST: Final = 1_000
STORAGE_SECONDS: Final = 15.0
FAILED: Final = "call.deleteFailed"


class Erasures:
    def __init__(
        self, store: Store, blobs: Blobs, *, clock: Clock, ids: Ids, access: Access, witness: Witness, calls: Calls
    ) -> None:
        self._store, self._blobs, self._clock, self._ids = store, blobs, clock, ids
        self._access, self._witness, self._calls = access, witness, calls

    def kinds(self) -> list[JobKind]:
        return [JobKind(ERASE, self.run, at_once=4, attempts=ATTEMPTS)]

    async def now(self, caller: Caller, call_id: str) -> Call:
        """The call's tombstone, when nothing of it can be had any more; what is left of it in storage is destroyed by a
        job from then on. `BlobsUnavailable`, and the call is as it was, while the storage does not answer."""
        self._access.permit(caller, Action.DELETE_CALL)
        await self._storage_answers()
        return await self._calls.delete(caller, call_id)

    async def later(self, caller: Caller, call_ids: Sequence[str]) -> Call:
        """The first of the calls that the caller may delete, as it is still; of each one `call.deleted` or
        `call.deleteFailed` is told in its time. `Missing` when there is none of them at all, `Refused` when all are
        others'."""
        principal = self._access.permit(caller, Action.DELETE_CALL)
        wanted = tuple(dict.fromkeys(call_id.lower() for call_id in call_ids))
        if len(wanted) > MOST:
            raise TooLarge(what="ids", limit=f"{MOST} calls")
        query = Query(Call).where("id", "in", wanted).where("workspace_id", "=", principal.workspace_id).by("id")
        found = {call.id: call for call in await self._store.find(query)}
        if not found:
            raise Missing(what="call")
        calls = {name: call for name, call in found.items() if self._access.may(caller, Action.DELETE_CALL, call)}
        if not calls:
            refused = next(iter(found.values()))
            self._access.require(caller, Action.DELETE_CALL, refused, f"call:{refused.id}")
        unit = Unit()
        for call_id in wanted:
            call = calls.get(call_id)
            if call and call.deleted_ms is not None:
                self._witness.of_call(unit, caller, Action.DELETE_CALL, call, "call.deleted")
            else:
                unit.enqueue(self._job(caller, principal, call_id))
        await self._store.commit(unit)
        return next(calls[call_id] for call_id in wanted if call_id in calls)

    async def run(self, job: Job, progress: Progress) -> dict[str, Json] | None:
        """Done again, it finds the call deleted."""
        call_id = str(job.arguments["call"])
        try:
            await self.now(_caller(job), call_id)
        except CallerFault as fault:
            await self._failed(job, progress, fault)
        except PassingFault as fault:
            if job.attempts < ATTEMPTS:
                raise
            await self._failed(job, progress, fault)
        return None

    async def _storage_answers(self) -> None:
        try:
            async with asyncio.timeout(STORAGE_SECONDS):
                await asyncio.to_thread(self._blobs.check)
        except TimeoutError:
            raise BlobsUnavailable(why=f"no answer within {STORAGE_SECONDS:.0f} s") from None

    async def _failed(self, job: Job, progress: Progress, fault: Fault) -> None:
        unit = Unit()
        unit.tell(
            Event(
                id=self._ids.uuid(),
                workspace_id=job.workspace_id,
                type=FAILED,
                created_ms=self._clock.now_ms(),
                call_id=str(job.arguments["call"]),
                data={"reason": fault.code},
            )
        )
        await progress.finish(unit, {"failed": fault.code})

    def _job(self, caller: Caller, principal: Principal, call_id: str) -> Job:
        now = self._clock.now_ms()
        return Job(
            id=self._ids.uuid(),
            workspace_id=principal.workspace_id,
            kind=ERASE,
            created_ms=now,
            due_ms=now,
            arguments={
                "call": call_id,
                "key": principal.key_id,
                "member": principal.member_id,
                "scopes": [*sorted(principal.scopes)],
                "kind": principal.kind,
                "address": caller.address,
                "request": caller.request_id,
            },
        )


def _caller(job: Job) -> Caller:
    """Who asked, with the rights of that time."""
    told = job.arguments
    scopes = told["scopes"] if isinstance(told["scopes"], list) else []
    principal = Principal(
        str(told["key"]), job.workspace_id, str(told["member"]), frozenset(map(str, scopes)), str(told["kind"])
    )
    address, request = told.get("address"), told.get("request")
    return Caller(principal, str(address) if address else None, str(request) if request else None)
