"""Messages of live media streams: Twilio's, Telnyx's twin of them, and jambonz' first one, as one set of values."""

import json
import re
from binascii import Error as NotBase64
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from callvault.domain.errors import Malformed
from callvault.wire import mediatypes
from callvault.wire.mediatypes import MediaType

MESSAGE_MAX: Final = 1 << 18
"""Characters of one message; 30 s of G.711 in base64 fit."""

_PARAMETERS_MAX: Final = 100
_WORD_MAX: Final = 256
_COUNT_DIGITS: Final = 15
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")
"""JSON can escape what is no text and what no database keeps."""


class Media(NamedTuple):
    """A piece of one track's sound. (A tuple, for tens of thousands of them come in a second.)"""

    stream_id: str
    track: str
    """`inbound` is what comes from the caller, `outbound` what goes there."""
    chunk: int
    """Counted from 1 in each track; 0 when the sender does not count."""
    timestamp_ms: int
    """From the start of the stream."""
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Which call this is, and in which form its sound will come."""

    dialect: str
    """`twilio`, `telnyx` or `jambonz`."""
    stream_id: str
    call_id: str = ""
    account_id: str = ""
    tracks: tuple[str, ...] = ("inbound",)
    """For interleaved sound, the channels in order."""
    media: MediaType
    from_number: str = ""
    to_number: str = ""
    direction: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """What the sender added by itself."""


@dataclass(frozen=True, slots=True)
class Connected:
    version: str = ""


@dataclass(frozen=True, slots=True)
class Dtmf:
    track: str
    digit: str


@dataclass(frozen=True, slots=True)
class Mark:
    name: str


@dataclass(frozen=True, slots=True)
class Stop:
    stream_id: str = ""


@dataclass(frozen=True, slots=True)
class Other:
    """A message of a kind that tells a recorder nothing."""

    event: str


Message = Media | Start | Connected | Dtmf | Mark | Stop | Other

_MEDIA_HEAD: Final = re.compile(
    r'\{"event":"media","sequenceNumber":"\d{1,15}","media":\{"track":"(inbound|outbound)",'
    r'"chunk":"(\d{1,15})","timestamp":"(\d{1,15})","payload":"',
    re.ASCII,
)
_MEDIA_TAIL: Final = re.compile(r'"\},"streamSid":"([\w-]{1,128})"\}', re.ASCII)


def parse(text: str) -> Message:
    return _usual_media(text) or _parse_any(text)


def _usual_media(text: str) -> Media | None:
    """A media message exactly as Twilio writes it, at a third of the price of any JSON."""
    head = _MEDIA_HEAD.match(text)
    if head is None or len(text) > MESSAGE_MAX:
        return None
    start = head.end()
    end = text.find('"', start)
    tail = _MEDIA_TAIL.fullmatch(text, end)
    if tail is None:
        return None
    try:
        payload = a2b_base64(text[start:end], strict_mode=True)
    except ValueError:
        return None
    track, chunk, timestamp = head.groups()
    return Media(tail[1], track, int(chunk), int(timestamp), payload)


def _parse_any(text: str) -> Message:
    if len(text) > MESSAGE_MAX:
        raise _malformed(f"it is longer than {MESSAGE_MAX} characters")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _malformed("it is no JSON") from error
    if not isinstance(body, dict):
        raise _malformed("it is no JSON object")
    if "event" not in body and "sampleRate" in body:
        return _jambonz_start(body)
    event = _word(body, "event")
    parser = _PARSERS.get(event)
    return parser(body) if parser else Other(event)


def _connected(body: dict[str, Any]) -> Connected:
    return Connected(_word(body, "version"))


def _media(body: dict[str, Any]) -> Media:
    media = _inner(body, "media")
    payload = media.get("payload")
    if not isinstance(payload, str):
        raise _malformed("media.payload is missing")
    try:
        sound = a2b_base64(payload, strict_mode=True)
    except (NotBase64, ValueError) as error:
        raise _malformed("media.payload is no base64") from error
    return Media(_stream_id(body), _track(media), _count(media.get("chunk", 0)), _count(media.get("timestamp")), sound)


def _start(body: dict[str, Any]) -> Start:
    start = _inner(body, "start")
    telnyx = "media_format" in start or "stream_id" in body
    form_name = "media_format" if telnyx else "mediaFormat"
    form = _inner(start, form_name)
    if _count(form.get("channels", 1)) != 1:
        raise _malformed(f"{form_name}.channels is not 1: each track comes in messages of its own")
    parameters = start.get("custom_parameters" if telnyx else "customParameters")
    return Start(
        dialect="telnyx" if telnyx else "twilio",
        stream_id=_stream_id(body) or _word(start, "streamSid"),
        call_id=_word(start, "call_control_id" if telnyx else "callSid"),
        account_id=_word(start, "user_id" if telnyx else "accountSid"),
        tracks=_tracks(start.get("tracks")),
        media=_media_type(form.get("encoding"), form.get("sample_rate" if telnyx else "sampleRate"), form),
        from_number=_word(start, "from"),
        to_number=_word(start, "to"),
        parameters=_parameters(parameters or {}),
    )


def _jambonz_start(body: dict[str, Any]) -> Start:
    mix = _word(body, "mixType") or "mono"
    tracks = {"mono": ("inbound",), "mixed": ("mixed",), "stereo": ("inbound", "outbound")}.get(mix)
    if tracks is None:
        raise _malformed("mixType is not one of mono, stereo and mixed")
    known = {"callSid", "accountSid", "sampleRate", "mixType", "from", "to", "direction"}
    added = {name: value for name, value in body.items() if name not in known and name != "metadata"}
    extra = body.get("metadata")
    return Start(
        dialect="jambonz",
        stream_id=_word(body, "callSid"),
        call_id=_word(body, "callSid"),
        account_id=_word(body, "accountSid"),
        tracks=tracks,
        media=_media_type("x-raw;format=S16LE", body["sampleRate"], {"channels": len(tracks)}),
        from_number=_word(body, "from"),
        to_number=_word(body, "to"),
        direction=_word(body, "direction"),
        parameters=_parameters({**added, **extra} if isinstance(extra, dict) else added),
    )


def _dtmf(body: dict[str, Any]) -> Dtmf:
    if isinstance(body.get("dtmf"), str):
        return Dtmf("inbound", _word(body, "dtmf"))
    dtmf = _inner(body, "dtmf")
    return Dtmf(_track(dtmf), _word(dtmf, "digit"))


def _mark(body: dict[str, Any]) -> Mark:
    return Mark(_word(_inner(body, "mark"), "name"))


def _stop(body: dict[str, Any]) -> Stop:
    return Stop(_stream_id(body))


_PARSERS: Final[Mapping[str, Callable[[dict[str, Any]], Message]]] = {
    "connected": _connected,
    "media": _media,
    "start": _start,
    "dtmf": _dtmf,
    "mark": _mark,
    "stop": _stop,
}


def _inner(body: dict[str, Any], name: str) -> dict[str, Any]:
    inner = body.get(name)
    if not isinstance(inner, dict):
        raise _malformed(f"{name} is missing")
    return inner


def _word(body: dict[str, Any], name: str) -> str:
    word = body.get(name)
    if word is None:
        return ""
    if not isinstance(word, str) or len(word) > _WORD_MAX or _UNSTORABLE.search(word):
        raise _malformed(f"{name} is no text of at most {_WORD_MAX} characters")
    return word


def _stream_id(body: dict[str, Any]) -> str:
    return _word(body, "streamSid") or _word(body, "stream_id")


def _track(body: dict[str, Any]) -> str:
    return _word(body, "track").removesuffix("_track") or "inbound"


def _tracks(named: object) -> tuple[str, ...]:
    listed = named if isinstance(named, list) else []
    return tuple(_track({"track": track}) for track in listed[:8]) or ("inbound",)


def _count(value: object) -> int:
    """Twilio writes numbers as text, others as numbers."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _COUNT_DIGITS:
        return int(value)
    if type(value) is int and 0 <= value < 10**_COUNT_DIGITS:
        return value
    raise _malformed("a count in it is no number from 0 on")


