"""What was said during a pause is cut out of a piece before anything of it is stored."""

from collections.abc import Iterable, Iterator, Sequence

from callvault.audio.clock import LaneClock
from callvault.domain.lane import Lane, Span
from callvault.domain.stretches import touch, united
from callvault.ports.spool import Piece
from callvault.services.ingest.sound import Decode
from callvault.wire.runs import BYTES_PER_SAMPLE, STREAMED, STREAMED_SAMPLES_PER_BYTE

Pauses = tuple[Span, ...]
Stretch = tuple[int, int]
FOREVER = 1 << 62
SETTLING_SECONDS = 1
"""How long a decoder of G.722 that begins within a stream may have some of it wrong."""


class PauseCutter:
    """Takes are cut where they lie on the call's clock. Of a live stream, what came in during a pause was said during
    it, whatever the sender's clock says: its pieces go as a whole, for the stream itself takes in no frame of it."""

    def __init__(self, pauses: Pauses, lane: Lane, decode: Decode) -> None:
        self._pauses = [span for span in pauses if span.lane in (None, lane.name)]
        self._paused = Paused(self._pauses)
        self._clock = LaneClock(lane.rate, lane.anchors)
        self._decode = decode

    def __call__(self, piece: Piece) -> list[Piece]:
        if piece.arrived_us is not None:
            return [] if self._paused.at(piece.arrived_us) else [piece]
        return without(piece, map(self._stretch, self._pauses), self._decode)

    def _stretch(self, span: Span) -> Stretch:
        at = self._clock.sample_at
        return at(span.start_us), FOREVER if span.end_us is None else at(span.end_us)


class Paused:
    """When somebody paused: asked for every frame, of however many pauses there were."""

    def __init__(self, pauses: Iterable[Span]) -> None:
        ends = ((span.start_us, FOREVER if span.end_us is None else span.end_us) for span in pauses)
        self._stretches = united(ends)

    def at(self, at_us: int) -> bool:
        return touch(self._stretches, at_us, at_us + 1)


def without(piece: Piece, stretches: Iterable[Stretch], decode: Decode) -> list[Piece]:
    """The piece itself when none of the stretches touches it. Else what is left of it: first, when it is a whole take,
    an empty piece that says so, then its sound without the stretches."""
    end = piece.start + piece.samples
    kept = list(_between(piece.start, end, stretches))
    if kept == [(piece.start, end)] or not piece.samples:
        return [piece]
    parts = _of_stream(piece, kept, decode) if piece.codec == STREAMED else _cut(_sliceable(piece, decode, kept), kept)
    return [*([piece._replace(samples=0, payload=b"")] if piece.digest else []), *parts]


def _cut(piece: Piece, kept: Iterable[Stretch]) -> Iterator[Piece]:
    width = BYTES_PER_SAMPLE.get(piece.codec, 0)
    for start, stop in kept:
        payload = piece.payload[(start - piece.start) * width : (stop - piece.start) * width]
        yield piece._replace(start=start, samples=stop - start, payload=payload, digest=b"")


def _of_stream(piece: Piece, kept: Sequence[Stretch], decode: Decode) -> Iterator[Piece]:
    """All of it stays coded, for what follows hangs on it. A decoder that begins behind a stretch has it right after a
    while: so long what one heard that had all of the piece lies over it, but for its end, by which it is found."""
    per = STREAMED_SAMPLES_PER_BYTE
    heard = _sliceable(piece, decode, kept)
    for start, stop in kept:
        first, last = -(-(start - piece.start) // per), (stop - piece.start) // per
        begin, end = piece.start + per * first, piece.start + per * last
        if begin < end:
            payload = piece.payload[first:last]
            yield piece._replace(start=begin, samples=end - begin, payload=payload, digest=b"")
        settled = min(end - per, begin + SETTLING_SECONDS * piece.rate)
        if first and begin < settled:
            yield from _cut(heard, [(begin, settled)])


def _between(start: int, end: int, stretches: Iterable[Stretch]) -> Iterator[Stretch]:
    for first, last in sorted(stretches):
        if start < min(first, end):
            yield start, min(first, end)
        start = max(start, last)
    if start < end:
        yield start, end


def _sliceable(piece: Piece, decode: Decode, kept: Sequence[Stretch]) -> Piece:
    """The piece in a form of which any part can be had alone."""
    if piece.codec in BYTES_PER_SAMPLE or not kept:
        return piece
    sound = decode(piece.codec, piece.payload, piece.samples, piece.rate)
    return piece._replace(codec="s16le", payload=sound.astype("<i2").tobytes())
