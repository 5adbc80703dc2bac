"""Stretches of a clock, as sums of moments."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from callvault.domain.stretches import Laid, Stretch, between, touch, united

stretch = st.tuples(st.integers(0, 40), st.integers(0, 12)).map(lambda s: (s[0], s[0] + s[1]))
stretches = st.lists(stretch, max_size=8)


def moments(given: list[Stretch]) -> set[int]:
    return {at for start, end in given for at in range(start, end)}


@given(stretches, stretch)
def test_united_they_cover_the_same_and_leave_the_same_free(given: list[Stretch], asked: Stretch) -> None:
    one, wanted = united(given), moments([asked])
    assert moments(one) == moments(given)
    assert all(before[1] < after[0] for before, after in pairwise(one))
    assert moments([*between(one, *asked)]) == wanted - moments(given)
    if wanted:
        assert touch(one, *asked) is bool(wanted & moments(given))


@given(stretches, stretch)
def test_what_lies_over_a_stretch_is_told_with_the_share_of_it(given: list[Stretch], asked: Stretch) -> None:
    found = sorted(Laid((start, end, n) for n, (start, end) in enumerate(given)).over(*asked))
    shares = [(max(start, asked[0]), min(end, asked[1]), n) for n, (start, end) in enumerate(given)]
    assert found == sorted(share for share in shares if share[0] < share[1])
