"""Which version of a call's sound somebody hears: once a redacted one exists, it is what everybody gets."""

from collections.abc import Iterable, Mapping

from callvault.domain.errors import Missing, Refused
from callvault.domain.recording import Recording

PARTIAL = ("trim", "merge")
"""What these verbs make does not stand for the whole of what it was made of."""


def heard(wanted: Recording, family: Iterable[Recording], originals_too: bool) -> Recording:
    """What is heard by somebody who asks for the version `wanted`, out of it and all its kin.

    Who may not hear originals gets the newest redacted version that stands for what was wanted; where none does and
    yet the same sound was redacted in some other version, nothing.
    """
    kin = {recording.id: recording for recording in (wanted, *family)}
    if originals_too or wanted.redacted:
        return wanted
    roots = originals_of(wanted, kin)
    redacted = [version for version in kin.values() if _counts(version) and roots & originals_of(version, kin)]
    if not redacted:
        return wanted
    if stand_ins := [version for version in redacted if _stands_for(version, wanted, kin)]:
        return max(stand_ins, key=_age)
    raise Refused(why="a redacted version of this call exists: this one needs the scope recordings:original")


def newest_original(versions: Iterable[Recording]) -> Recording:
    """Of the living versions of one call's sound: what somebody means who asks for a call's recording."""
    originals = [recording for recording in versions if recording.operation is None]
    if not originals:
        raise Missing(what="recording")
    return max(originals, key=_age)


def originals_of(recording: Recording, kin: Mapping[str, Recording]) -> set[str]:
    """The ids of the originals that it was made of, over any number of steps; its own if it is one."""
    if not recording.derived_from:
        return {recording.id}
    found: set[str] = set()
    for parent in recording.derived_from:
        found |= originals_of(kin[parent], kin) if parent in kin else {parent}
    return found


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


def _counts(version: Recording) -> bool:
    return version.redacted and version.status == "completed" and version.deleted_ms is None


def _stands_for(version: Recording, wanted: Recording, kin: Mapping[str, Recording]) -> bool:
    return version.operation not in PARTIAL and any(
        parent == wanted.id or (parent in kin and _stands_for(kin[parent], wanted, kin))
        for parent in version.derived_from
    )


def _age(recording: Recording) -> tuple[int, str]:
    return recording.created_ms, recording.id
