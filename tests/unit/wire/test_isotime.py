"""ISO 8601 times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callvault.domain.errors import Malformed
from callvault.wire import isotime


@given(st.integers(0, 253_402_300_799_999))
def test_a_time_comes_back_to_the_millisecond(unix_ms: int) -> None:
    assert isotime.parse(isotime.serialize(unix_ms)) == unix_ms


def test_times_are_written_in_utc_with_milliseconds() -> None:
    assert isotime.serialize(1_760_000_000_123) == "2025-10-09T08:53:20.123Z"


def test_what_is_beyond_all_years_is_told_as_their_last_second() -> None:
    assert isotime.serialize(253_402_300_800_000) == "9999-12-31T23:59:59.000Z"


def test_zones_are_honoured_and_their_absence_means_utc() -> None:
    assert isotime.parse("2025-10-09T10:53:20+02:00") == isotime.parse("2025-10-09T08:53:20") == 1_760_000_000_000


@pytest.mark.parametrize("text", ["", "yesterday", "2025-13-01", "10000-01-01T00:00:00Z"])
def test_what_is_no_time_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        isotime.parse(text)
