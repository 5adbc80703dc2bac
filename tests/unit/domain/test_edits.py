"""Edit lists as sums of samples: what a second of sound is, is its place on its timeline."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callvault.domain.edits import (
    CLIPS_MAX,
    COVERS_MAX,
    MASKS_MAX,
    TakenOut,
    Withheld,
    checked,
    covering,
    excerpt,
    joined,
    length_us,
    masked,
    without,
)
from callvault.domain.errors import Malformed, TooLarge
from callvault.domain.recording import Clip, EditList, Mask, Recording


def clip(start: int, end: int, name: str = "o") -> Clip:
    return Clip(recording_id=name, start_us=start, end_us=end)


def heard(edits: EditList) -> list[tuple[str, int] | None]:
    """Moment by moment: where it is of, or None where it is covered."""
    places: list[tuple[str, int] | None] = [
        (c.recording_id, at) for c in edits.clips for at in range(c.start_us, c.end_us)
    ]
    for mask in edits.masks:
        for at in range(mask.start_us, min(mask.end_us, len(places))):
            places[at] = None
    return places


def version(edits: EditList, *parents: str, operation: str | None = "redactPII") -> Recording:
    facts = {"workspace_id": "w", "call_id": "c", "created_ms": 0, "updated_ms": 0, "last_heard_ms": 0}
    return Recording(id="v", derived_from=parents, operation=operation, edits=edits, redacted=True, **facts)


ORIGINAL = version(EditList(), operation=None)
spans = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12)).map(lambda s: (s[0], s[0] + s[1])), max_size=5)
lists = st.builds(
    lambda clips, masks: EditList(
        clips=tuple(clip(a, b, n) for n, (a, b) in zip("opq", clips, strict=False)),
        masks=tuple(Mask(start_us=a, end_us=b) for a, b in masks),
    ),
    spans,
    spans,
)


@given(lists, st.integers(0, 60), st.integers(0, 60))
def test_an_excerpt_is_that_much_of_it(edits: EditList, start: int, end: int) -> None:
    assert heard(excerpt(edits, start, end)) == heard(edits)[start:end]


@given(st.lists(lists, max_size=4))
def test_parts_are_heard_one_behind_the_other(parts: list[EditList]) -> None:
    cut_to_length = [excerpt(part, 0, length_us(part)) for part in parts]
    assert heard(joined(cut_to_length)) == [place for part in parts for place in heard(part)]


@given(lists, spans)
def test_what_is_cut_out_is_gone_and_nothing_else(edits: EditList, cuts: list[tuple[int, int]]) -> None:
    left = [place for at, place in enumerate(heard(edits)) if not any(a <= at < b for a, b in cuts)]
    assert heard(without(edits, cuts)) == left


@given(lists, lists)
def test_whatever_one_version_takes_out_can_be_taken_out_of_any_other(first: EditList, other: EditList) -> None:
    whole = EditList(clips=(clip(0, 60),))
    first = first if first.clips else EditList(clips=whole.clips, masks=first.masks)
    there = {*heard(whole), *heard(EditList(clips=first.clips))}
    hidden = there - {*heard(first)}
    withheld = taken_out_by(first, version(whole))
    assert withheld.is_heard_in(other) is any(place in hidden for place in heard(other))
    assert not withheld.is_heard_in(covering(other, withheld.taken_out()))


def taken_out_by(redacted: EditList, source: Recording) -> Withheld:
    withheld = Withheld()
    withheld.add(version(redacted), [source])
    return withheld


def test_a_mask_covers_what_is_of_its_lane_alone() -> None:
    whole = EditList(clips=(clip(0, 9),))
    withheld = taken_out_by(masked(whole, [Mask(start_us=2, end_us=4, lane="customer")]), ORIGINAL)
    covers = {"customer": False, "assistant": True, None: False}
    for lane, is_heard in covers.items():
        assert withheld.is_heard_in(masked(whole, [Mask(start_us=0, end_us=9, lane=lane)])) is is_heard
    one_behind_the_other = [Mask(start_us=3, end_us=5, lane="customer"), Mask(start_us=1, end_us=3)]
    assert not withheld.is_heard_in(masked(whole, one_behind_the_other))


def test_a_mask_is_laid_over_another_version_as_it_was() -> None:
    mask = Mask(start_us=2, end_us=4, method="beep", lane="customer", kind="card")
    taken = [TakenOut(clip(2, 4), mask)]
    other = EditList(clips=(clip(0, 3, "p"), clip(3, 9)))
    assert covering(other, taken).masks == (Mask(start_us=3, end_us=4, method="beep", lane="customer", kind="card"),)


def test_the_same_mask_is_there_once() -> None:
    mask = Mask(start_us=2, end_us=4)
    assert masked(masked(EditList(), [mask]), [mask, mask]).masks == (mask,)


def test_an_edit_after_which_nothing_is_heard_is_refused() -> None:
    with pytest.raises(Malformed):
        checked(EditList(clips=(clip(3, 3),)))


def test_an_edit_list_has_an_end() -> None:
    with pytest.raises(TooLarge):
        checked(EditList(clips=(clip(0, 1),) * (CLIPS_MAX + 1)))


def test_many_masks_over_many_clips_are_laid_and_found_in_a_moment() -> None:
    clips = tuple(clip(10 * n, 10 * n + 10) for n in range(CLIPS_MAX))
    whole, end = EditList(clips=clips), 10 * CLIPS_MAX
    covers = [Mask(start_us=0, end_us=end, kind=f"k{n}") for n in range(MASKS_MAX)]
    with pytest.raises(TooLarge):
        checked(masked(whole, covers))
    withheld = taken_out_by(masked(whole, covers), ORIGINAL)
    assert withheld.is_heard_in(whole) and not withheld.is_heard_in(masked(whole, covers[:1]))
    with pytest.raises(TooLarge):
        covering(whole, withheld.taken_out())
    spans = [Mask(start_us=10 * n + 2, end_us=10 * n + 13) for n in range(MASKS_MAX)]
    assert checked(masked(whole, spans)).masks == tuple(spans)


def test_as_many_clips_as_there_may_be_under_masks_are_taken() -> None:
    whole = EditList(clips=tuple(clip(10 * n, 10 * n + 10) for n in range(CLIPS_MAX)))
    covers = [Mask(start_us=0, end_us=10 * CLIPS_MAX, kind=f"k{n}") for n in range(COVERS_MAX // CLIPS_MAX)]
    assert len(checked(masked(whole, covers)).masks) == len(covers)
