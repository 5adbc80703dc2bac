"""Calls: announced, looked up by any of their ids, changed, ended, and their data deleted."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from callvault.domain.access import Action, Caller
from callvault.domain.call import ANNOUNCED, Call, Chat, ExternalId, common_readers, readers
from callvault.domain.errors import AlreadyThere, Malformed, Missing
from callvault.domain.filters import CallFilter
from callvault.domain.ids import Json, is_uuid, token
from callvault.domain.query import Query
from callvault.domain.recording import Recording
from callvault.domain.unit import Unit
from callvault.domain.versions import calls_of
from callvault.domain.workspace import Workspace
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids
from callvault.services.access import Access
from callvault.services.callfacts import CallFacts, checked
from callvault.services.findings import ANALYZED, tell
from callvault.services.lineage import family_of, versions_of
from callvault.services.pages import Page, Place, page_of
from callvault.services.removal import Removal
from callvault.services.stale import again_when_stale
from callvault.services.witness import Witness

PUBLIC_ID_BYTES = 18
PUBLIC_ID = re.compile("call_[0-9A-Za-z]{1,64}")
C = TypeVar("C", bound=Chat)
AHEAD = ("scheduled", "queued", "ringing")
OVER = ("ended", "failed")


class Calls:
    def __init__(
        self, store: Store, *, clock: Clock, ids: Ids, access: Access, witness: Witness, removal: Removal
    ) -> None:
        self._store, self._clock, self._ids = store, clock, ids
        self._access, self._witness, self._removal = access, witness, removal

    async def create(self, caller: Caller, facts: CallFacts, call_id: str | None = None) -> Call:
        """`call_id` is the caller's own choice of uuid; `AlreadyThere` when there is such a call, or one that has one
        of the external ids."""
        unit = Unit()
        call = self.begin(unit, caller, facts, call_id)
        await self._store.commit(unit)
        return await self.fresh(call)

    def begin(self, unit: Unit, caller: Caller, facts: CallFacts, call_id: str | None = None) -> Call:
        """A new call as part of the unit; its chat id is counted when the unit commits."""
        workspace_id = self._access.permit(caller, Action.CREATE_CALL).workspace_id
        if call_id is not None and not is_uuid(call_id):
            raise Malformed(what="call.id", why="it is a UUID")
        now = self._clock.now_ms()
        call = Call(
            id=(call_id or self._ids.uuid()).lower(),
            workspace_id=workspace_id,
            public_id=f"call_{token(self._ids.secret(PUBLIC_ID_BYTES))}",
            created_ms=now,
            updated_ms=now,
            readers=readers(facts.get("kind", ""), facts.get("participants", ())),
            **checked(facts),
        )
        unit.add(call, *_external_ids(call))
        self._witness.of_call(unit, caller, Action.CREATE_CALL, call, "call.created")
        return call

    async def fresh(self, call: Call) -> Call:
        """The call as the store has it: after its creation, with its chat id."""
        return await self._store.get(Call, call.id) or call

    async def by_id(self, caller: Caller, call_id: str, action: Action = Action.READ_CALL) -> Call:
        self._access.permit(caller, action)
        return self._known(caller, action, await self._of_id(call_id))

    async def by_public_id(self, caller: Caller, public_id: str, action: Action = Action.READ_CALL) -> Call:
        self._access.permit(caller, action)
        return self._known(caller, action, await self._of_public_id(public_id))

    async def by_chat_id(self, caller: Caller, chat_id: int, action: Action = Action.READ_CHAT) -> Call:
        principal = self._access.permit(caller, action)
        found = await self._of_chat_id(principal.workspace_id, chat_id)
        return self._known(caller, action, *found)

    async def by_external_id(self, caller: Caller, system: str, value: str, action: Action = Action.READ_CALL) -> Call:
        principal = self._access.permit(caller, action)
        known = await self._store.get(ExternalId, principal.workspace_id, system, value)
        return self._known(caller, action, await self._store.get(Call, known.call_id) if known else None)

    async def by_capability(self, public_id: str) -> Call:
        """For those who show no key: the public id is the permission, in workspaces that want it so."""
        call = await self._of_public_id(public_id)
        if call is None or call.deleted_ms is not None or call.readers is not None:
            raise Missing(what="call")
        if not await self._opens_recordings(call.workspace_id):
            raise Missing(what="call")
        return call

    def readable(self, caller: Caller, calls: Iterable[Call]) -> list[Call]:
        """Those of which the caller may know what was said and found out: who changes or ends a call may not be one
        who reads it."""
        return [call for call in calls if self._access.may(caller, Action.READ_CALL, call)]

    async def capabilities_open(self, caller: Caller) -> bool:
        """Whether `by_capability` finds the calls of the caller's workspace, those for everybody in it."""
        principal = self._access.permit(caller, Action.READ_CALL, Action.CHANGE_CALL)
        return await self._opens_recordings(principal.workspace_id)

    async def find(
        self, caller: Caller, wanted: CallFilter, place: Place, action: Action = Action.READ_CALL
    ) -> Page[Call]:
        return await page_of(self._store, self._query(caller, wanted, action), place)

    async def count(self, caller: Caller, wanted: CallFilter, action: Action = Action.READ_CALL) -> int:
        return await self._store.count(self._query(caller, wanted, action))

    @again_when_stale
    async def update(self, caller: Caller, call_id: str, changes: CallFacts) -> Call:
        call = await self.by_id(caller, call_id, Action.CHANGE_CALL)
        if "metadata" in changes:
            announced = {name: call.metadata[name] for name in ANNOUNCED if name in call.metadata}
            changes = {**changes, "metadata": {**announced, **changes["metadata"]}}
        changed = self._changed(call, checked(changes))
        unit = Unit()
        unit.change(changed)
        if "external_ids" in changes:
            unit.remove(*_external_ids(call))
            unit.put(*_external_ids(changed))
            await self._claim(changed)
        if changed.readers != call.readers:
            unit.change(*(await self._for_others_now(changed)))
        fields: list[Json] = [*sorted(changes)]
        self._witness.of_call(unit, caller, Action.CHANGE_CALL, changed, "call.updated", changed=fields)
        if changed.analysis and changed.analysis != call.analysis:
            await self._tell_analyzed(unit, caller, changed)
        await self._store.commit(unit)
        return changed

    async def _for_others_now(self, call: Call) -> list[Recording]:
        """Its recordings and what was made of them, each for those alone whom all calls heard in it are for."""
        kin = {
            recording.id: recording for recording in await family_of(self._store, Recording, await self._sound(call))
        }
        found = []
        for recording in kin.values():
            heard = calls_of(recording, kin)
            if call.id not in heard or recording.deleted_ms is not None:
                continue
            others = [await self._store.get(Call, name) for name in heard - {call.id}]
            common = common_readers([call.readers, *(other.readers for other in others if other)])
            found.append(replace(recording, readers=common, version=recording.version + 1))
        return found

    async def _tell_analyzed(self, unit: Unit, caller: Caller, call: Call) -> None:
        originals = [recording for recording in await self._sound(call) if recording.operation is None]
        readable = [replace(original, readers=call.readers) for original in originals]
        tell(unit, self._witness, caller, readable, ANALYZED)

    def answer(self, unit: Unit, caller: Caller, call: Call) -> Call:
        """A call of which sound comes in is not ahead any more: as part of the unit."""
        if call.status not in AHEAD:
            return call
        answered = self._changed(call, CallFacts(status="in-progress"))
        unit.change(answered)
        self._witness.of_call(unit, caller, Action.CHANGE_CALL, answered, "call.updated", changed=["status"])
        return answered

    @again_when_stale
    async def end(self, caller: Caller, call_id: str, reason: str | None = None, status: str = "ended") -> Call:
        """Ending it again changes nothing."""
        call = await self.by_id(caller, call_id, Action.CHANGE_CALL)
        if call.status in OVER:
            return call
        unit = Unit()
        ended = self.finish(unit, caller, call, reason, status)
        await self._store.commit(unit)
        return ended

    def finish(self, unit: Unit, caller: Caller, call: Call, reason: str | None = None, status: str = "ended") -> Call:
        """The end of a call as part of the unit."""
        facts = CallFacts(status=status, ended_ms=call.ended_ms or self._clock.now_ms())
        facts["ended_reason"] = reason or call.ended_reason
        ended = self._changed(call, facts)
        unit.change(ended)
        self._witness.of_call(unit, caller, Action.CHANGE_CALL, ended, "call.ended", status=status)
        return ended

    @again_when_stale
    async def delete(self, caller: Caller, call_id: str) -> Call:
        """Sound, artifacts, transcript and all that was derived go; a tombstone that tells nothing stays.

        `OnHold` when a hold keeps a recording. Deleting it again changes nothing.
        """
        self._access.permit(caller, Action.DELETE_CALL)
        call = await self._of_id(call_id)
        if call is None:
            raise Missing(what="call")
        self._access.require(caller, Action.DELETE_CALL, call, f"call:{call.id}")
        if call.deleted_ms is not None:
            return call
        doomed = await self._removal.doomed(await self._sound(call))
        unit, tombstone = Unit(), self._tombstone(call)
        unit.change(tombstone)
        unit.remove(*_external_ids(call))
        self._removal.remove(unit, caller, doomed)
        self._removal.enqueue_purge(unit, call.workspace_id, doomed, call.id)
        self._witness.of_call(unit, caller, Action.DELETE_CALL, tombstone, "call.deleted")
        await self._store.commit(unit)
        return tombstone

    def _known(self, caller: Caller, action: Action, call: C | None = None) -> C:
        if call is None or call.deleted_ms is not None:
            raise Missing(what="call")
        self._access.require(caller, action, call, f"call:{call.id}")
        return call

    async def _opens_recordings(self, workspace_id: str) -> bool:
        workspace = await self._store.get(Workspace, workspace_id)
        return workspace is not None and workspace.opens_recordings

    async def _of_id(self, call_id: str) -> Call | None:
        """What cannot be an id is one that no call has."""
        return await self._store.get(Call, call_id.lower()) if is_uuid(call_id) else None

    async def _of_chat_id(self, workspace_id: str, chat_id: int) -> Sequence[Call]:
        query = Query(Call).where("workspace_id", "=", workspace_id).where("chat_id", "=", chat_id)
        return await self._store.find(query.by("id")) if 0 < chat_id < 2**63 else ()

    async def _of_public_id(self, public_id: str) -> Call | None:
        if not PUBLIC_ID.fullmatch(public_id):
            return None
        found = await self._store.find(Query(Call).where("public_id", "=", public_id).by("id").page(1))
        return found[0] if found else None

    def _query(self, caller: Caller, wanted: CallFilter, action: Action) -> Query[Call]:
        principal = self._access.permit(caller, action)
        return wanted.query(principal.workspace_id, principal.member_id)

    def _changed(self, call: Call, changes: CallFacts) -> Call:
        changed = replace(call, **changes, updated_ms=self._clock.now_ms(), version=call.version + 1)
        return replace(changed, readers=readers(changed.kind, changed.participants))

    async def _claim(self, call: Call) -> None:
        """`AlreadyThere` when one of the external ids is another call's."""
        for wanted in _external_ids(call):
            known = await self._store.get(ExternalId, wanted.workspace_id, wanted.system, wanted.value)
            if known and known.call_id != call.id:
                raise AlreadyThere(what=f"call with this id of {wanted.system}")

    async def _sound(self, call: Call) -> Iterable[Recording]:
        return await versions_of(self._store, Recording, call.id)

    def _tombstone(self, call: Call) -> Call:
        now = self._clock.now_ms()
        return Call(
            id=call.id,
            workspace_id=call.workspace_id,
            public_id=call.public_id,
            chat_id=call.chat_id,
            created_ms=call.created_ms,
            updated_ms=now,
            direction=call.direction,
            kind=call.kind,
            readers=call.readers,
            status=call.status if call.status in OVER else "ended",
            deleted_ms=now,
            version=call.version + 1,
        )


def _external_ids(call: Call) -> list[ExternalId]:
    return [
        ExternalId(workspace_id=call.workspace_id, system=system, value=value, call_id=call.id)
        for system, value in call.external_ids.items()
    ]
