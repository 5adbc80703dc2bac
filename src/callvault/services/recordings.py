"""Recordings: begun with a call or for one, retrieved, listed, changed, deleted; and which version is heard."""

from collections import defaultdict
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypedDict, TypeVar

from callvault.domain.access import Action, Caller, Principal
from callvault.domain.call import Call, Chat
from callvault.domain.errors import (
    AlreadyThere,
    CallUnrecorded,
    Malformed,
    Missing,
    NoRecording,
    RecordingDisabled,
    TooLarge,
)
from callvault.domain.filters import RecordingFilter
from callvault.domain.ids import Json, is_uuid
from callvault.domain.query import Query
from callvault.domain.recording import Recording, Version, has_expired
from callvault.domain.unit import Unit
from callvault.domain.versions import REDACTING, Family, Redaction, heard, newest_first, newest_original
from callvault.domain.workspace import Workspace
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids
from callvault.services.access import Access
from callvault.services.callfacts import CallFacts, small_json
from callvault.services.calls import Calls
from callvault.services.lineage import beside, family_of, versions_of, versions_of_chat, versions_of_each
from callvault.services.pages import Page, Place, page_of
from callvault.services.removal import Removal
from callvault.services.stale import again_when_stale
from callvault.services.witness import Witness

V = TypeVar("V", bound=Version)
DAY_MS = 86_400_000
RETENTION_DAYS_MAX = 36_500
TAGS_MAX = 64
TOUCH_MS = 2_000
TAG_MAX = 128


class RecordingFacts(TypedDict, total=False):
    tags: tuple[str, ...]
    metadata: dict[str, Json]
    expires_ms: int | None
    retention_days: int | None


@dataclass(frozen=True, slots=True)
class CallRecording:
    """A recording with its call: what the seed calls by this name."""

    recording: Recording
    call: Call


