"""Frames of a track: each in its place, once, in whatever order the network brought them."""

import random
from collections.abc import Iterable

import numpy as np
import pytest

from callvault.ports.spool import Piece
from callvault.services.ingest.livetrack import Figures, Frame, LiveTrack

MS = 20
SIZE = 160


def track(base: int = 0, width: int = 1, rate: int = 8000) -> LiveTrack:
    return LiveTrack("customer", "pcmu" if width == 1 else "s16le", rate, width, -5, base)


def frame(n: int, *, chunk: int | None = None, ms: int | None = None, size: int = SIZE) -> Frame:
    """The nth frame of 20 ms, whose bytes say which it is."""
    return Frame(n + 1 if chunk is None else chunk, MS * n if ms is None else ms, bytes([n % 256]) * size, 20_000 * n)


def fed(of: LiveTrack, *batches: Iterable[Frame]) -> list[Piece]:
    found = []
    for batch in batches:
        of.frames.extend(batch)
        found += of.pieces()
    return found


def heard(pieces: Iterable[Piece], frames: int) -> list[int]:
    """Which frame is heard in each place; -1 where there is none."""
    lane = np.full(frames * SIZE, -1)
    for piece in pieces:
        lane[piece.start : piece.start + piece.samples] = np.frombuffer(piece.payload, np.uint8)
    rows = lane.reshape(frames, SIZE)
    assert (rows == rows[:, :1]).all()
    return rows[:, 0].tolist()


def test_frames_in_order_are_one_piece_a_time() -> None:
    pieces = fed(track(), *([frame(n) for n in range(10 * k, 10 * k + 10)] for k in range(5)))
    assert [(p.start, p.samples) for p in pieces] == [(1600 * k, 1600) for k in range(5)]
    assert heard(pieces, 50) == list(range(50))


def test_where_the_stream_begins_is_where_its_timestamps_begin() -> None:
    pieces = fed(track(base=4000), [frame(3), frame(4)])
    assert [(p.start, p.samples) for p in pieces] == [(4480, 320)]


@pytest.mark.parametrize("seed", range(20))
def test_reordered_doubled_and_lost_frames_leave_every_other_in_its_place(seed: int) -> None:
    rng = random.Random(seed)
    lost = {rng.randrange(1, 200) for _ in range(15)}
    sent = [n for n in range(200) if n not in lost]
    sent += rng.sample(sent, 30)
    sent.sort(key=lambda n: n + rng.random() * 12)
    batches = [[frame(n) for n in sent[at : at + 10]] for at in range(0, len(sent), 10)]
    of = track()
    pieces = fed(of, *batches)
    assert heard(pieces, 200) == [-1 if n in lost else n for n in range(200)]
    assert of.figures.doubled == 30
    assert of.figures.frames == len(sent)


def test_without_counts_timestamps_alone_tell() -> None:
    sent = [3, 0, 1, 2, 2, 5, 4, 9, 7]
    of = track()
    pieces = fed(of, [frame(n, chunk=0) for n in sent], [frame(8, chunk=0), frame(8, chunk=0), frame(10, chunk=0)])
    assert heard(pieces, 11) == [0, 1, 2, 3, 4, 5, -1, 7, 8, 9, 10]
    assert (of.figures.doubled, of.figures.late) == (2, 1)


def test_timestamps_that_tremble_leave_no_cracks() -> None:
    rng = random.Random(3)
    frames = [frame(n, ms=max(MS * n + rng.randint(-6, 6), 0)) for n in range(100)]
    pieces = fed(track(), frames)
    assert [(p.start, p.samples) for p in pieces] == [(pieces[0].start, 16_000)]


def test_a_gap_is_a_gap_even_when_the_count_goes_on() -> None:
    pieces = fed(track(), [frame(0), frame(1), frame(2, ms=500), frame(3, ms=520)])
    assert [(p.start, p.samples) for p in pieces] == [(0, 320), (4000, 320)]


@pytest.mark.parametrize("cut", [1000, 1003])
@pytest.mark.parametrize("lost", [(), (1000,)])
def test_a_sender_whose_clock_begins_anew_goes_on_where_it_was(cut: int, lost: tuple[int, ...]) -> None:
    """Between two batches or within one, whether or not the first frame of the new time comes at all."""
    anew = [frame(n, ms=MS * (n - 1000)) for n in range(1000, 1020) if n not in lost]
    frames = [*(frame(n) for n in range(1000)), *anew]
    of = track()
    pieces = fed(of, frames[: cut - 10], frames[cut - 10 : cut], frames[cut : cut + 5], frames[cut + 5 :])
    there = [n % 256 for n in range(1020) if n not in lost]
    assert heard(pieces, len(there)) == there
    assert of.figures.doubled == 0


