"""What the body of a take is: proven before it is believed, and brought into the form in which it is stored."""

import io
from dataclasses import dataclass

from callvault.domain.errors import Malformed, TooLarge
from callvault.ports.codecs import Codecs, SoundLimits
from callvault.wire import wav
from callvault.wire.mediatypes import MediaType
from callvault.wire.runs import BYTES_PER_SAMPLE, STREAMED, STREAMED_SAMPLES_PER_BYTE

TAKE_BYTES = 16 << 20
TAKE_SECONDS = 600
_LIMITS = SoundLimits(seconds=TAKE_SECONDS, rate=48_000, channels=1)
_WAVS = {("pcm", 16): "s16le", ("pcma", 8): "pcma", ("pcmu", 8): "pcmu"}
"""WAV files whose sound can be stored as it is, without the file around it."""


@dataclass(frozen=True, slots=True)
class TakeSound:
    codec: str
    rate: int
    samples: int
    payload: bytes


def sound_of(form: MediaType, body: bytes, codecs: Codecs) -> TakeSound:
    """Blocks, for a file. `Malformed` when it is not what it is said to be; `TooLarge` beyond the limits of a take."""
    if len(body) > TAKE_BYTES:
        raise TooLarge(what="the take", limit=f"{TAKE_BYTES} bytes")
    if not body:
        raise Malformed(what="the take", why="it is empty")
    sound = _of_file(body, codecs) if form.codec == "file" else _of_samples(form, body)
    if sound.samples > TAKE_SECONDS * sound.rate:
        raise TooLarge(what="the take", limit=f"{TAKE_SECONDS} seconds")
    return sound


def _of_samples(form: MediaType, body: bytes) -> TakeSound:
    if form.channels != 1:
        raise _not_one(form.channels)
    if form.codec == STREAMED:
        return TakeSound(form.codec, form.rate, STREAMED_SAMPLES_PER_BYTE * len(body), body)
    width = BYTES_PER_SAMPLE[form.codec]
    if len(body) % width:
        raise Malformed(what="the take", why=f"its length is no multiple of the {width} bytes of a sample")
    return TakeSound(form.codec, form.rate, len(body) // width, body)


def _of_file(body: bytes, codecs: Codecs) -> TakeSound:
    if body.startswith(wav.BEGINNINGS) and (plain := _of_wav(body)):
        return plain
    found = codecs.probe(io.BytesIO(body))
    if found.channels != 1:
        raise _not_one(found.channels)
    decoding = codecs.decode(io.BytesIO(body), _LIMITS)
    samples = sum(len(block) for block in decoding)
    if decoding.damage:
        raise Malformed(what="the take", why=decoding.damage)
    return TakeSound("file", found.rate, samples, body)


def _of_wav(body: bytes) -> TakeSound | None:
    found = wav.parse(body[: wav.HEADER_MAX], len(body))
    codec = _WAVS.get((found.encoding, found.bits))
    if codec is None or found.channels != 1 or not found.frames or "beyond the file" in found.lies:
        return None
    payload = body[found.data_offset : found.data_offset + found.data_length]
    return TakeSound(codec, found.rate, found.frames, payload)


def _not_one(channels: int) -> Malformed:
    return Malformed(what="the take", why=f"it is of one lane, and this has {channels} channels")
