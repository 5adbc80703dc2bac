from dataclasses import dataclass

import numpy as np
import pytest

from callvault.audio.clock import LaneClock
from callvault.audio.drift import ClockFit, Drift

RATE = 8000


@dataclass
class Sent:
    """Frames of a simulated sender: their first samples, when they were spoken (our seconds), when they came (µs)."""

    samples: np.ndarray
    spoken: np.ndarray
    arrived_us: np.ndarray

    def fit(self, batch: int = 500) -> Drift:
        fit = ClockFit(RATE)
        for at in range(0, len(self.samples), batch):
            fit.add(self.samples[at : at + batch], self.arrived_us[at : at + batch])
        return fit.drift()

    def error_ms(self, drift: Drift) -> float:
        """How far from where it was spoken any frame is heard, when the first is heard where it was spoken."""
        clock = LaneClock(RATE, drift.anchors)
        order = np.argsort(self.samples)[::997]
        placed = np.array([clock.us_at(int(sample)) for sample in self.samples[order]]) / 1e6
        first = int(np.argmin(self.samples))
        shift = self.spoken[first] - self.samples[first] / RATE
        return float(np.abs(placed + shift - self.spoken[order]).max() * 1000)


def sender(ppm: float, hours: float, seed: int = 1, begins: float = 0.0, changes_to: float | None = None) -> Sent:
    """20 ms frames over a bad network: 5 % lost, half the talk spurts unsent (DTX), delays of some ten milliseconds
    with bursts of far more, so that frames overtake each other."""
    rng = np.random.default_rng(seed)
    count = int(hours * 3600 * 50)
    samples = np.arange(count) * 160
    spoken = samples / RATE / (1 + ppm * 1e-6)
    if changes_to is not None:
        half = spoken[count // 2]
        late = (samples - samples[count // 2]) / RATE / (1 + changes_to * 1e-6) + half
        spoken = np.where(samples < samples[count // 2], spoken, late)
    delay = 0.02 + rng.gamma(2.0, 0.006, count)
    for _ in range(int(hours * 10)):
        at = rng.integers(0, count)
        delay[at : at + rng.integers(100, 3000)] += rng.uniform(0.02, 0.3)
    sent = (rng.random(count) > 0.05) & np.repeat(rng.random(count // 100 + 1) < 0.5, 100)[:count]
    sent[0] = True
    samples, spoken, arrived = samples[sent], spoken[sent] + begins, (spoken + delay)[sent] + begins
    order = np.argsort(arrived, kind="stable")
    return Sent(samples[order], spoken[order], np.rint(arrived[order] * 1e6).astype(np.int64))


@pytest.mark.parametrize("ppm", [500, -500])
def test_two_lanes_stay_within_10_ms_of_each_other_over_4_hours(ppm: int) -> None:
    lanes = [sender(ppm, hours=4, seed=1), sender(-ppm, hours=4, seed=2, begins=3.0)]
    drifts = [lane.fit() for lane in lanes]
    assert sum(lane.error_ms(drift) for lane, drift in zip(lanes, drifts, strict=True)) < 10
    assert [round(drift.ppm) for drift in drifts] == [ppm, -ppm]
    assert min(drift.confidence for drift in drifts) > 0.9


def test_uncorrected_the_same_lanes_would_be_seconds_apart() -> None:
    lane = sender(500, hours=4)
    assert lane.error_ms(Drift(0, 0, ())) > 7000


def test_a_clock_as_good_as_ours_is_left_alone_and_its_drift_still_told() -> None:
    drift = sender(30, hours=1).fit()
    assert drift.anchors == ()
    assert abs(drift.ppm - 30) < 3


def test_a_few_minutes_suffice_for_a_clock_that_is_plainly_wrong() -> None:
    lane = sender(500, hours=0.1)
    drift = lane.fit()
    assert abs(drift.ppm - 500) < 30
    assert lane.error_ms(drift) < 10


def test_of_a_few_seconds_nothing_is_said() -> None:
    drift = sender(500, hours=5 / 3600).fit()
    assert (drift.anchors, drift.confidence) == ((), 0.0)
    assert ClockFit(RATE).drift() == Drift(0.0, 0.0, ())


def test_a_clock_that_changes_its_rate_is_followed() -> None:
    lane = sender(300, hours=3, changes_to=-200)
    drift = lane.fit()
    assert len(drift.anchors) == 3
    assert lane.error_ms(drift) < 10


def test_a_lane_is_heard_from_where_it_was_put() -> None:
    drift = sender(500, hours=0.5, begins=7.0).fit()
    assert drift.anchors[0].sample == 0
    assert drift.anchors[0].clock_us == 0


def test_batches_of_any_size_say_the_same_in_constant_memory() -> None:
    lane = sender(-400, hours=0.3)
    assert lane.fit(batch=1) == lane.fit(batch=50) == lane.fit(batch=10**9)
    fit = ClockFit(RATE)
    fit.add([0, 10**11], [0, 10**13])
    assert sum(value.nbytes for value in vars(fit).values() if isinstance(value, np.ndarray)) < 10_000


def test_a_sender_that_lies_about_its_rate_is_not_believed() -> None:
    """Frames that say 8000 and come at twice that speed are no drift of a clock."""
    samples = np.arange(100_000) * 160
    fit = ClockFit(RATE)
    fit.add(samples, samples * 62)
    assert fit.anchors() == ()
