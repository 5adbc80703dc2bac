"""Edit lists, worked with: excerpts, joints and cuts of them, and what was taken out of one, laid over another."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, islice

from callvault.domain.errors import Malformed, TooLarge
from callvault.domain.recording import Clip, EditList, Mask, Version
from callvault.domain.stretches import Laid, Stretch, between, touch, united

CLIPS_MAX = 500
MASKS_MAX = 500
COVERS_MAX = 5_000
"""So many clips may lie under masks, one that lies under several counted for each."""
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
    clips = tuple(replace(clip, start_us=a, end_us=b) for clip, a, b in _under(edits)(start_us, end_us))
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


def without(edits: EditList, cuts: Iterable[Stretch]) -> EditList:
    """What is left when stretches of its clock are cut out."""
    return joined(excerpt(edits, start, end) for start, end in between(united(cuts), 0, length_us(edits)))


def masked(edits: EditList, masks: Iterable[Mask]) -> EditList:
    """Each mask once, those that are there already first."""
    return replace(edits, masks=tuple(dict.fromkeys((*edits.masks, *masks))))


def checked(edits: EditList) -> EditList:
    """Something that can be heard, and no more than can be handled."""
    if length_us(edits) <= 0:
        raise Malformed(what="the edit", why="nothing would be left to hear")
    if len(edits.clips) > CLIPS_MAX or len(edits.masks) > MASKS_MAX:
        raise _too_large()
    under = _under(edits)
    covers = (1 for mask in edits.masks for _ in under(mask.start_us, mask.end_us))
    if sum(islice(covers, COVERS_MAX + 1)) > COVERS_MAX:
        raise TooLarge(what="the edit", limit=f"{COVERS_MAX} clips under masks")
    return edits


def _too_large() -> TooLarge:
    return TooLarge(what="the edit", limit=f"{CLIPS_MAX} cuts and {MASKS_MAX} masks")


class Withheld:
    """What redacted versions let nobody hear. Hundreds that were made of one another tell mostly the same, which is
    looked at once."""

    def __init__(self) -> None:
        self._masks: defaultdict[tuple[Clip, ...], dict[Mask, None]] = defaultdict(dict)
        """What lies over these clips."""
        self._left: dict[tuple[tuple[Clip, ...], tuple[Clip, ...]], None] = {}
        """Of what a version was made, and what is left of it."""

    def add(self, version: Version, sources: Iterable[Version]) -> None:
        """What a redacted version of these sources covers, and what of them it has not."""
        heard = told(version)
        self._masks[heard.clips].update(dict.fromkeys(heard.masks))
        self._left[tuple(clip for source in sources for clip in told(source).clips), heard.clips] = None

    def taken_out(self, of: Collection[str] | None = None) -> Iterator[TakenOut]:
        """As it was taken out of the timelines of these recordings, or of all."""
        for clips, masks in self._masks.items():
            under = _under(EditList(clips=clips))
            for mask in masks:
                for clip, start, end in under(mask.start_us, mask.end_us):
                    if of is None or clip.recording_id in of:
                        yield TakenOut(_stretch(clip.recording_id, start, end), replace(mask, start_us=0, end_us=0))
        for name, cut in self._cuts():
            if of is None or name in of:
                yield TakenOut(_stretch(name, *cut))

    def is_heard_in(self, edits: EditList) -> bool:
        """Whether any of it is."""
        return _is_any_heard(edits, self._silences)

    @cached_property
    def _silences(self) -> "_Silences":
        found: defaultdict[str | None, defaultdict[str, list[Stretch]]] = defaultdict(lambda: defaultdict(list))
        for clips, masks in self._masks.items():
            under = _under(EditList(clips=clips))
            covers: defaultdict[str | None, list[Stretch]] = defaultdict(list)
            for mask in masks:
                covers[mask.lane].append((mask.start_us, mask.end_us))
            for lane, stretches in covers.items():
                for clip, start, end in (share for stretch in united(stretches) for share in under(*stretch)):
                    found[lane][clip.recording_id].append((start, end))
        for name, cut in self._cuts():
            found[None][name].append(cut)
        return {lane: {name: united(stretches) for name, stretches in of.items()} for lane, of in found.items()}

    def _cuts(self) -> Iterator[tuple[str, Stretch]]:
        for there, left in self._left:
            kept = _by_recording(left)
            for name, stretches in _by_recording(there).items():
                for start, end in stretches:
                    yield from ((name, cut) for cut in between(kept.get(name, []), start, end))


def told(recording: Version) -> EditList:
    """A recording's edits, where the whole of its own timeline is a clip too."""
    if recording.edits.clips:
        return recording.edits
    return replace(recording.edits, clips=(Clip(recording_id=recording.id, start_us=0, end_us=ENDLESS_US),))


