"""What a lane is told to be of its senders' clocks, piece by piece."""

import numpy as np
import pytest

from callvault.audio.clock import LaneClock
from callvault.domain.lane import Lane
from callvault.ports.spool import Piece
from callvault.services.ingest.drifting import LaneDrift

RATE, STEP = 8000, 1600


def lane() -> Lane:
    return Lane(recording_id="r", name="customer", workspace_id="w", role="customer", rate=RATE)


def pieces(seconds: float, ppm: float = 0.0, late_us: np.ndarray | None = None) -> list[Piece]:
    """Of a fifth of a second each, that came in as the sender's clock says, and as much later as is given."""
    count = int(seconds * RATE / STEP)
    late = np.zeros(count) if late_us is None else late_us
    arrived = np.arange(count) * STEP / RATE * 1e6 / (1 + ppm / 1e6) + late
    return [Piece("customer", -5, "pcmu", RATE, n * STEP, STEP, b"", b"", int(at)) for n, at in enumerate(arrived)]


def load(count: int, seed: int) -> np.ndarray:
    """Of a machine that is busy now more and now less: about a millisecond, for some seconds each time."""
    rng = np.random.default_rng(seed)
    swing = np.zeros(count)
    for n in range(1, count):
        swing[n] = 0.905 * swing[n - 1] + 0.425 * rng.normal()
    return 1000 * np.abs(swing)


def test_a_clock_as_good_as_ours_is_told_once_and_moves_nothing() -> None:
    drift = LaneDrift()
    drift.heard(pieces(600, ppm=30))
    told = drift.fitted(lane())
    assert told is not None and told.anchors == ()
    assert told.drift_ppm == pytest.approx(30, abs=1) and told.drift_confidence > 0.9
    assert drift.fitted(told) is None


def test_of_a_short_stream_it_is_told_that_nothing_is_known() -> None:
    drift = LaneDrift()
    drift.heard(pieces(3, ppm=500))
    told = drift.fitted(lane())
    assert told is not None and (told.anchors, told.drift_ppm, told.drift_confidence) == ((), 0.0, 0.0)


def test_a_lane_without_a_stream_says_what_it_said() -> None:
    drift = LaneDrift()
    drift.heard([Piece("customer", 1, "pcmu", RATE, 0, 1600, b"", b"d" * 32)])
    assert drift.fitted(lane()) is None


@pytest.mark.parametrize(("seconds", "grows_us"), [(10, 0), (40, 2000)])
def test_a_busy_machine_is_no_drifting_clock(seconds: int, grows_us: int) -> None:
    """Of thousands of short calls one would look like one by chance; and load may grow."""
    for seed in range(500, 520):
        count = 5 * seconds
        late = load(count, seed) if not grows_us else load(count, seed) / 3 + np.linspace(0, grows_us, count)
        drift = LaneDrift()
        drift.heard(pieces(seconds, late_us=late))
        told = drift.fitted(lane())
        assert told is None or told.anchors == (), seed


def test_a_clock_that_runs_wrong_is_put_right_as_soon_as_it_could_be_heard() -> None:
    drift = LaneDrift()
    drift.heard(pieces(10, ppm=500))
    told = drift.fitted(lane())
    assert told is not None
    assert LaneClock(RATE, told.anchors).us_at(10 * RATE) == pytest.approx(10e6 / 1.0005, abs=500)


def test_the_clock_of_a_stream_that_is_over_is_not_fitted_again() -> None:
    drift = LaneDrift()
    for n in range(3):
        drift.heard(piece._replace(take=n, start=piece.start + n * 60 * RATE) for piece in pieces(30, ppm=300))
    drift.fitted(lane())
    told = {n: stream.drift for n, stream in drift.streams.items()}
    assert all(told.values())
    drift.heard(piece._replace(take=2, start=piece.start + 150 * RATE) for piece in pieces(30, ppm=300))
    assert {n for n, stream in drift.streams.items() if stream.drift is told[n]} == {0, 1}
    drift.fitted(lane())
    assert drift.streams[0].drift is told[0] and drift.streams[2].drift is not told[2]