def test_a_sender_whose_clock_begins_anew_after_a_while_leaves_the_while_silent() -> None:
    anew = [frame(n, ms=MS * (n - 1000))._replace(arrived_us=20_000 * (n + 500)) for n in range(1000, 1010)]
    pieces = fed(track(), [frame(n) for n in range(1000)], anew)
    assert [(p.start, p.samples) for p in pieces] == [(0, 160_000), (240_000, 1600)]


@pytest.mark.parametrize("cut", [100, 103])
def test_a_leap_that_takes_no_time_is_a_clock_that_was_set_and_no_silence(cut: int) -> None:
    """Between two batches or within one; and back again."""
    leap_ms = 5 * 3_600_000
    leapt = [frame(n, ms=MS * n + leap_ms) for n in range(100, 120)]
    frames = [*(frame(n) for n in range(100)), *leapt, *(frame(n) for n in range(120, 140))]
    of = track()
    pieces = fed(of, frames[:cut], frames[cut:115], frames[115:])
    assert heard(pieces, 140) == list(range(140))
    assert (of.figures.doubled, of.figures.misplaced) == (0, 0)


def test_a_silence_of_hours_that_took_hours_is_one() -> None:
    later = [frame(n, ms=MS * n + 5 * 3_600_000)._replace(arrived_us=20_000 * n + 18_000_000_000) for n in range(5, 9)]
    pieces = fed(track(), [frame(n) for n in range(5)], later)
    assert [(p.start, p.samples) for p in pieces] == [(0, 800), (800 + 18_000 * 8000, 640)]


@pytest.mark.parametrize(("arrived_ms", "place"), [(100, 4000), (5000, 40_000)])
def test_a_stream_whose_timestamps_begin_hours_ahead_begins_when_it_does(arrived_ms: int, place: int) -> None:
    frames = [frame(n, ms=MS * n + 3_600_000)._replace(arrived_us=1000 * (arrived_ms + MS * n)) for n in range(10)]
    of = track(base=4000)
    pieces = fed(of, frames[:3], frames[3:])
    assert [(p.start, p.samples) for p in pieces] == [(place, 480), (place + 480, 1120)]


@pytest.mark.parametrize("ms", [3_600_000 - MS, 3_600_000 - 20 * MS, 0])
def test_what_comes_late_lies_nowhere_before_a_stream_that_begins_hours_ahead(ms: int) -> None:
    later = frame(5, ms=3_600_000)._replace(arrived_us=0)
    pieces = fed(track(base=400), [later], [frame(4, ms=ms)])
    assert [(p.start, p.samples) for p in pieces] == [(400, SIZE)]


def test_what_comes_late_lies_between_the_beginning_and_a_first_frame_of_hours_ahead_that_took_its_time() -> None:
    first, late = (frame(n, ms=3_600_000 + MS * n)._replace(arrived_us=1_000_000) for n in (5, 4))
    pieces = fed(track(base=400), [first], [late])
    assert [(p.start, p.samples) for p in pieces] == [(8000, SIZE), (8000 - SIZE, SIZE)]


def test_a_burst_may_run_ahead_and_have_gaps() -> None:
    frames = [frame(n)._replace(arrived_us=0) for n in range(3100) if not 1500 <= n < 3000]
    pieces = fed(track(), frames)
    assert [p.start for p in pieces] == [0, 3000 * SIZE]


def test_the_first_frames_may_come_last() -> None:
    of = track(base=4000)
    pieces = fed(of, [frame(3), frame(2)], [frame(1), frame(0), frame(2), frame(4)])
    assert sorted((p.start, p.samples) for p in pieces) == [(4000, 320), (4320, 320), (4640, 160)]
    assert (of.figures.late, of.figures.doubled) == (2, 1)


def test_timestamps_that_cannot_be_are_counted_and_dropped() -> None:
    of = track()
    pieces = fed(of, [frame(0), frame(1, ms=10**14), frame(2)])
    assert (of.figures.misplaced, sum(p.samples for p in pieces)) == (1, 320)


