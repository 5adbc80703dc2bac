"""Who hears which version of a call's sound."""

from dataclasses import replace

import pytest

from callvault.domain.errors import Missing, Refused
from callvault.domain.recording import Clip, EditList, Mask, Recording
from callvault.domain.versions import (
    Family,
    descendants_of,
    end_of,
    heard,
    newest_first,
    newest_original,
    originals_of,
)


def version(
    name: str, *parents: str, operation: str | None = None, redacted: bool = False, at: int = 0, call: str = "c"
) -> Recording:
    return Recording(
        id=name,
        workspace_id="w",
        call_id=call,
        created_ms=at or len(name),
        updated_ms=0,
        last_heard_ms=0,
        status="completed",
        derived_from=parents,
        operation=operation,
        redacted=redacted,
    )


O = version("o", at=1)  # noqa: E741
T = version("t", "o", operation="trim", at=2)
R = version("r", "o", operation="redactPII", redacted=True, at=3)
TR = version("tr", "r", operation="trim", redacted=True, at=4)
RT = version("rt", "t", operation="redactPII", redacted=True, at=5)
E = version("e", "r", operation="enhanceQuality", redacted=True, at=6)


def test_without_a_redacted_version_everybody_hears_what_they_ask_for() -> None:
    assert heard(O, [T], originals_too=False) is O
    assert heard(T, [O], originals_too=False) is T


def test_once_redacted_the_redacted_version_stands_in_for_the_original() -> None:
    assert heard(O, [T, R, TR], originals_too=False) is R


def test_who_may_hear_originals_hears_what_was_asked_for() -> None:
    assert heard(O, [R], originals_too=True) is O


def test_the_newest_version_made_of_the_redacted_one_as_a_whole_stands_in() -> None:
    assert heard(O, [R, E], originals_too=False) is E


def test_an_excerpt_of_a_redacted_original_is_refused_unless_redacted_itself() -> None:
    with pytest.raises(Refused):
        heard(T, [O, R], originals_too=False)
    assert heard(TR, [O, R], originals_too=False) is TR
    assert heard(T, [O, R, RT], originals_too=False) is RT


def test_an_original_of_which_a_part_alone_was_redacted_is_not_heard() -> None:
    with pytest.raises(Refused):
        heard(O, [T, RT], originals_too=False)


def test_a_merge_with_one_redacted_original_is_refused() -> None:
    merged = version("m", "o", "p", operation="merge")
    with pytest.raises(Refused):
        heard(merged, [O, version("p"), R], originals_too=False)


def test_a_merge_of_what_was_redacted_and_what_need_not_be_is_heard_until_that_must_be() -> None:
    other = version("p", call="another")
    merged = version("m", "r", "p", operation="merge")
    excerpt = version("x", "m", operation="trim")
    for asked in (merged, excerpt):
        assert heard(asked, [O, R, other, merged], originals_too=False) is asked
        newer = version("q", call="another", at=8)
        hidden = version("rq", "q", operation="redactPII", redacted=True, at=9, call="another")
        with pytest.raises(Refused):
            heard(asked, [O, R, other, merged, newer, hidden], originals_too=False)


def test_a_redaction_that_failed_or_was_deleted_hides_nothing() -> None:
    assert heard(O, [replace(R, status="failed")], originals_too=False) is O
    assert heard(O, [replace(R, deleted_ms=9)], originals_too=False) is O


def test_a_call_with_nothing_left_has_no_recording() -> None:
    with pytest.raises(Missing):
        newest_original([R])


def test_a_call_s_newest_original_is_heard() -> None:
    second = version("second", at=9)
    assert newest_original(newest_first([O, second, R])) is second


def test_once_redacted_another_original_of_the_call_is_not_heard_unless_redacted_too() -> None:
    second = version("second", at=9)
    excerpt = version("excerpt", "second", operation="trim", at=10)
    for unredacted in (second, excerpt):
        with pytest.raises(Refused):
            heard(unredacted, [O, R, second], originals_too=False)
    own = version("own", "second", operation="redactPII", redacted=True, at=11)
    assert heard(second, [O, R, own], originals_too=False) is own
    assert heard(second, [O, R], originals_too=True) is second


def test_another_call_s_original_is_not_touched_by_the_redaction() -> None:
    other = version("other", call="another")
    assert heard(other, [O, R], originals_too=False) is other


def test_a_call_is_heard_in_the_newest_of_its_originals_that_was_redacted() -> None:
    second = version("second", at=9)
    third = version("third", "second", operation="redactPII", redacted=True, at=10)
    assert Family([O, second]).of_call([O, second]) is second
    assert Family([O, R, second]).of_call([O, R, second]) is R
    assert Family([O, R, second, third]).of_call([O, R, second, third]) is third


def test_a_call_of_which_parts_alone_were_redacted_is_not_heard() -> None:
    with pytest.raises(Refused):
        Family([O, T, RT]).of_call([O, T, RT])


