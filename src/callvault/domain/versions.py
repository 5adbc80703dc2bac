"""Which version of a call's sound somebody hears: once a redacted one exists, it is what everybody gets."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from callvault.domain.edits import TakenOut, lets_be_heard, taken_out, told
from callvault.domain.errors import NoRecording, Refused
from callvault.domain.recording import COPYING, Recording, Version

V = TypeVar("V", bound=Version)
PARTIAL = ("trim", "merge")
"""What these verbs make does not stand for the whole of what it was made of."""
REDACTING = "redactPII"


@dataclass(frozen=True, slots=True)
class Redaction(Generic[V]):
    """What is heard of a call that was redacted."""

    versions: tuple[V, ...]
    """Redacted ones, each in the place of an original, that of the newest first; none where nothing may be heard."""
    is_whole: bool
    """Whether there is one for every original."""


class Family(Generic[V]):
    """Recordings with all that they were made of, all that was made of these, and all others of the same calls.

    What was said in one of a call's originals may be heard in the others too: once any is redacted, an original that is
    not is heard by nobody who may not hear originals.
    """

    def __init__(self, recordings: Iterable[V]) -> None:
        self._kin = {recording.id: recording for recording in recordings}
        self._taken_out: defaultdict[str, set[TakenOut]] = defaultdict(set)
        self._redacted: defaultdict[str, list[V]] = defaultdict(list)
        for version in filter(_counts, self._kin.values()):
            for source in self._sources(version):
                self._redacted[source].append(version)
            for taken in self._taken_by(version):
                self._taken_out[taken.clip.recording_id].add(taken)

    def heard(self, wanted: V) -> V:
        """Instead of `wanted`: the newest redacted version that stands for it; where none does and yet some of the
        same sound, or of the same call, was redacted, nothing. A redacted version in which something is heard that was
        taken out of another one of the same sound is not heard either."""
        redacted = {v.id: v for source in self._sources(wanted) for v in self._redacted.get(source, ())}
        if not redacted or (self._is_redacted(wanted) and self._is_clean(wanted)):
            return wanted
        whole = _whole_of(wanted, self._kin)
        if stand_ins := [v for v in redacted.values() if _stands_for(v, whole, self._kin) and self._is_clean(v)]:
            return max(stand_ins, key=age)
        raise Refused(why="a redacted version of this call exists: this one needs the scope recordings:original")

    def of_call(self, versions: Iterable[V]) -> V:
        """What is heard of a call with these living versions."""
        originals = _originals(versions)
        redaction = self.redaction(originals)
        if redaction and not redaction.versions:
            return self.heard(originals[0])
        return redaction.versions[0] if redaction else newest_original(originals)

    def redaction(self, versions: Iterable[V]) -> Redaction[V] | None:
        """Of a call with these living versions; None where none of its sound was redacted."""
        originals = _originals(versions)
        heard = [self._heard_at_all(original) for original in originals]
        if heard == originals:
            return None
        stand_ins = tuple(version for version in heard if version)
        return Redaction(stand_ins, is_whole=len(stand_ins) == len(originals))

    def taken_out(self, version: Version) -> set[TakenOut]:
        """Whatever was taken out, in any redacted version, of the timelines that this one is of."""
        originals = {clip.recording_id for clip in told(version).clips}
        return {taken for name in originals for taken in self._taken_out.get(name, ())}

    def _taken_by(self, version: V) -> list[TakenOut]:
        if version.operation != REDACTING:
            return []
        return taken_out(version, [self._kin[parent] for parent in version.derived_from if parent in self._kin])

    def _is_redacted(self, version: V) -> bool:
        """As a whole; or in all the parts that it was made of, but for those of which nothing had to be."""
        if version.redacted or version.operation is None:
            return version.redacted or not any(source in self._redacted for source in self._sources(version))
        return all(parent in self._kin and self._is_redacted(self._kin[parent]) for parent in version.derived_from)

    def _is_clean(self, version: Version) -> bool:
        return not lets_be_heard(told(version), self.taken_out(version))

    def _heard_at_all(self, wanted: V) -> V | None:
        try:
            return self.heard(wanted)
        except Refused:
            return None

    def _sources(self, recording: V) -> set[str]:
        """The originals that it was made of, and the calls that they are of."""
        return originals_of(recording, self._kin) | calls_of(recording, self._kin)


def heard(wanted: V, family: Iterable[V], originals_too: bool) -> V:
    """What is heard by somebody who asks for the version `wanted`, out of it and all its family."""
    return wanted if originals_too else Family((wanted, *family)).heard(wanted)


def newest_original(versions: Iterable[V]) -> V:
    """Of the living versions of one call's sound, the newest first: what somebody means who asks for its recording."""
    for version in versions:
        if version.operation is None:
            return version
    raise NoRecording


def originals_of(recording: Version, kin: Mapping[str, Version]) -> set[str]:
    """The ids of the originals that it was made of, over any number of steps; its own if it is one."""
    if not recording.derived_from:
        return {recording.id}
    found: set[str] = set()
    for parent in recording.derived_from:
        found |= originals_of(kin[parent], kin) if parent in kin else {parent}
    return found


def end_of(recording: Version, kin: Mapping[str, Version]) -> int | None:
    """When its sound expires: at its own time, or at that of anything that it was made of, whichever is first."""
    ends = [recording.expires_ms, *(end_of(kin[name], kin) for name in recording.derived_from if name in kin)]
    return min((end for end in ends if end is not None), default=None)


def calls_of(recording: Version, kin: Mapping[str, Version]) -> set[str]:
    """The calls that are heard in it."""
    roots = originals_of(recording, kin)
    return {recording.call_id} | {kin[root].call_id for root in roots if root in kin}


def descendants_of(recording: Recording, family: Iterable[Recording]) -> list[Recording]:
    """All versions that were made of it, over any number of steps."""
    found: dict[str, Recording] = {}
    waiting, kin = [recording.id], list(family)
    while waiting:
        parent = waiting.pop()
        children = [r for r in kin if parent in r.derived_from and r.id not in found]
        found.update((child.id, child) for child in children)
        waiting.extend(child.id for child in children)
    return list(found.values())


def _originals(versions: Iterable[V]) -> Sequence[V]:
    """Those among them, the newest first."""
    return newest_first([recording for recording in versions if recording.operation is None])


def _counts(version: Version) -> bool:
    return version.redacted and version.status == "completed" and version.deleted_ms is None


def _stands_for(version: Version, wanted: Version, kin: Mapping[str, Version]) -> bool:
    """What was made for the sake of its file is heard by those who ask for it alone."""
    return version.operation not in COPYING and _is_whole_of(version, wanted, kin)


def _whole_of(version: Version, kin: Mapping[str, Version]) -> Version:
    """What it was made of as a whole, over any number of steps; itself where it is an original or a part of one."""
    while version.operation is not None and version.operation not in PARTIAL:
        parents = [kin[parent] for parent in version.derived_from if parent in kin]
        if not parents:
            break
        version = parents[0]
    return version


def _is_whole_of(version: Version, wanted: Version, kin: Mapping[str, Version]) -> bool:
    return version.operation not in PARTIAL and any(
        parent == wanted.id or (parent in kin and _is_whole_of(kin[parent], wanted, kin))
        for parent in version.derived_from
    )


def newest_first(versions: Sequence[V]) -> Sequence[V]:
    """Most calls have but one."""
    return sorted(versions, key=age, reverse=True) if len(versions) > 1 else versions


def age(recording: Version) -> tuple[int, str]:
    return recording.created_ms, recording.id
