from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from callvault.audio.edits import Stretch, kept, parts, under


@dataclass(frozen=True)
class Tape:
    length_us: int

    def frames(self, rate: int) -> int:
        return -(-self.length_us * rate // 1_000_000)


def test_what_is_cut_out_is_left_out() -> None:
    assert kept(100, []) == [(0, 100)]
    assert kept(100, [(0, 10), (30, 50), (40, 45), (90, 200)]) == [(10, 30), (50, 90)]
    assert kept(100, [(0, 100)]) == []
    assert kept(0, []) == []


@given(st.integers(1, 10**7), st.lists(st.integers(0, 10**7), max_size=6), st.sampled_from([8000, 11025, 44100]))
def test_a_tape_cut_anywhere_and_joined_again_is_the_same_tape(length: int, cuts: list[int], rate: int) -> None:
    tape = Tape(length)
    borders = sorted({0, length, *(cut for cut in cuts if cut < length)})
    made = parts([Stretch(tape, a, b) for a, b in pairwise(borders)], rate)
    assert made[0].start == made[0].at == 0
    assert made[-1].stop == made[-1].end == tape.frames(rate)
    assert all(a.end == b.start and a.stop == b.at for a, b in pairwise(made))


def test_a_stretch_of_the_whole_lies_on_the_parts_it_is_made_of() -> None:
    one, two = Tape(1_000_000), Tape(2_000_000)
    made = parts([Stretch(two, 500_000, 1_500_000), Stretch(one, 0, 1_000_000)], 8000)
    assert [(p.timeline, p.start, p.end, p.at) for p in under(made, 7000, 9000)] == [
        (two, 11_000, 12_000, 7000),
        (one, 0, 1000, 8000),
    ]
    assert list(under(made, 16_000, 20_000)) == []


def test_a_tape_in_thousands_of_stretches_is_asked_once_how_long_it_is() -> None:
    asked = []

    class Long(Tape):
        def frames(self, rate: int) -> int:
            asked.append(rate)
            return super().frames(rate)

    tape = Long(20_000_000)
    assert len(parts([Stretch(tape, 1000 * n, 1000 * n + 500) for n in range(20_000)], 8000)) == 20_000
    assert asked == [8000]


def test_a_clip_never_reaches_beyond_its_tape() -> None:
    (part,) = parts([Stretch(Tape(1_000_001), 0, 99_000_000)], 8000)
    assert part.end == 8001


def test_a_time_touches_every_frame_that_it_has_a_share_in() -> None:
    (part,) = parts([Stretch(Tape(1_000_000), 0, 1_000_000)], 8000)
    assert part.touched(1, 126, 8000) == (0, 2)
    assert part.touched(125, 250, 8000) == (1, 2)


@given(st.lists(st.tuples(st.integers(0, 9_000), st.integers(1, 900)), min_size=1, max_size=40), st.integers(0, 10**6))
def test_a_time_is_at_its_place_on_the_tape_however_many_cuts_are_before_it(
    cuts: list[tuple[int, int]], into_us: int
) -> None:
    """Every cut rounds to frames: counted in frames of the recording, the place would wander off."""
    tape = Tape(10_000_000)
    ahead = [Stretch(tape, start, start + length) for start, length in cuts]
    *_, last = parts([*ahead, Stretch(tape, 5_000_000, 7_000_000)], 8000)
    at_us = sum(length for _, length in cuts) + into_us
    first, end = last.touched(at_us, at_us + 1000, 8000)
    assert first == (5_000_000 + into_us) * 8000 // 1_000_000
    assert end == -(-(5_001_000 + into_us) * 8000 // 1_000_000)
