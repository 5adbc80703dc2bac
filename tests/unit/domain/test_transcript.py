"""What is not heard of a call is not read either."""

from random import Random

from callvault.domain.call import Turn
from callvault.domain.lane import Span
from callvault.domain.recording import Mask
from callvault.domain.transcript import EVER, Heard, Hidden, hidden_in, paused_in, without
from callvault.services.transcripts import TURNS_MAX


def turn(seq: int, start_ms: int, end_ms: int | None, role: str = "customer") -> Turn:
    return Turn(
        call_id="c",
        workspace_id="w",
        seq=seq,
        id=str(seq),
        role=role,
        content=f"words {seq}",
        start_ms=start_ms,
        end_ms=end_ms,
        created_ms=0,
    )


SIDES = {"customer": "customer", "assistant": "assistant"}


def kept(turns: list[Turn], hidden: list[Hidden]) -> list[int]:
    return [t.seq for t in without(turns, hidden, "-") if t.content != "-"]


def test_a_turn_over_a_mask_says_nothing_and_its_neighbours_do() -> None:
    hidden = hidden_in([Heard(0, 10_000_000)], [Mask(start_us=3_000_000, end_us=4_000_000)], 10_000_000, SIDES)
    turns = [turn(0, 0, 2_900), turn(1, 2_950, 3_001), turn(2, 3_999, 5_000), turn(3, 4_000, 5_000)]
    assert kept(turns, hidden) == [0, 3]


def test_a_mask_on_one_lane_hides_that_side_alone() -> None:
    hidden = hidden_in([Heard(0, 9_000_000)], [Mask(start_us=0, end_us=9_000_000, lane="customer")], 9_000_000, SIDES)
    assert kept([turn(0, 1, 2), turn(1, 1, 2, "assistant")], hidden) == [1]


def test_a_mask_on_one_of_two_customers_hides_those_who_may_be_that_one() -> None:
    lanes = {"alice": "customer", "bob": "customer", "assistant": "assistant"}
    hidden = hidden_in([Heard(0, 9_000_000)], [Mask(start_us=0, end_us=9_000_000, lane="alice")], 9_000_000, lanes)
    speakers = ["alice", "bob", "customer", "assistant", "human"]
    assert kept([turn(n, 1, 2, who) for n, who in enumerate(speakers)], hidden) == [1, 3]


def test_a_mask_on_a_lane_that_nobody_knows_hides_everybody() -> None:
    hidden = hidden_in([Heard(0, 9_000_000)], [Mask(start_us=0, end_us=9_000_000, lane="x")], 9_000_000, SIDES)
    assert kept([turn(0, 1, 2), turn(1, 1, 2, "assistant")], hidden) == []


def test_a_turn_without_an_end_lasts_until_the_next_of_its_role() -> None:
    hidden = hidden_in([Heard(0, 9_000_000)], [Mask(start_us=2_000_000, end_us=3_000_000)], 9_000_000, SIDES)
    assert kept([turn(0, 0, None), turn(1, 1_000, 1_100, "assistant"), turn(2, 1_500, None)], hidden) == [0, 1]


def test_what_was_cut_away_is_not_read() -> None:
    hidden = hidden_in([Heard(1_000_000, 2_000_000), Heard(4_000_000, 5_000_000)], [], 9_000_000, SIDES)
    turns = [
        turn(0, 0, 500),
        turn(1, 1_000, 1_900),
        turn(2, 2_500, 2_600),
        turn(3, 4_000, 4_900),
        turn(4, 6_000, 7_000),
    ]
    assert kept(turns, hidden) == [1, 3]


def test_masks_are_placed_on_what_is_heard_and_found_on_the_call_s_clock() -> None:
    """Two seconds were cut out before the mask: at 3 s of what is heard is 5 s of the call."""
    stretches = [Heard(0, 2_000_000), Heard(4_000_000, 9_000_000)]
    hidden = hidden_in(stretches, [Mask(start_us=3_000_000, end_us=3_500_000)], 9_000_000, SIDES)
    assert Hidden(5_000_000, 5_500_000) in hidden
    assert kept([turn(0, 4_100, 4_900), turn(1, 5_100, 5_200)], hidden) == [0]


def test_another_call_s_stretch_takes_its_time_and_hides_nothing_here() -> None:
    stretches = [Heard(0, 5_000_000, of_call=False), Heard(0, 3_000_000)]
    hidden = hidden_in(stretches, [Mask(start_us=6_000_000, end_us=7_000_000)], 3_000_000, SIDES)
    assert hidden == [Hidden(1_000_000, 2_000_000)]


def test_words_behind_the_end_of_the_sound_are_read_when_nothing_was_cut() -> None:
    assert hidden_in([Heard(0, 5_000_000)], [], 5_000_000, SIDES) == []


def test_an_open_pause_hides_all_that_follows() -> None:
    span = Span(id="s", recording_id="r", workspace_id="w", kind="pause", start_us=1_000_000, created_ms=0)
    assert kept([turn(0, 0, 900), turn(1, 1_100, 1_200), turn(2, 90_000, None)], paused_in([span])) == [0]


def test_many_turns_and_stretches_are_told_apart_as_one_by_one() -> None:
    roles, dice = ["customer", "assistant", "human"], Random(7)
    for _ in range(200):
        starts = [dice.randrange(1000) for _ in range(dice.randrange(12))]
        turns = [
            turn(n, at, dice.choice([None, at + dice.randrange(90)]), dice.choice(roles)) for n, at in enumerate(starts)
        ]
        begins = [dice.randrange(1_000_000) for _ in range(dice.randrange(6))]
        spared = [frozenset(dice.sample(roles, dice.randrange(3))) for _ in begins]
        hidden = [Hidden(at, at + dice.randrange(90_000), who) for at, who in zip(begins, spared, strict=True)]
        assert kept(turns, hidden) == [t.seq for t in turns if not any(over(t, turns, stretch) for stretch in hidden)]


def over(said: Turn, turns: list[Turn], stretch: Hidden) -> bool:
    later = [other.start_ms for other in turns if other.seq > said.seq and other.role == said.role]
    end_ms = min(later, default=EVER) if said.end_ms is None else said.end_ms
    is_in_it = stretch.start_us <= 1000 * end_ms and 1000 * said.start_ms < stretch.end_us
    return is_in_it and said.role not in stretch.spared


def test_the_longest_transcript_takes_a_moment() -> None:
    turns = [turn(n, n, None) for n in range(TURNS_MAX)]
    assert kept(turns, [Hidden(1000 * n, 1000 * n + 1) for n in range(0, TURNS_MAX, 2)]) == [TURNS_MAX - 1]