class Recordings:
    def __init__(
        self,
        store: Store,
        *,
        clock: Clock,
        ids: Ids,
        access: Access,
        witness: Witness,
        removal: Removal,
        calls: Calls,
    ) -> None:
        self._store, self._clock, self._ids = store, clock, ids
        self._access, self._witness, self._removal, self._calls = access, witness, removal, calls

    @again_when_stale
    async def create(
        self,
        caller: Caller,
        call: str | CallFacts,
        facts: RecordingFacts | None = None,
        *,
        call_id: str | None = None,
        recording_id: str | None = None,
    ) -> CallRecording:
        """For the call of this id, or with a new call of these facts, whose id may be chosen as `call_id`.

        A caller that brings a `recording_id` may repeat the request after a crash: what is there then is returned.
        """
        principal = self._access.permit(caller, Action.CREATE_RECORDING)
        workspace = await self.enabled(principal)
        unit = Unit()
        known = await self._calls.by_id(caller, call, Action.CREATE_RECORDING) if isinstance(call, str) else None
        known = known and self._calls.answer(unit, caller, known)
        begun = known or self._calls.begin(unit, caller, call, call_id)  # type: ignore[arg-type]
        if begun.unrecorded:
            raise CallUnrecorded
        recording = self._begun(workspace, begun, checked(facts or {}), recording_id or self._ids.uuid())
        unit.add(recording)
        self._witness.of_recording(
            unit, caller, Action.CREATE_RECORDING, recording, "recording.created", "recording.processing"
        )
        try:
            await self._store.commit(unit)
        except AlreadyThere:
            return await self._again(caller, recording_id)
        fresh = known or await self._calls.fresh(begun)
        return CallRecording(replace(recording, chat_id=fresh.chat_id), fresh)

    async def enabled(self, principal: Principal) -> Workspace:
        """`RecordingDisabled` where the workspace has turned recording off."""
        workspace = await self._store.get(Workspace, principal.workspace_id)
        if workspace is None:
            raise Missing(what="workspace")
        if not workspace.recording_enabled:
            raise RecordingDisabled
        return workspace

    async def retrieve(self, caller: Caller, recording_id: str, action: Action = Action.READ_RECORDING) -> Recording:
        """The very version of this id, for its facts and for those who change it."""
        self._access.permit(caller, action)
        recording = await self._store.get(Recording, recording_id.lower())
        if recording is None or recording.deleted_ms is not None:
            raise Missing(what="recording")
        self._access.require(caller, action, recording, f"recording:{recording.id}")
        return recording

    async def heard(self, caller: Caller, recording_id: str, action: Action = Action.LISTEN) -> Recording:
        """The version that the caller hears who asks for this one: a redacted one stands in for its original."""
        wanted = await self.retrieve(caller, recording_id, action)
        if self.hears_originals(caller, wanted):
            return wanted
        family = await family_of(self._store, Recording, [wanted])
        return await beside(family, lambda: heard(wanted, family, originals_too=False))

    def of_call(self, caller: Caller, call_id: str, action: Action = Action.LISTEN) -> Awaitable[Recording]:
        """What the caller hears who asks for a call's recording; `NoRecording` when there is none."""
        return self._of_call(Recording, caller, call_id, action)

    def version_of_call(self, caller: Caller, call_id: str, action: Action = Action.LISTEN) -> Awaitable[Version]:
        """The same in brief: it is enough for a link."""
        return self._of_call(Version, caller, call_id, action)

    async def _of_call(self, kind: type[V], caller: Caller, call_id: str, action: Action) -> V:
        versions = await versions_of(self._store, kind, call_id.lower()) if is_uuid(call_id) else ()
        if not versions:
            # A call without any answers for itself: it may not be there, or not for the caller.
            await self._calls.by_id(caller, call_id, action)
        originals_too = self._may_hear(caller, versions, action)
        return newest_original(versions) if originals_too else await self._redacted(kind, versions)

    async def heard_of(self, caller: Caller | None, call: Chat) -> Recording:
        """The same of a call that was looked up already; without a caller, as somebody without any scope."""
        versions = await versions_of(self._store, Recording, call.id)
        wanted = newest_original(versions)
        return wanted if caller and self.hears_originals(caller, wanted) else await self._redacted(Recording, versions)

    def of_chat(self, caller: Caller, chat_id: int, action: Action = Action.LISTEN_CHAT) -> Awaitable[Recording]:
        """What the caller hears of the chat of this number; `NoRecording` when there is none."""
        return self._of_chat(Recording, caller, chat_id, action)

    def version_of_chat(self, caller: Caller, chat_id: int, action: Action = Action.LISTEN_CHAT) -> Awaitable[Version]:
        """The same in brief."""
        return self._of_chat(Version, caller, chat_id, action)

    async def _of_chat(self, kind: type[V], caller: Caller, chat_id: int, action: Action) -> V:
        principal = self._access.permit(caller, action)
        versions = await versions_of_chat(self._store, kind, principal.workspace_id, chat_id)
        if not versions:
            await self._calls.by_chat_id(caller, chat_id, action)
        originals_too = self._may_hear(caller, versions, action)
        return newest_original(versions) if originals_too else await self._redacted(kind, versions)

    def _may_hear(self, caller: Caller, versions: Sequence[Version], action: Action) -> bool:
        """Returns when the caller may do this with the call of these living versions, and tells whether he may hear its
        originals."""
        if not versions:
            raise NoRecording
        return Action.LISTEN_ORIGINAL in self._access.require(
            caller, action, versions[0], f"call:{versions[0].call_id}"
        )

    async def _redacted(self, kind: type[V], versions: Sequence[V]) -> V:
        """What is heard of a call with these living versions by those who may hear no original."""
        [call_id] = {version.call_id for version in versions}
        family = await family_of(self._store, kind, versions, {call_id})
        return await beside(family, lambda: Family(family).of_call(versions))

    async def heard_of_each(self, caller: Caller | None, calls: Sequence[Call]) -> dict[str, Recording | None]:
        """The same of many at once, by the calls' ids: None where the caller may hear nothing of what there is. Without
        a caller, as somebody without any scope."""
        by_call = await self._of_each(calls)
        redacted = await self._redactions(caller, by_call)
        found: dict[str, Recording | None] = {call_id: newest_original(of_one) for call_id, of_one in by_call.items()}
        found.update((call_id, next(iter(one.versions), None)) for call_id, one in redacted.items())
        return found

    async def redactions(self, caller: Caller | None, calls: Sequence[Call]) -> dict[str, Redaction[Recording]]:
        """Those that this caller is not above, by the ids of the calls that were redacted; None is somebody without any
        scope."""
        return await self._redactions(caller, await self._of_each(calls))

    async def _of_each(self, calls: Sequence[Call]) -> dict[str, Sequence[Recording]]:
        """The living versions of each, the newest first, where there is an original among them."""
        found: defaultdict[str, list[Recording]] = defaultdict(list)
        for recording in await versions_of_each(self._store, Recording, [call.id for call in calls]):
            found[recording.call_id].append(recording)
        sounding = {name: of_one for name, of_one in found.items() if any(r.operation is None for r in of_one)}
        return {name: newest_first(of_one) for name, of_one in sounding.items()}

    async def _redactions(
        self, caller: Caller | None, by_call: Mapping[str, Sequence[Recording]]
    ) -> dict[str, Redaction[Recording]]:
        below = {
            call_id: versions
            for call_id, versions in by_call.items()
            if caller is None or not self.hears_originals(caller, versions[0])
        }
        everything = [version for versions in below.values() for version in versions]
        recordings = await family_of(self._store, Recording, everything, below.keys())

        def found() -> dict[str, Redaction[Recording]]:
            family = Family(recordings)
            redactions = ((call_id, family.redaction(versions)) for call_id, versions in below.items())
            return {call_id: redaction for call_id, redaction in redactions if redaction}

        return await beside(recordings, found)

    async def versions(
        self, caller: Caller, call_id: str, action: Action = Action.READ_RECORDING
    ) -> Sequence[Recording]:
        """All living versions of a call's sound, the newest first."""
        call = await self._calls.by_id(caller, call_id, action)
        return await versions_of(self._store, Recording, call.id)

    async def with_calls(self, recordings: Sequence[Recording]) -> list[CallRecording]:
        """Each with its call, without asking about access again."""
        wanted = tuple({recording.call_id for recording in recordings})
        found = await self._store.find(Query(Call).where("id", "in", wanted).by("id")) if wanted else ()
        calls = {call.id: call for call in found}
        return [CallRecording(recording, calls[recording.call_id]) for recording in recordings]

    async def find(self, caller: Caller, wanted: RecordingFilter, place: Place) -> Page[Recording]:
        principal = self._access.permit(caller, Action.READ_RECORDING)
        return await page_of(self._store, wanted.query(principal.workspace_id, principal.member_id), place)

    @again_when_stale
    async def update(self, caller: Caller, recording_id: str, changes: RecordingFacts) -> Recording:
        recording = await self.retrieve(caller, recording_id, Action.CHANGE_RECORDING)
        now = self._clock.now_ms()
        changed = replace(recording, **checked(changes), updated_ms=now, version=recording.version + 1)
        if "retention_days" in changes:
            if changes["retention_days"] != recording.retention_days:
                self._may_take_back(caller, recording)
            changed = replace(changed, auto_delete_ms=_deletion(changed.created_ms, changes["retention_days"]))
        if not has_expired(changed, now):
            # It may have expired before: its new time is told when it comes.
            changed = replace(changed, expiry_told=False)
        fields: list[Json] = [*sorted(changes)]
        unit = Unit()
        unit.change(changed)
        self._witness.of_recording(unit, caller, Action.CHANGE_RECORDING, changed, "recording.updated", changed=fields)
        await self._store.commit(unit)
        return changed

    @again_when_stale
    async def touch(self, recording_id: str) -> None:
        """A word of it came in, though no sound that counts yet: it is not idle."""
        recording, now = await self._store.get(Recording, recording_id), self._clock.now_ms()
        if recording is None or not recording.in_progress or now - recording.last_heard_ms < TOUCH_MS:
            return
        unit = Unit()
        unit.change(replace(recording, last_heard_ms=now, version=recording.version + 1))
        await self._store.commit(unit)

    @again_when_stale
    async def delete(self, caller: Caller, recording_id: str) -> Recording:
        """It and all versions made of it; `OnHold` when a hold keeps one. Deleting it again changes nothing."""
        self._access.permit(caller, Action.DELETE_RECORDING)
        recording = await self._store.get(Recording, recording_id.lower())
        if recording is None:
            raise Missing(what="recording")
        self._access.require(caller, Action.DELETE_RECORDING, recording, f"recording:{recording.id}")
        if recording.deleted_ms is not None:
            return recording
        self._may_take_back(caller, recording)
        unit, doomed = Unit(), await self._removal.doomed([recording])
        self._removal.remove(unit, caller, doomed)
        self._removal.enqueue_purge(unit, recording.workspace_id, doomed)
        await self._store.commit(unit)
        return await self._store.get(Recording, recording.id) or recording

    def hears_originals(self, caller: Caller, recording: Version) -> bool:
        return self._access.may(caller, Action.LISTEN_ORIGINAL, recording)

    def _may_take_back(self, caller: Caller, recording: Recording) -> None:
        """When a redaction goes before its original, what it hides is heard again: none but those who may hear that can
        make it go."""
        if recording.operation == REDACTING:
            self._access.require(caller, Action.LISTEN_ORIGINAL, recording, f"recording:{recording.id}")

    def _begun(self, workspace: Workspace, call: Call, facts: RecordingFacts, recording_id: str) -> Recording:
        now = self._clock.now_ms()
        days = facts.get("retention_days") or workspace.retention_days
        return Recording(
            id=recording_id,
            workspace_id=workspace.id,
            call_id=call.id,
            chat_id=call.chat_id,
            created_ms=now,
            updated_ms=now,
            last_heard_ms=now,
            format=call.sound_format,
            started_ms=call.started_ms,
            readers=call.readers,
            tags=facts.get("tags", ()),
            metadata=facts.get("metadata", {}),
            expires_ms=facts.get("expires_ms"),
            retention_days=days,
            auto_delete_ms=_deletion(now, days),
        )

    async def _again(self, caller: Caller, recording_id: str | None) -> CallRecording:
        """What an earlier run of the same request made."""
        if recording_id is None or await self._store.get(Recording, recording_id) is None:
            raise AlreadyThere(what="call")
        recording = await self.retrieve(caller, recording_id, Action.CREATE_RECORDING)
        return CallRecording(recording, await self._calls.by_id(caller, recording.call_id, Action.CREATE_RECORDING))


def checked(facts: RecordingFacts) -> RecordingFacts:
    tags = facts.get("tags", ())
    if len(tags) > TAGS_MAX or any(not tag or len(tag) > TAG_MAX for tag in tags):
        raise TooLarge(what="tags", limit=f"{TAGS_MAX} tags of 1 to {TAG_MAX} characters")
    small_json("metadata", facts.get("metadata"))
    days = facts.get("retention_days")
    if days is not None and not 0 < days <= RETENTION_DAYS_MAX:
        raise Malformed(what="retentionPeriod", why=f"it is 1 to {RETENTION_DAYS_MAX} days")
    return facts


def _deletion(from_ms: int, days: int | None) -> int | None:
    return None if days is None else from_ms + days * DAY_MS
