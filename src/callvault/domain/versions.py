"""Which version of a call's sound somebody hears: once a redacted one exists, it is what everybody gets."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from callvault.domain.edits import TakenOut, Withheld, told
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
        self._originals: dict[str, set[str]] = {}
        self._withheld = Withheld()
        self._redacted: defaultdict[str, list[V]] = defaultdict(list)
        for version in sorted(filter(_counts, self._kin.values()), key=age):
            for source in self._sources(version):
                self._redacted[source].append(version)
            if version.operation == REDACTING:
                self._withheld.add(version, [self._kin[name] for name in version.derived_from if name in self._kin])

    def heard(self, wanted: V) -> V:
        """Instead of `wanted`: the newest redacted version that stands for it; where none does and yet some of the
        same sound, or of the same call, was redacted, nothing. A redacted version in which something is heard that was
        taken out of another one of the same sound is not heard either."""
        redacted = {v.id: v for source in self._sources(wanted) for v in self._redacted.get(source, ())}
        if not redacted or (self._is_redacted(wanted) and self._is_clean(wanted)):
            return wanted
        whole = _whole_of(wanted, self._kin)
        for version in sorted(redacted.values(), key=age, reverse=True):
            if _stands_for(version, whole, self._kin) and self._is_clean(version):
                return version
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

    def taken_out(self, version: Version) -> Iterator[TakenOut]:
        """Whatever was taken out, in any redacted version, of the timelines that this one is of."""
        return self._withheld.taken_out({clip.recording_id for clip in told(version).clips})

    def _is_redacted(self, version: V) -> bool:
        """As a whole; or in all the parts that it was made of, but for those of which nothing had to be."""
        return all(map(self._is_part_redacted, lineage_of(version, self._kin, _is_part)))

    def _is_part_redacted(self, part: V | None) -> bool:
        if part is None or part.redacted:
            return part is not None
        return part.operation is not None or not any(source in self._redacted for source in self._sources(part))

    def _is_clean(self, version: Version) -> bool:
        return not self._withheld.is_heard_in(told(version))

    def _heard_at_all(self, wanted: V) -> V | None:
        try:
            return self.heard(wanted)
        except Refused:
            return None

    def _sources(self, recording: V) -> set[str]:
        """The originals that it was made of, and the calls that they are of."""
        originals = self._originals_of(recording)
        return originals | _calls_of(recording, originals, self._kin)

    def _originals_of(self, recording: V) -> set[str]:
        """What is made of what is known already is of the same."""
        if recording.id not in self._originals:
            of_parents = [self._originals.get(name, set()) for name in recording.derived_from]
            known = bool(of_parents) and all(of_parents)
            self._originals[recording.id] = set().union(*of_parents) if known else originals_of(recording, self._kin)
        return self._originals[recording.id]


def heard(wanted: V, family: Iterable[V], originals_too: bool) -> V:
    """What is heard by somebody who asks for the version `wanted`, out of it and all its family."""
    return wanted if originals_too else Family((wanted, *family)).heard(wanted)


def newest_original(versions: Iterable[V]) -> V:
    """Of the living versions of one call's sound, the newest first: what somebody means who asks for its recording."""
    for version in versions:
        if version.operation is None:
            return version
    raise NoRecording


def lineage_of(
    recording: V, kin: Mapping[str, V], made: Callable[[V], bool] = lambda version: True
) -> Iterator[V | None]:
    """It and all that it was made of, over any number of steps, each once: what is merged with a part of itself time
    and again is met in more ways than can be walked. None for what is not there. What is not `made` so ends its line.
    """
    known, waiting = {recording.id}, [recording]
    while waiting:
        version = waiting.pop()
        yield version
        for name in version.derived_from if made(version) else ():
            if name not in known:
                known.add(name)
                if name in kin:
                    waiting.append(kin[name])
                else:
                    yield None


def originals_of(recording: Version, kin: Mapping[str, Version]) -> set[str]:
    """The ids of the originals that it was made of, over any number of steps; its own if it is one."""
    line = [version for version in lineage_of(recording, kin) if version]
    names = {name for version in line for name in version.derived_from}
    return (names - kin.keys()) | {version.id for version in line if not version.derived_from}


def end_of(recording: Version, kin: Mapping[str, Version]) -> int | None:
    """When its sound expires: at its own time, or at that of anything that it was made of, whichever is first."""
    ends = (version.expires_ms for version in lineage_of(recording, kin) if version)
    return min((end for end in ends if end is not None), default=None)


def calls_of(recording: Version, kin: Mapping[str, Version]) -> set[str]:
    """The calls that are heard in it."""
    return _calls_of(recording, originals_of(recording, kin), kin)


def _calls_of(recording: Version, originals: Iterable[str], kin: Mapping[str, Version]) -> set[str]:
    return {recording.call_id} | {kin[name].call_id for name in originals if name in kin}


def descendants_of(recordings: Iterable[Recording], family: Iterable[Recording]) -> list[Recording]:
    """All versions that were made of any of them, over any number of steps."""
    made_of: defaultdict[str, list[Recording]] = defaultdict(list)
    for version in family:
        for parent in version.derived_from:
            made_of[parent].append(version)
    found: dict[str, Recording] = {}
    waiting = [recording.id for recording in recordings]
    while waiting:
        children = [child for child in made_of[waiting.pop()] if child.id not in found]
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
    wholes = (whole for whole in lineage_of(version, kin, _is_whole) if whole and _is_whole(whole))
    return any(wanted.id in whole.derived_from for whole in wholes)


def _is_whole(version: Version) -> bool:
    return version.operation not in PARTIAL


def _is_part(version: Version) -> bool:
    """Of something else, and not redacted itself."""
    return version.operation is not None and not version.redacted


def newest_first(versions: Sequence[V]) -> Sequence[V]:
    """Most calls have but one."""
    return sorted(versions, key=age, reverse=True) if len(versions) > 1 else versions


def age(recording: Version) -> tuple[int, str]:
    return recording.created_ms, recording.id
