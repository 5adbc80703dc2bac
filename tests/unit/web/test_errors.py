"""Every error has its status and its line in the reference."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from callvault.domain import errors
from callvault.domain.errors import CallerFault, Fault, OperatorFault, PassingFault
from callvault.web import errors as web_errors
from callvault.web.errors import HttpProblem, Invalid, headers_of, problem, status_of

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "errors.md"
FAMILIES = (CallerFault, OperatorFault, PassingFault)


def kinds() -> Iterator[type[Fault]]:
    for name in [*vars(errors).values(), *vars(web_errors).values()]:
        if isinstance(name, type) and issubclass(name, Fault) and name is not Fault:
            yield name


@pytest.mark.parametrize("kind", sorted(set(kinds()), key=lambda kind: kind.__name__))
def test_every_error_is_of_one_family_and_has_a_status(kind: type[Fault]) -> None:
    assert sum(issubclass(kind, family) for family in FAMILIES) == 1
    fault = (
        Invalid(errors=[]) if kind is Invalid else HttpProblem(status=400, why="x") if kind is HttpProblem else kind()
    )
    status = status_of(fault)
    assert (400 <= status < 500) or not issubclass(kind, CallerFault) or status == 501
    assert json.loads(problem(fault, status, "req_1").body)["code"] == kind.code  # type: ignore[arg-type]
    assert str(fault)


def test_the_reference_page_tells_every_error() -> None:
    page = PAGE.read_text()
    missing = {kind.code for kind in kinds() if f"`{kind.code}`" not in page}
    assert missing == set()


def test_a_problem_is_told_as_rfc_9457_wants_it() -> None:
    answer = problem(Invalid(errors=[{"loc": ["body"], "msg": "missing", "type": "missing"}]), 422, "req_1")
    assert (b"content-type", b"application/problem+json") in answer.headers
    assert json.loads(answer.body) == {  # type: ignore[arg-type]
        "type": "urn:callvault:problem:invalid_request",
        "title": "The request cannot be done",
        "status": 422,
        "detail": "the request is not of the right form: see `errors`",
        "code": "invalid_request",
        "requestId": "req_1",
        "errors": [{"loc": ["body"], "msg": "missing", "type": "missing"}],
    }


def test_what_passes_says_when_to_come_again() -> None:
    assert headers_of(PassingFault(), 503) == [(b"retry-after", b"2")]
    assert headers_of(CallerFault(), 400) == []
