"""Recordings as the native API tells them: with their call, their words and a fresh link."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args

from callvault.domain.access import Action
from callvault.domain.call import Call, Turn
from callvault.domain.errors import RecordingExpired, Refused
from callvault.domain.lane import Lane
from callvault.domain.query import Query
from callvault.domain.recording import Recording, own_file
from callvault.domain.workspace import WorkspaceKey
from callvault.services.delivery.desk import Wanted
from callvault.services.recordings import CallRecording as Pair
from callvault.services.transcripts import beside
from callvault.web.native.callschemas import assistant_of, call_out, phone_number_of
from callvault.web.native.recordingschemas import STATUSES, CallRecording, CallTranscript, Speaker, TurnOut
from callvault.web.native.spelling import seconds
from callvault.web.responses import json_list
from callvault.web.visit import Visit

PCM_BITS = 16
KNOWN_STATUSES = get_args(STATUSES)


async def told(visit: Visit, recording: Recording, call: Call | None = None) -> CallRecording:
    """One recording with everything about it."""
    services = visit.services
    [pair] = [Pair(recording, call)] if call else await services.recordings.with_calls([recording])
    [pair] = await _summed_up(visit, [pair])
    turns = (await services.transcripts.of_each(visit.caller, [pair.call])).get(pair.call.id, [])
    lanes = await services.store.find(
        Query(Lane).where("recording_id", "=", _sounding(recording)).by("position", "name")
    )

    def said() -> tuple[CallTranscript | None, list[Speaker]]:
        return transcript_out(pair.call, turns) if turns else None, _speakers(pair.call, lanes, turns)

    transcript, speakers = await beside(turns, said)
    return _told(
        visit,
        pair,
        bool(turns),
        encryption_key=await _key_id(visit, recording),
        secure_url=await _secure_url(visit, recording),
        transcript=transcript,
        participants=speakers,
    )


def _sounding(recording: Recording) -> str:
    """Whose lanes are heard in it, first of all."""
    return recording.edits.clips[0].recording_id if recording.edits.clips else recording.id


async def listed(visit: Visit, recordings: Sequence[Recording]) -> Iterator[CallRecording]:
    """Many, without what costs a look at each; made one by one, for some are large."""
    pairs = await _summed_up(visit, await visit.services.recordings.with_calls(recordings))
    spoken = await visit.services.transcripts.exist_for([pair.call.id for pair in pairs])
    key_id = await _key_id(visit, recordings[0]) if recordings else None
    return (
        _told(visit, pair, pair.call.id in spoken, encryption_key=key_id, participants=_speakers(pair.call, (), ()))
        for pair in pairs
    )


async def _summed_up(visit: Visit, pairs: Sequence[Pair]) -> list[Pair]:
    calls = await visit.services.transcripts.summed_up(visit.caller, [pair.call for pair in pairs])
    return [Pair(pair.recording, call) for pair, call in zip(pairs, calls, strict=True)]


def transcript_out(call: Call, turns: Sequence[Turn]) -> CallTranscript:
    return CallTranscript(
        call_id=call.id,
        text=text_of(turns),
        turns=[turn_out(turn) for turn in turns],
    )


def transcript_pieces(call_id: str, text: str, turns: Iterable[TurnOut]) -> Iterator[bytes]:
    """A `CallTranscript` as JSON, turn by turn."""
    head = CallTranscript(call_id=call_id, text=text, turns=[]).model_dump_json(exclude={"turns"})
    yield head[:-1].encode() + b',"turns":'
    yield from json_list(turn.model_dump_json().encode() for turn in turns)
    yield b"}"


def pieces_of(told: CallRecording) -> Iterator[bytes]:
    """As JSON; of one with a transcript turn by turn."""
    if told.transcript is None:
        yield told.model_dump_json().encode()
        return
    yield told.model_dump_json(exclude={"transcript"})[:-1].encode() + b',"transcript":'
    yield from transcript_pieces(told.transcript.call_id, told.transcript.text, told.transcript.turns)
    yield b"}"


def text_of(turns: Sequence[Turn]) -> str:
    return "".join(f"{turn.role}: {turn.content}\n" for turn in turns)


def turn_out(turn: Turn) -> TurnOut:
    return TurnOut(
        id=turn.id,
        role=turn.role,
        content=turn.content,
        start=turn.start_ms / 1000,
        end=None if turn.end_ms is None else turn.end_ms / 1000,
        confidence=turn.confidence,
    )


def _told(visit: Visit, pair: Pair, spoken: bool, **facts: Any) -> CallRecording:
    recording, call, storage = pair.recording, pair.call, visit.services.storage
    return CallRecording(
        **{"secure_url": None, "transcript": None, **facts},
        id=recording.id,
        call=call_out(call),
        assistant=assistant_of(call),
        phone_number=phone_number_of(call),
        status=recording.status if recording.status in KNOWN_STATUSES else "failed",  # type: ignore[arg-type]
        url=f"{visit.base_url}/api/v1/recordings/{recording.id}/{_file(recording)}",
        storage=storage.provider,
        storage_path=f"{storage.prefix}{recording.workspace_id}/{recording.id}/",
        bucket=storage.bucket,
        region=storage.region,
        encrypted=storage.encrypted,
        has_transcript=spoken,
        **_sound(recording),
        **_fate(recording),
    )


def _file(recording: Recording) -> str:
    view, rate = own_file(recording)
    return f"audio.{recording.format}" + (f"?view={view}&rate={rate}" if rate else "")


def _sound(recording: Recording) -> dict[str, Any]:
    pcm_bits_a_second = recording.sample_rate * recording.channels * PCM_BITS
    duration = recording.duration_us / 1_000_000
    return {
        "format": recording.format,
        "codec": recording.codec,
        "sample_rate": recording.sample_rate,
        "bitrate": round(recording.file_size * 8 / duration / 1000, 3) if duration else 0,
        "channels": recording.channels,
        "duration": duration,
        "file_size": recording.file_size,
        "start_time": seconds(recording.started_ms),
        "end_time": seconds(recording.ended_ms),
        "redacted": recording.redacted,
        "redaction_type": recording.redaction_type,
        "speaker_diarization": recording.channels > 1,
        "noise_reduction": recording.noise_reduction,
        "volume_normalization": recording.volume_normalization,
        "silence_removal": recording.silence_removal,
        "compression_ratio": round(pcm_bits_a_second * duration / 8 / recording.file_size, 3)
        if recording.file_size
        else 1,
        "quality": recording.quality,
    }


def _fate(recording: Recording) -> dict[str, Any]:
    return {
        "download_count": recording.download_count,
        "last_accessed": seconds(recording.last_accessed_ms),
        "expires_at": seconds(recording.expires_ms),
        "retention_period": recording.retention_days,
        "auto_delete_at": seconds(recording.auto_delete_ms),
        "tags": list(recording.tags),
        "metadata": recording.metadata,
        "created": seconds(recording.created_ms),
        "updated": seconds(recording.updated_ms),
        "in_progress": recording.in_progress,
        "paused": recording.paused,
        "ended_by": recording.ended_by,
        "failure": recording.failure,
        "derived_from": list(recording.derived_from),
        "operation": recording.operation,
        "held": recording.held,
    }


def _speakers(call: Call, lanes: Sequence[Lane], turns: Sequence[Turn]) -> list[Speaker]:
    """The call's participants, and lanes of which nobody said whose they are."""
    owners = {lane.participant_id: lane.name for lane in lanes if lane.participant_id}
    spoken, people = _spoken(turns), {person.id for person in call.participants}
    known = [
        Speaker(
            id=person.id,
            name=person.name,
            role=person.role,
            number=person.number,
            lane=owners.get(person.id),
            speaking_time=_seconds(spoken, person.role, owners.get(person.id)),
        )
        for person in call.participants
    ]
    others = [
        Speaker(
            id=lane.name,
            name="",
            role=lane.role,
            number=None,
            lane=lane.name,
            speaking_time=_seconds(spoken, lane.role, lane.name),
        )
        for lane in lanes
        if lane.participant_id not in people
    ]
    return known + others


