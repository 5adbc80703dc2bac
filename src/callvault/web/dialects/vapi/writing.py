"""Gathers what Vapi's Calls are written from: their turns, and the URLs of the artifacts that exist."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from callvault.domain.access import Action, Caller
from callvault.domain.call import Call
from callvault.domain.ids import Json
from callvault.domain.query import Query
from callvault.domain.stored import STARTS_AT, Artifact
from callvault.services.delivery.desk import Wanted
from callvault.services.house import Services
from callvault.web.dialects.vapi.schemas import ARTIFACTS, CallParts

PRESIGNED_SECONDS: Final = 3600
VIDEO: Final = Wanted(artifact=ARTIFACTS["video-recording"])
SOUND: Final = frozenset({"mono", "stereo", "customer", "assistant"})


@lru_cache(64)
def wanted(endpoint: str, format: str) -> Wanted:
    """What an artifact's endpoint hands out: a view, in the format of the call's plan, or an artifact."""
    what = ARTIFACTS[endpoint]
    return Wanted(view=what, format=format) if what in SOUND else Wanted(artifact=what)


async def parts_of(services: Services, caller: Caller, calls: Sequence[Call], base_url: str) -> list[CallParts]:
    """All that is told of each, with URLs minted for this very answer; what the caller may not hear is not told.

    A handful of looks at the database, however many the calls are.
    """
    calls = await services.transcripts.summed_up(caller, calls)
    heard = await services.recordings.heard_of_each(caller, calls)
    said = await services.transcripts.of_each(caller, calls)
    versions = [version for version in heard.values() if version]
    listening = [(version, [wanted(name, version.format) for name in ARTIFACTS]) for version in versions]
    links = await services.delivery.links.secure_urls(
        caller, listening, seconds=PRESIGNED_SECONDS, attachment=True, action=Action.LISTEN, base_url=base_url
    )
    starts = await _video_starts(services, [name for name, minted in links.items() if VIDEO in minted])
    parts = []
    for call in calls:
        version = heard.get(call.id)
        minted = links.get(version.id, {}) if version else {}
        asked = {name: wanted(name, version.format) for name in ARTIFACTS} if version else {}
        presigned = {name: minted[what] for name, what in asked.items() if what in minted}
        plain = {name: f"{base_url}/call/{call.id}/{name}" for name in presigned}
        urls = {name: link.url for name, link in presigned.items()}
        until = min((link.expires_ms for link in presigned.values()), default=None)
        video_start = starts.get(version.id) if version else None
        parts.append(CallParts(call, said.get(call.id, ()), plain, urls, until, video_start))
    return parts


async def _video_starts(services: Services, recording_ids: Sequence[str]) -> dict[str, Json]:
    """Where on the call's clock these recordings' videos begin, as far as it was told."""
    query = Query(Artifact).where("recording_id", "in", tuple(recording_ids)).where("kind", "=", VIDEO.artifact)
    found = await services.store.find(query.by("recording_id", "kind")) if recording_ids else ()
    return {artifact.recording_id: artifact.metadata.get(STARTS_AT) for artifact in found}
