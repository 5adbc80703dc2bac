"""What is known of a lane's takes: found again among many, in whatever order they came, one by one or packed."""

import random

import pytest

from callvault.services.ingest.known import KnownTakes
from callvault.wire.runs import TakeMark, serialize_takes

MANY = 200_000


def mark(take: int, start: int | None = None) -> TakeMark:
    return TakeMark(take, 160 * take if start is None else start, 160, take.to_bytes(32, "big"))


@pytest.mark.parametrize("order", ["in order", "backwards", "mixed"])
def test_each_of_many_takes_is_found_by_its_number_and_no_other_is(order: str) -> None:
    takes = list(range(0, 2 * MANY, 2))
    if order == "backwards":
        takes.reverse()
    elif order == "mixed":
        random.Random(1).shuffle(takes)
    known = KnownTakes()
    known.learn(serialize_takes([mark(take) for take in takes[:1000]]), serialize_takes([mark(takes[1000])]))
    for take in takes[1001:]:
        known.add(mark(take))
    assert len(known) == MANY
    for take in random.Random(2).sample(takes, 500):
        assert known.get(take) == mark(take)
        assert known.get(take + 1) is None


def test_of_two_under_one_number_the_one_that_was_known_first_counts() -> None:
    known = KnownTakes()
    known.learn(serialize_takes([mark(7, start=1)]), serialize_takes([mark(7, start=2)]))
    known.learn(serialize_takes([mark(n) for n in range(100)]))
    assert known.get(7) == mark(7, start=1)
    assert known.get(8) == mark(8)


def test_nothing_is_known_of_a_lane_without_takes() -> None:
    known = KnownTakes()
    known.learn()
    known.learn(b"")
    assert (len(known), known.get(0)) == (0, None)


def test_no_more_than_some_are_ever_brought_into_order_together() -> None:
    known = KnownTakes()
    known.learn(serialize_takes([mark(take) for take in range(MANY)]))
    for take in range(MANY, 2 * MANY):
        known.add(mark(take))
    sizes = [len(part) for part in known._parts]
    assert max(sizes) <= 65_536
    assert len(sizes) <= 20
