"""The desk: whatever a recording has is asked for here by what it is, and comes as content that can be sent."""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from callvault.domain.errors import Malformed, Missing, RecordingInProgress
from callvault.domain.lane import Lane
from callvault.domain.query import Query
from callvault.domain.recording import Recording, Version
from callvault.ports.store import Store
from callvault.services.delivery.artifacts import Artifacts
from callvault.services.delivery.channels import OF_ALL_LANES, check_lanes, check_name
from callvault.services.delivery.content import StoredContent
from callvault.services.delivery.expiry import Expiry
from callvault.services.delivery.growing import Growing, Passing
from callvault.services.delivery.renditions import RATES as KEPT_RATES
from callvault.services.delivery.renditions import Renditions
from callvault.services.delivery.views import RATES, View, Views, check_open
from callvault.wire.mediatypes import OF_FORMAT

Content = View | StoredContent | Growing | Passing
"""All have a `media_type` and a `stream`; the first two a `length` and an `etag` as well."""

WAV: Final = "wav"
_ENDINGS: Final = {
    "call-logs": ".jsonl.gz",
    "pcap": ".pcap",
    "video/mp4": ".mp4",
    "video/quicktime": ".mov",
    "video/webm": ".webm",
}
"""Of artifacts' files, by what they are or by their media type."""


class Wanted(NamedTuple):
    """A view in a format, or an artifact."""

    view: str = "mono"
    format: str = WAV
    rate: int = 0
    """0 for the best that there is."""
    live: bool = False
    """What is there so far will do."""
    artifact: str = ""

    @property
    def name(self) -> str:
        """`stereo.wav`, `pcap` ..."""
        return self.artifact or f"{self.view}.{self.format}"

    def filename(self, recording_id: str, media_type: str) -> str:
        """What a file of it is called when nobody chose a name."""
        if self.artifact:
            return f"{self.artifact}-{recording_id}{_ENDINGS.get(self.artifact) or _ENDINGS.get(media_type, '')}"
        side = "" if self.view == "mono" else f"-{self.view.replace(':', '-')}"
        return f"recording-{recording_id}{side}.{self.format}"


WHOLE: Final = Wanted()
"""The call as it was heard: what is meant by its recording when nothing else is said."""


class Desk:
    """Gives the very version that it is asked for; which one somebody may hear was decided by `Recordings.heard`. Of
    what has expired it gives nothing: `RecordingExpired`."""

    def __init__(
        self, store: Store, views: Views, renditions: Renditions, artifacts: Artifacts, expiry: Expiry
    ) -> None:
        self._store, self._views, self._renditions, self._artifacts = store, views, renditions, artifacts
        self._expiry = expiry

    async def open(self, recording: Recording, wanted: Wanted) -> Content:
        """A WAV is made as it is sent; another format is made once, and sent as it is made by who is first."""
        await self._expiry.left_ms(recording)
        if wanted.artifact:
            return await self._artifacts.open(recording, wanted.artifact)
        if wanted.format == WAV:
            return await self._views.open(recording, wanted.view, wanted.rate, live=wanted.live)
        asked = (recording, wanted.view, wanted.format, wanted.rate)
        is_whole = not recording.in_progress and recording.status != "processing"
        if wanted.live and not is_whole:
            return await self._renditions.live(*asked)
        return await self._renditions.open(*asked)

    async def whole(self, recording: Recording, wanted: Wanted) -> StoredContent | None:
        """The same as one stored object, made first where it is not there yet; None for a WAV at a rate at which none
        is kept."""
        await self._expiry.left_ms(recording)
        if wanted.artifact:
            return await self._artifacts.open(recording, wanted.artifact)
        if wanted.format == WAV and wanted.rate not in (0, *KEPT_RATES):
            return None
        return await self._renditions.made(recording, wanted.view, wanted.format, wanted.rate)

    async def check(self, recording: Version, wanted: Wanted) -> int | None:
        """Raises what `open` would raise, at the price of one look at most for an original. Tells for how many
        milliseconds more `open` gives it; None for ever."""
        left_ms = await self._expiry.left_ms(recording)
        if wanted.artifact:
            await self._artifacts.of(recording, wanted.artifact)
            return left_ms
        _check(wanted)
        check_open(recording, wanted.live)
        if wanted.view not in OF_ALL_LANES and not wanted.live:
            check_lanes(wanted.view, await self._lanes(_originals(recording)))
        return left_ms

    async def there(
        self, asked: Iterable[tuple[Recording, Sequence[Wanted]]]
    ) -> list[tuple[Recording, list[Wanted], int | None]]:
        """What there is of all that is wanted of each recording, and for how many milliseconds more; None for ever. At
        the price of two looks for originals."""
        asked = [(recording, wanted) for recording, wanted in asked if recording.deleted_ms is None]
        unexpired = await self._expiry.unexpired(recording for recording, _ in asked)
        asked = [(recording, wanted) for recording, wanted in asked if recording.id in unexpired]
        lanes: defaultdict[str, list[Lane]] = defaultdict(list)
        for lane in await self._lanes({name for recording, _ in asked for name in _originals(recording)}):
            lanes[lane.recording_id].append(lane)
        kept = {(a.recording_id, a.kind) for a in await self._artifacts.of_each([recording for recording, _ in asked])}
        return [
            (recording, [one for one in wanted if _is_there(recording, one, lanes, kept)], unexpired[recording.id])
            for recording, wanted in asked
        ]

    async def _lanes(self, recording_ids: Iterable[str]) -> Sequence[Lane]:
        query = Query(Lane).where("recording_id", "in", tuple(recording_ids)).by("recording_id", "name")
        return await self._store.find(query) if query.terms[0].value else ()


def _originals(recording: Version) -> set[str]:
    """Whose lanes are heard in it."""
    return {clip.recording_id for clip in recording.edits.clips} or {recording.id}


@lru_cache(256)
def _check(wanted: Wanted) -> None:
    check_name(wanted.view)
    if wanted.format not in OF_FORMAT:
        raise Malformed(what="format", why=f"it is {', '.join(OF_FORMAT)}")
    if wanted.rate and wanted.rate not in RATES:
        raise Malformed(what="rate", why=f"it is {RATES.start} to {RATES.stop - 1}")


def _is_there(
    recording: Recording, wanted: Wanted, lanes: Mapping[str, Sequence[Lane]], kept: Container[tuple[str, str]]
) -> bool:
    if wanted.artifact:
        return (recording.id, wanted.artifact) in kept
    _check(wanted)
    try:
        check_open(recording, wanted.live)
        check_lanes(wanted.view, [lane for name in _originals(recording) for lane in lanes.get(name, ())])
    except (Missing, RecordingInProgress):
        return False
    return True
