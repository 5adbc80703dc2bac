"""Mistakes are told one by one, as long as somebody may read them."""

from typing import Annotated

import pytest
from pydantic import ConfigDict, Field, ValidationError

from callvault.web.errors import Invalid
from callvault.web.mistakes import MISTAKES_MAX, Proven, mistakes


class Asked(Proven):
    model_config = ConfigDict(extra="forbid")
    names: Annotated[dict[str, Annotated[str, Field(min_length=1)]], Field(default_factory=dict)]


def test_a_few_mistakes_are_told_each_with_its_place() -> None:
    with pytest.raises(ValidationError) as raised:
        Asked.model_validate({"names": {"a": "", "b": "c"}, "other": 1})
    told = mistakes(raised.value, "parameters").errors
    assert [error["loc"] for error in told] == [["parameters", "names", "a"], ["parameters", "other"]]
    assert all(error.keys() == {"loc", "msg", "type"} for error in told)


@pytest.mark.parametrize("given", [{"names": dict.fromkeys(map(str, range(2000)), 1)}, dict.fromkeys("abc" * 2000)])
def test_more_than_anybody_reads_are_told_as_one(given: dict[str, object]) -> None:
    given |= {f"more{n}": None for n in range(MISTAKES_MAX)}
    with pytest.raises(Invalid) as raised:
        Asked.model_validate(given)
    assert [error["type"] for error in raised.value.errors] == ["too_many_mistakes"]
