import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callvault.audio.timeline import Layout, between, joined, layout, rows
from callvault.wire.runs import BYTES_PER_SAMPLE, CODECS, RUN

Run = tuple[int, int, int, str]
"""start, samples, take, codec"""


def packed(runs: list[Run]) -> np.ndarray:
    """The runs of one source, their payloads one behind the other."""
    table = np.zeros(len(runs), RUN)
    offset = 0
    for n, (start, samples, take, codec) in enumerate(runs):
        length = samples * BYTES_PER_SAMPLE.get(codec, 0) or 77
        table[n] = (start, samples, offset, length, take, CODECS.index(codec))
        offset += length
    return table


def painted(sources: list[list[Run]]) -> dict[int, tuple[int, int]]:
    """For each sample that is heard, the source it is in and its byte there: take over take, one by one."""
    found: dict[int, tuple[int, int]] = {}
    everything = [
        (run, n, row) for n, source in enumerate(sources) for run, row in zip(source, packed(source), strict=True)
    ]
    for (start, samples, _, codec), n, row in sorted(everything, key=lambda one: one[0][2]):
        found.update((start + k, (n, int(row["offset"]) + k * BYTES_PER_SAMPLE[codec])) for k in range(samples))
    return found


def heard(made: Layout, start: int, end: int) -> dict[int, tuple[int, int]]:
    found: dict[int, tuple[int, int]] = {}
    for first, samples, skip, offset, length, source, codec in rows(made.under(start, end)):
        width = BYTES_PER_SAMPLE[codec]
        assert (skip, length) == (0, samples * width)
        assert not found.keys() & range(first, first + samples)
        found.update((first + k, (source, offset + k * width)) for k in range(samples))
    return found


runs_of_a_source = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 25), st.integers(0, 6), st.sampled_from(["pcmu", "s16le"])), max_size=8
)


@given(st.lists(runs_of_a_source, max_size=3), st.integers(0, 90), st.integers(0, 40))
def test_any_takes_in_any_order_are_heard_as_if_painted_over_each_other(
    sources: list[list[Run]], start: int, length: int
) -> None:
    expected = painted(sources)
    made = layout([packed(source) for source in sources])
    assert heard(made, 0, 200) == expected
    assert heard(made, start, start + length) == {s: p for s, p in expected.items() if start <= s < start + length}
    assert made.end == max(expected, default=-1) + 1


@given(runs_of_a_source)
def test_an_overlap_is_where_more_than_one_take_lies(runs: list[Run]) -> None:
    takes: dict[int, set[int]] = {}
    for start, samples, take, _ in runs:
        for at in range(start, start + samples):
            takes.setdefault(at, set()).add(take)
    told = {at for start, end in layout([packed(runs)]).overlaps.tolist() for at in range(start, end)}
    assert told == {at for at, found in takes.items() if len(found) > 1}


@given(runs_of_a_source, st.integers(0, 50), st.integers(0, 60))
def test_sound_and_what_lies_between_fill_any_stretch(runs: list[Run], start: int, length: int) -> None:
    made = layout([packed(runs)])
    sound = {at for a, b in made.sound().tolist() for at in range(a, b)}
    lost = [at for a, b in between(made.sound(), start, start + length).tolist() for at in range(a, b)]
    assert lost == [at for at in range(start, start + length) if at not in sound]


def test_takes_that_go_on_in_bytes_and_on_the_lane_are_one_piece() -> None:
    frames = [(n * 160, 160, n, "pcmu") for n in range(1000)]
    assert len(layout([packed(frames)]).pieces) == 1
    assert len(layout([packed(frames[:500]), packed(frames[500:])]).pieces) == 2


def test_where_the_sound_of_one_source_goes_on_in_another_is_told() -> None:
    made = layout([packed([(0, 100, 1, "s16le")]), packed([(100, 50, 2, "pcmu")]), packed([(200, 50, 3, "pcmu")])])
    assert [made.source_end(0, end) for end in (99, 100, 149, 150, 250)] == [None, 100, 100, 150, 150]
    assert [made.source_end(start, 200) for start in (99, 149, 150, 230)] == [150, 150, None, None]
    assert layout([]).source_end(0, 100) is None


def test_a_coded_take_that_is_cut_is_decoded_from_its_beginning() -> None:
    made = layout([packed([(100, 1000, 1, "file"), (300, 50, 2, "s16le")])])
    assert list(rows(made.pieces)) == [
        (100, 200, 0, 0, 77, 0, "file"),
        (300, 50, 0, 77, 100, 0, "s16le"),
        (350, 750, 250, 0, 77, 0, "file"),
    ]
    assert list(rows(made.under(400, 500))) == [(400, 100, 300, 0, 77, 0, "file")]


def coded(codec: str, *runs: tuple[int, int, int, int, int]) -> list[tuple[int, ...]]:
    """Start, samples, skip, offset and length of the pieces that these runs make."""
    table = np.array([(*run, CODECS.index(codec)) for run in runs], RUN)
    return [piece[:5] for piece in rows(layout([table]).pieces)]


def test_takes_of_g722_that_go_on_are_one_stream_and_those_of_other_codings_are_not() -> None:
    takes = (0, 320, 0, 160, 0), (320, 320, 160, 160, 7), (640, 160, 320, 80, 3)
    assert coded("g722", *takes) == [(0, 800, 0, 0, 400)]
    assert coded("file", *takes) == [(0, 320, 0, 0, 160), (320, 320, 0, 160, 160), (640, 160, 0, 320, 80)]


def test_a_stream_of_g722_ends_where_something_lies_over_it_or_is_missing() -> None:
    over = (0, 320, 0, 160, 1), (310, 320, 160, 160, 0), (630, 320, 320, 160, 2)
    assert coded("g722", *over) == [(0, 320, 0, 0, 160), (320, 630, 10, 160, 320)]
    assert len(coded("g722", (0, 320, 0, 160, 1), (321, 320, 160, 160, 2))) == 2
    assert len(coded("g722", (0, 320, 0, 160, 1), (320, 320, 161, 160, 2))) == 2


def test_a_lane_without_takes_is_empty() -> None:
    made = layout([])
    assert (made.end, len(made.pieces), made.sound().tolist(), len(made.under(0, 100))) == (0, 0, [], 0)


@pytest.mark.parametrize("shape", ["in order", "shuffled", "all over each other"])
def test_a_million_takes_of_one_sample_and_more_cost_seconds_at_most(shape: str) -> None:
    count = 1_000_000
    table = np.zeros(count, RUN)
    table["start"], table["samples"], table["take"] = np.arange(count), 1, np.arange(count)
    if shape == "shuffled":
        table["start"] = np.random.default_rng(1).permutation(count)
    elif shape == "all over each other":
        table["samples"] = count
        table["take"] = np.random.default_rng(1).permutation(count)
    table["length"] = table["samples"] * 2
    table["offset"], table["codec"] = np.r_[0, np.cumsum(table["length"])[:-1]], CODECS.index("s16le")
    began = time.process_time()
    made = layout([table])
    assert time.process_time() - began < 15
    assert len(made.pieces) == {"in order": 1}.get(shape, len(made.pieces))
    assert int(made.pieces["samples"].sum()) == made.end == (count if shape != "all over each other" else 2 * count - 1)


def test_stretches_nearer_than_asked_are_joined() -> None:
    bounds = np.array([[0, 10], [5, 8], [12, 20], [30, 31]])
    assert joined(bounds).tolist() == [[0, 10], [12, 20], [30, 31]]
    assert joined(bounds, apart=2).tolist() == [[0, 20], [30, 31]]