def test_frames_of_other_lengths_are_placed_too() -> None:
    frames = [frame(0), frame(1, size=320), frame(3, chunk=3, size=80), frame(0, chunk=4, ms=70, size=80)]
    pieces = fed(track(), frames)
    assert [(p.start, p.samples) for p in pieces] == [(0, 640)]


def test_half_a_sample_is_dropped_and_empty_frames_are_nothing() -> None:
    of = track(width=2)
    frames = [frame(0, size=321), frame(1, size=320), frame(2, size=0), frame(3, size=320)]
    pieces = fed(of, frames)
    assert [(p.start, p.samples, len(p.payload)) for p in pieces] == [(0, 320, 640), (480, 160, 320)]


def test_what_may_not_be_heard_is_left_out_and_its_place_stays_empty() -> None:
    of = track()
    of.frames.extend(frame(n) for n in range(10))
    pieces = of.pieces(lambda f: not 60_000 <= f.arrived_us < 120_000)
    assert heard(pieces, 10) == [0, 1, 2, -1, -1, -1, 6, 7, 8, 9]
    of.frames.extend([frame(4), frame(10)])
    pieces += of.pieces()
    assert heard(pieces, 11)[3:6] == [-1, -1, -1]


def untimed(samples: int, arrived_ms: int) -> Frame:
    return Frame(0, None, bytes([arrived_ms // 100 % 256]) * samples, 1000 * arrived_ms)


def test_a_sender_that_stamps_nothing_goes_on_and_on() -> None:
    rng = random.Random(1)
    frames = [untimed(1600, 200 * n + rng.randint(0, 300)) for n in range(50)]
    pieces = fed(track(), *([f] for f in frames))
    assert [p.start for p in pieces] == [1600 * n for n in range(50)]


def test_a_silence_of_a_sender_that_stamps_nothing_is_not_lost() -> None:
    pieces = fed(track(), [untimed(1600, 0)], [untimed(1600, 5000)], [untimed(1600, 5200)])
    assert [p.start for p in pieces] == [0, 40_000, 41_600]


def test_a_stall_on_the_way_that_is_made_up_for_is_no_silence() -> None:
    pieces = fed(track(), [untimed(1600, 0)], [untimed(36_000, 5000)], [untimed(1600, 5200)])
    assert [p.start for p in pieces] == [0, 1600, 37_600]


@pytest.mark.parametrize("stamped", [0, 1, 4])
def test_frames_without_a_timestamp_among_others_go_on_where_they_came(stamped: int) -> None:
    """Whichever of them is the first of its batch."""
    frames = [frame(n) if n % 5 == stamped else frame(n, chunk=0)._replace(timestamp_ms=None) for n in range(50)]
    of = track()
    pieces = fed(of, frames[:10], frames[10:13], frames[13:])
    assert heard(pieces, 50) == list(range(50))
    assert of.figures == Figures(frames=50)


def test_an_hour_of_frames_does_not_drift_by_a_sample() -> None:
    of = LiveTrack("customer", "s16le", 11_025, 2, -5, 0)
    at = 0
    for second in range(0, 3600, 60):
        frames = []
        for n in range(50 * second, 50 * (second + 60)):
            samples = 11_025 * (n + 1) // 50 - 11_025 * n // 50
            frames.append(Frame(n + 1, MS * n, bytes(2 * samples), 0))
        for piece in fed(of, frames):
            assert piece.start == at
            at += piece.samples
    assert at == 3600 * 11_025


def test_minutes_of_sound_that_come_at_once_are_put_together_in_a_moment() -> None:
    of = track(width=2, rate=16_000)
    frames = [frame(n, chunk=0, size=640) for n in range(20_000)]
    [piece] = fed(of, frames)
    assert (piece.start, piece.samples, of.figures.frames) == (0, 320 * 20_000, 20_000)
    assert piece.payload == b"".join(frame.payload for frame in frames)


def test_late_frames_find_their_own_of_hundreds_of_gaps() -> None:
    of = track()
    fed(of, [frame(2 * n) for n in range(1, 1000)])
    late = [2 * n + 1 for n in range(800, 999)]
    found = fed(of, [frame(n) for n in random.Random(3).sample(late, len(late))])
    assert sorted(piece.start for piece in found) == [SIZE * n for n in late]
    assert (of.figures.late, of.figures.doubled) == (len(late), 0)
    assert fed(of, [frame(n) for n in late]) == [] and of.figures.doubled == len(late)