def _media_type(encoding: object, rate: object, form: dict[str, Any]) -> MediaType:
    if not isinstance(encoding, str):
        raise _malformed("the encoding is missing")
    name = encoding if "/" in encoding else f"audio/{encoding}"
    numbers = f"rate={_count(8000 if rate is None else rate)};channels={_count(form.get('channels', 1))}"
    media = mediatypes.parse(f"{name};{numbers}")
    if media.codec == "file":
        raise _malformed("the encoding is none that is taken")
    return media


def _parameters(given: object) -> dict[str, str]:
    if not isinstance(given, dict) or len(given) > _PARAMETERS_MAX:
        raise _malformed(f"the parameters are no object of at most {_PARAMETERS_MAX}")
    said = {name: value for name, value in given.items() if value is not None}
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in said.items()}
    if any(_UNSTORABLE.search(text) for item in texts.items() for text in item):
        raise _malformed("a parameter holds what is no text")
    return texts


def _malformed(why: str) -> Malformed:
    return Malformed(what="the message", why=why)


def media_message(media: Media, sequence: int) -> str:
    """As Twilio writes it."""
    payload = b2a_base64(media.payload, newline=False).decode()
    return (
        f'{{"event":"media","sequenceNumber":"{sequence}","media":{{"track":"{media.track}","chunk":"{media.chunk}",'
        f'"timestamp":"{media.timestamp_ms}","payload":"{payload}"}},"streamSid":"{media.stream_id}"}}'
    )


class Interleaved:
    """Takes apart what jambonz sends: 16-bit samples of all channels in turn, cut anywhere."""

    def __init__(self, channels: int) -> None:
        self._frame = 2 * channels
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """For each channel the bytes of its whole samples."""
        data = self._rest + data
        whole = len(data) - len(data) % self._frame
        self._rest = data[whole:]
        samples = np.frombuffer(data, "<i2", whole // 2).reshape(-1, self._frame // 2)
        return [channel.tobytes() for channel in samples.T]