def _spoken(turns: Sequence[Turn]) -> dict[str, int | None]:
    """For how many milliseconds each role speaks; None where the end of a turn is not known."""
    spoken: dict[str, int | None] = {}
    for turn in turns:
        before = spoken.get(turn.role, 0)
        is_known = before is not None and turn.end_ms is not None
        spoken[turn.role] = before + turn.end_ms - turn.start_ms if is_known else None  # type: ignore[operator]
    return spoken


def _seconds(spoken: Mapping[str, int | None], role: str, lane: str | None) -> float | None:
    """Of whom turns name by his role or his lane; None without any turns."""
    own = [spoken.get(name, 0) for name in {role, lane} if name is not None]
    return sum(ms or 0 for ms in own) / 1000 if spoken and None not in own else None


async def _key_id(visit: Visit, recording: Recording) -> str | None:
    query = Query(WorkspaceKey).where("workspace_id", "=", recording.workspace_id)
    found = await visit.services.store.find(query.by("-created_ms", "-id").page(1))
    return found[0].id if found and visit.services.storage.encrypted else None


async def _secure_url(visit: Visit, recording: Recording) -> str | None:
    """Of what the asker hears; None while there is nothing, when it has expired, and for those who may hear nothing."""
    services, caller = visit.services, visit.caller
    if recording.status != "completed":
        return None
    try:
        heard = await services.recordings.heard(caller, recording.id, Action.MINT_LINK)
        view, rate = own_file(heard)
        wanted = Wanted(view, heard.format, rate)
        link = await services.delivery.links.secure_url(caller, heard, wanted, base_url=visit.base_url)
    except (RecordingExpired, Refused):
        return None
    return link.url
