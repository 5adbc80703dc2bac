"""What was said during a pause is cut out of a piece before anything of it is stored."""

from collections.abc import Iterable, Iterator

from callvault.audio.clock import LaneClock
from callvault.domain.lane import Lane, Span
from callvault.ports.spool import Piece
from callvault.services.ingest.sound import Decode
from callvault.wire.runs import BYTES_PER_SAMPLE

Pauses = tuple[Span, ...]
Stretch = tuple[int, int]
FOREVER = 1 << 62


class PauseCutter:
    """Takes are cut where they lie on the call's clock. Of a live stream, what came in during a pause was said during
    it, whatever the sender's clock says: its pieces go as a whole, for the stream itself takes in no frame of it."""

    def __init__(self, pauses: Pauses, lane: Lane, decode: Decode) -> None:
        self._pauses = [span for span in pauses if span.lane in (None, lane.name)]
        self._clock = LaneClock(lane.rate, lane.anchors)
        self._decode = decode

    def __call__(self, piece: Piece) -> list[Piece]:
        if piece.arrived_us is not None:
            return [] if paused_at(self._pauses, piece.arrived_us) else [piece]
        return without(piece, map(self._stretch, self._pauses), self._decode)

    def _stretch(self, span: Span) -> Stretch:
        at = self._clock.sample_at
        return at(span.start_us), FOREVER if span.end_us is None else at(span.end_us)


def paused_at(pauses: Iterable[Span], at_us: int) -> bool:
    return any(span.start_us <= at_us and (span.end_us is None or at_us < span.end_us) for span in pauses)


def without(piece: Piece, stretches: Iterable[Stretch], decode: Decode) -> list[Piece]:
    """The piece itself when none of the stretches touches it. Else what is left of it: first, when it is a whole take,
    an empty piece that says so, then its sound without the stretches."""
    end = piece.start + piece.samples
    kept = list(_between(piece.start, end, stretches))
    if kept == [(piece.start, end)] or not piece.samples:
        return [piece]
    sound = _sliceable(piece, decode) if kept else piece
    width = BYTES_PER_SAMPLE.get(sound.codec, 0)
    parts = [
        sound._replace(
            start=start,
            samples=stop - start,
            payload=sound.payload[(start - piece.start) * width : (stop - piece.start) * width],
            digest=b"",
        )
        for start, stop in kept
    ]
    return [*([piece._replace(samples=0, payload=b"")] if piece.digest else []), *parts]


def _between(start: int, end: int, stretches: Iterable[Stretch]) -> Iterator[Stretch]:
    for first, last in sorted(stretches):
        if start < min(first, end):
            yield start, min(first, end)
        start = max(start, last)
    if start < end:
        yield start, end


def _sliceable(piece: Piece, decode: Decode) -> Piece:
    """The piece in a form of which any part can be had alone."""
    if piece.codec in BYTES_PER_SAMPLE:
        return piece
    sound = decode(piece.codec, piece.payload, piece.samples, piece.rate)
    return piece._replace(codec="s16le", payload=sound.astype("<i2").tobytes())