def covering(edits: EditList, taken: Iterable[TakenOut]) -> EditList:
    """With all of it taken out here too: covered as it was there, or cut out."""
    masks, cuts, places = dict.fromkeys(edits.masks), set[Stretch](), _places(edits)
    for one in taken:
        for start, end in places(one.clip):
            if one.mask is None:
                cuts.add((start, end))
            else:
                masks[replace(one.mask, start_us=start, end_us=end)] = None
        if len(masks) > MASKS_MAX:
            raise _too_large()
    return without(replace(edits, masks=tuple(masks)), cuts)


_Silences = Mapping[str | None, Mapping[str, list[Stretch]]]
"""By lanes, None for all, and by recordings."""


def _is_any_heard(edits: EditList, silences: _Silences) -> bool:
    length, under = length_us(edits), _under(edits)
    for lane, of in silences.items():
        covers = united((mask.start_us, mask.end_us) for mask in edits.masks if mask.lane in (None, lane))
        for heard in between(covers, 0, length):
            if any(touch(of.get(clip.recording_id, []), start, end) for clip, start, end in under(*heard)):
                return True
    return False


def _stretch(recording_id: str, start_us: int, end_us: int) -> Clip:
    return Clip(recording_id=recording_id, start_us=start_us, end_us=end_us)


def _by_recording(clips: Iterable[Clip]) -> dict[str, list[Stretch]]:
    found: defaultdict[str, list[Stretch]] = defaultdict(list)
    for clip in clips:
        found[clip.recording_id].append((clip.start_us, clip.end_us))
    return {name: united(stretches) for name, stretches in found.items()}


def _under(edits: EditList) -> Callable[[int, int], Iterator[tuple[Clip, int, int]]]:
    """For a stretch of its clock the clips under it, each with the share of its timeline."""
    ends = list(accumulate(clip.end_us - clip.start_us for clip in edits.clips))

    def under(start_us: int, end_us: int) -> Iterator[tuple[Clip, int, int]]:
        for n in range(bisect_right(ends, start_us), len(ends)):
            clip = edits.clips[n]
            begin = ends[n] - (clip.end_us - clip.start_us)
            if begin >= end_us:
                return
            first, last = max(start_us, begin), min(end_us, ends[n])
            if first < last:
                yield clip, clip.start_us + first - begin, clip.start_us + last - begin

    return under


def _places(edits: EditList) -> Callable[[Clip], Iterator[Stretch]]:
    """For a stretch of a timeline where on its clock it is heard."""
    clips: defaultdict[str, list[tuple[int, int, int]]] = defaultdict(list)
    ahead = 0
    for clip in edits.clips:
        clips[clip.recording_id].append((clip.start_us, clip.end_us, ahead - clip.start_us))
        ahead += clip.end_us - clip.start_us
    laid = {name: Laid(stretches) for name, stretches in clips.items()}

    def places(sought: Clip) -> Iterator[Stretch]:
        if of_it := laid.get(sought.recording_id):
            yield from ((start + by, end + by) for start, end, by in of_it.over(sought.start_us, sought.end_us))

    return places


def _moved(masks: Iterable[Mask], start_us: int, end_us: int, by_us: int) -> Iterator[Mask]:
    for mask in masks:
        first, last = max(mask.start_us, start_us), min(mask.end_us, end_us)
        if first < last:
            yield replace(mask, start_us=first + by_us, end_us=last + by_us)
