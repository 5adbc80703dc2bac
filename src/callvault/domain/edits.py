"""Edit lists, worked with: excerpts, joints and cuts of them, and what was taken out of one, laid over another."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from callvault.domain.errors import Malformed, TooLarge
from callvault.domain.recording import Clip, EditList, Mask, Version

CLIPS_MAX = 500
MASKS_MAX = 500
ENDLESS_US = 1 << 62


@dataclass(frozen=True, slots=True)
class TakenOut:
    """A stretch of an original's timeline that a redaction lets nobody hear, in one lane or in all."""

    clip: Clip
    mask: Mask | None = None
    """How it is covered; without one it was cut out."""


def length_us(edits: EditList) -> int:
    return sum(clip.end_us - clip.start_us for clip in edits.clips)


def excerpt(edits: EditList, start_us: int, end_us: int) -> EditList:
    """What is heard between two times of its clock."""
    clips = tuple(replace(clip, start_us=a, end_us=b) for clip, a, b, _ in _under(edits, start_us, end_us))
    return EditList(clips=clips, masks=tuple(_moved(edits.masks, start_us, end_us, -start_us)))


def joined(parts: Iterable[EditList]) -> EditList:
    """One behind the other."""
    clips: list[Clip] = []
    masks: list[Mask] = []
    at = 0
    for part in parts:
        clips.extend(part.clips)
        masks.extend(_moved(part.masks, 0, ENDLESS_US, at))
        at += length_us(part)
    return EditList(clips=tuple(clips), masks=tuple(masks))


def without(edits: EditList, cuts: Iterable[tuple[int, int]]) -> EditList:
    """What is left when stretches of its clock are cut out."""
    at, left = 0, []
    for start, end in sorted(cuts):
        left.append(excerpt(edits, at, max(start, at)))
        at = max(at, end)
    return joined([*left, excerpt(edits, at, max(length_us(edits), at))])


def masked(edits: EditList, masks: Iterable[Mask]) -> EditList:
    """Each mask once, those that are there already first."""
    return replace(edits, masks=tuple(dict.fromkeys((*edits.masks, *masks))))


def checked(edits: EditList) -> EditList:
    """Something that can be heard, and no more than can be handled."""
    if length_us(edits) <= 0:
        raise Malformed(what="the edit", why="nothing would be left to hear")
    if len(edits.clips) > CLIPS_MAX or len(edits.masks) > MASKS_MAX:
        raise TooLarge(what="the edit", limit=f"{CLIPS_MAX} cuts and {MASKS_MAX} masks")
    return edits


def taken_out(version: Version, sources: Iterable[Version]) -> list[TakenOut]:
    """By a redacted version of these sources: what it covers, and what of them it has not."""
    heard = told(version)
    covered = [
        TakenOut(replace(clip, start_us=a, end_us=b), replace(mask, start_us=0, end_us=0))
        for mask in heard.masks
        for clip, a, b, _ in _under(heard, mask.start_us, mask.end_us)
    ]
    kept = [(clip.recording_id, clip.start_us, clip.end_us) for clip in heard.clips]
    there = [clip for source in sources for clip in told(source).clips]
    return covered + [TakenOut(cut) for clip in there for cut in _less(clip, kept)]


def told(recording: Version) -> EditList:
    """A recording's edits, where the whole of its own timeline is a clip too."""
    if recording.edits.clips:
        return recording.edits
    return replace(recording.edits, clips=(Clip(recording_id=recording.id, start_us=0, end_us=ENDLESS_US),))


def covering(edits: EditList, taken: Iterable[TakenOut]) -> EditList:
    """With all of it taken out here too: covered as it was there, or cut out."""
    masks, cuts = [], []
    for one in taken:
        for start, end in _places(edits, one.clip):
            if one.mask is None:
                cuts.append((start, end))
            else:
                masks.append(replace(one.mask, start_us=start, end_us=end))
    return without(masked(edits, masks), cuts)


def lets_be_heard(edits: EditList, taken: Iterable[TakenOut]) -> bool:
    """Whether any of it is heard here."""
    masks = sorted(edits.masks, key=lambda mask: mask.start_us)
    return any(
        not _is_covered(masks, start, end, one.mask.lane if one.mask else None)
        for one in taken
        for start, end in _places(edits, one.clip)
    )


def _under(edits: EditList, start_us: int, end_us: int) -> Iterator[tuple[Clip, int, int, int]]:
    """Its clips under a stretch of its clock: each with the share of its timeline, and where that begins here."""
    at = 0
    for clip in edits.clips:
        if at >= end_us:
            return
        length = clip.end_us - clip.start_us
        first, last = max(start_us - at, 0), min(end_us - at, length)
        if first < last:
            yield clip, clip.start_us + first, clip.start_us + last, at + first
        at += length


def _places(edits: EditList, sought: Clip) -> list[tuple[int, int]]:
    """Where on its clock a stretch of a timeline is heard."""
    found, at = [], 0
    for clip in edits.clips:
        first, last = max(sought.start_us, clip.start_us), min(sought.end_us, clip.end_us)
        if clip.recording_id == sought.recording_id and first < last:
            found.append((at + first - clip.start_us, at + last - clip.start_us))
        at += clip.end_us - clip.start_us
    return found


def _moved(masks: Iterable[Mask], start_us: int, end_us: int, by_us: int) -> Iterator[Mask]:
    for mask in masks:
        first, last = max(mask.start_us, start_us), min(mask.end_us, end_us)
        if first < last:
            yield replace(mask, start_us=first + by_us, end_us=last + by_us)


def _is_covered(masks: Sequence[Mask], start_us: int, end_us: int, lane: str | None) -> bool:
    """By masks that hide the lane, one behind or over the other, in their order."""
    for mask in masks:
        if mask.start_us > start_us:
            break
        if mask.lane in (None, lane):
            start_us = max(start_us, mask.end_us)
    return start_us >= end_us


def _less(whole: Clip, kept: Iterable[tuple[str, int, int]]) -> Iterator[Clip]:
    """What of a clip is in none of the stretches."""
    at = whole.start_us
    for _, start, end in sorted(k for k in kept if k[0] == whole.recording_id):
        if start > at and at < whole.end_us:
            yield replace(whole, start_us=at, end_us=min(start, whole.end_us))
        at = max(at, end)
    if at < whole.end_us:
        yield replace(whole, start_us=at)