def test_a_redaction_is_whole_when_every_original_has_its_own() -> None:
    second = version("second", at=9)
    own = version("own", "second", operation="redactPII", redacted=True, at=10)
    assert Family([O, second]).redaction([O, second]) is None
    partly, wholly = (Family(all_of_it).redaction(all_of_it) for all_of_it in ([O, R, second], [O, R, second, own]))
    assert partly and (partly.versions, partly.is_whole) == ((R,), False)
    assert wholly and (wholly.versions, wholly.is_whole) == ((own, R), True)


def edited(made: Recording, *masks: Mask, end_us: int = 9, original: str = "o") -> Recording:
    return replace(made, edits=EditList(clips=(Clip(recording_id=original, start_us=0, end_us=end_us),), masks=masks))


def test_a_copy_is_heard_by_those_who_ask_for_it_alone() -> None:
    copy = version("copy", "r", operation="compress", redacted=True, at=9)
    assert heard(O, [R, copy], originals_too=False) is R
    assert heard(copy, [O, R], originals_too=False) is copy


def test_a_copy_of_what_was_redacted_later_is_heard_as_the_redacted_version() -> None:
    copy = version("copy", "o", operation="convert", at=2)
    assert heard(copy, [O, R], originals_too=False) is R


def test_a_redacted_version_in_which_something_is_heard_that_another_covers_gives_way_to_that() -> None:
    first = edited(R, Mask(start_us=1, end_us=2))
    both = (Mask(start_us=1, end_us=2), Mask(start_us=4, end_us=5, lane="customer"))
    second = edited(version("r2", "o", operation="redactPII", redacted=True, at=7), *both)
    for asked in (O, first, second):
        assert heard(asked, [O, first, second], originals_too=False) is second
    assert heard(first, [O], originals_too=False) is first


def test_a_redacted_excerpt_in_which_something_is_heard_that_was_redacted_since_is_refused() -> None:
    first = edited(R, Mask(start_us=1, end_us=2))
    excerpt = edited(replace(TR, derived_from=("r",)), Mask(start_us=1, end_us=2), end_us=6)
    for masks, is_heard in (((7, 9), True), ((5, 7), False)):
        start, end = masks
        covers = (Mask(start_us=1, end_us=2), Mask(start_us=start, end_us=end))
        second = edited(version("r2", "r", operation="redactPII", redacted=True, at=7), *covers)
        if is_heard:
            assert heard(excerpt, [O, first, second], originals_too=False) is excerpt
            continue
        with pytest.raises(Refused):
            heard(excerpt, [O, first, second], originals_too=False)


def test_what_was_cut_out_of_one_version_is_heard_in_no_other() -> None:
    first = edited(R, Mask(start_us=1, end_us=2))
    clips = tuple(Clip(recording_id="o", start_us=a, end_us=b) for a, b in ((0, 4), (6, 9)))
    cut = version("cut", "o", operation="redactPII", redacted=True, at=7)
    cut = replace(cut, edits=EditList(clips=clips, masks=(Mask(start_us=1, end_us=2),)))
    assert heard(first, [O, first, cut], originals_too=False) is cut
    assert heard(O, [first, cut], originals_too=False) is cut


def test_lineage_is_followed_over_any_number_of_steps() -> None:
    kin = {r.id: r for r in (O, T, R, TR, RT)}
    assert originals_of(RT, kin) == {"o"}
    assert {r.id for r in descendants_of([O], kin.values())} == {"t", "r", "tr", "rt"}
    assert {r.id for r in descendants_of([T], kin.values())} == {"rt"}


def test_what_was_merged_with_a_part_of_itself_time_and_again_is_told_in_a_moment() -> None:
    kin, last = {"o": O, "r": R}, R
    for n in range(2_000):
        part = version(f"t{n}", last.id, operation="trim")
        last = version(f"m{n}", last.id, part.id, operation="merge")
        kin |= {part.id: part, last.id: last}
    assert originals_of(last, kin) == {"o"}
    assert end_of(last, kin | {"o": replace(O, expires_ms=7)}) == 7
    assert len(descendants_of([O], kin.values())) == 4_001
    assert heard(last, kin.values(), originals_too=False) is last


def test_hundreds_of_redactions_of_one_another_are_told_in_a_moment() -> None:
    clips = (Clip(recording_id="o", start_us=0, end_us=10_000),)
    masks = tuple(Mask(start_us=10 * n, end_us=10 * n + 5) for n in range(500))
    family = [O]
    for n in range(2_000):
        made = version(f"r{n:04}", family[-1].id, operation="redactPII", redacted=True, at=10 + n)
        family.append(replace(made, edits=EditList(clips=clips, masks=masks[: n + 1])))
    assert heard(O, family, originals_too=False) is family[-1]
    assert heard(family[1], family, originals_too=False) is family[-1]
