"""Redact: a version in which given stretches are silent, covered by a tone, or cut out."""

from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from callvault.domain.access import Caller
from callvault.domain.edits import covering, length_us, masked, without
from callvault.domain.errors import Malformed, Missing, NotImplementedYet
from callvault.domain.recording import EditList, Mask, Recording
from callvault.domain.stretches import touch, united
from callvault.domain.versions import REDACTING, Family, originals_of
from callvault.ports.store import Store
from callvault.services.derivations import Derivations, Plan, VersionFacts, edits_of
from callvault.services.lineage import beside, family_of
from callvault.services.stale import again_when_stale
from callvault.services.timelines import Sound

METHODS: Final = ("silence", "beep", "deletion")
EVENTS: Final = ("recording.created", "recording.completed", "recording.redacted")
DETECTION: Final = f"{REDACTING} without spans (detection needs the extra 'speech', which is not there yet)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """What is not to be heard: a stretch of the recording as it is heard now, in one lane or in all."""

    start_us: int
    end_us: int
    lane: str | None = None
    kind: str = ""


class Redact:
    def __init__(self, store: Store, derivations: Derivations) -> None:
        self._store, self._derivations = store, derivations

    @again_when_stale
    async def __call__(
        self, caller: Caller, recording_id: str, version_id: str, *, secrets: Sequence[Secret], method: str = "silence"
    ) -> Recording:
        """The version stands in for what it is made of, for all who may not hear originals, from this moment on.

        What any earlier version has taken out of the same sound is not heard in it either: of two redactions at the
        same time the second one is made again, of what the first one left.
        """
        source = await self._derivations.source(caller, recording_id)
        sound = await self._derivations.sound(source)
        _check(secrets, method, sound)
        family = await family_of(self._store, Recording, [source])

        def edited() -> EditList:
            return covering(_hidden(edits_of(sound), secrets, method), Family(family).taken_out(source))

        kinds = sorted({secret.kind for secret in secrets if secret.kind})
        plan = Plan(
            operation=REDACTING,
            sources=[source],
            edits=await beside(family, edited),
            facts=VersionFacts(redacted=True, redaction_type=method),
            events=EVENTS,
            detail={"method": method, "spans": len(secrets), "kinds": [*kinds]},
            also=_originals(source, family),
        )
        return await self._derivations.make(caller, version_id, plan)


def _hidden(edits: EditList, secrets: Iterable[Secret], method: str) -> EditList:
    if method == "deletion":
        return without(edits, [(secret.start_us, secret.end_us) for secret in secrets])
    length = length_us(edits)
    return masked(
        edits,
        [
            Mask(start_us=s.start_us, end_us=min(s.end_us, length), method=method, lane=s.lane, kind=s.kind)
            for s in secrets
        ],
    )


def _originals(source: Recording, family: Iterable[Recording]) -> list[Recording]:
    kin = {recording.id: recording for recording in family}
    return [kin[name] for name in originals_of(source, kin) if name in kin]


def _check(secrets: Sequence[Secret], method: str, sound: Sound) -> None:
    if not secrets:
        raise NotImplementedYet(what=DETECTION)
    if method not in METHODS:
        raise Malformed(what="method", why=f"it is one of {', '.join(METHODS)}")
    lanes, length = defaultdict[str, list[Secret]](list), sound.length_us
    for secret in secrets:
        if not 0 <= secret.start_us < min(secret.end_us, length):
            raise Malformed(what="a span", why="it begins before it ends, and before the recording ends")
        if secret.lane is not None:
            lanes[secret.lane].append(secret)
    if lanes and method == "deletion":
        raise Malformed(what="a span", why="deletion takes out all lanes: leave out the lane")
    timelines = {stretch.timeline.recording_id: stretch.timeline for stretch in sound.stretches} if lanes else {}
    known = {name: {lane.lane.name for lane in timeline.lanes} for name, timeline in timelines.items()}
    for lane, of_it in lanes.items():
        _check_lane(lane, of_it, sound, {name for name, names in known.items() if lane in names})


def _check_lane(lane: str, secrets: Iterable[Secret], sound: Sound, having: Container[str]) -> None:
    """Wherever the spans lie there must be such a lane: else what they were to hide would be heard in another. `having`
    are the recordings that have it."""
    spans, at = united((secret.start_us, secret.end_us) for secret in secrets), 0
    for stretch in sound.stretches:
        until = at + stretch.end_us - stretch.start_us
        if stretch.timeline.recording_id not in having and touch(spans, at, until):
            raise Missing(what="lane")
        at = until
