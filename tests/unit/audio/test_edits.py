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


def test_a_clip_never_reaches_beyond_its_tape() -> None:
    (part,) = parts([Stretch(Tape(1_000_001), 0, 99_000_000)], 8000)
    assert part.end == 8001
