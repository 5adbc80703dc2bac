"""Mistakes in a request: told one by one, unless they are more than anybody reads."""

from typing import Any, Final, Self

from pydantic import BaseModel, ModelWrapValidatorHandler, ValidationError, model_validator

from callvault.web.errors import Invalid

MISTAKES_MAX: Final = 1_000
"""To tell each takes longer than to find it: of a body that is full of them, a second and more."""


class Proven(BaseModel):
    """What we are asked, in any dialect."""

    @model_validator(mode="wrap")
    @classmethod
    def _told_in_time(cls, given: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return read(given)
        except ValidationError as error:
            if error.error_count() > MISTAKES_MAX:
                raise too_many(error) from None
            raise


def too_many(error: ValidationError) -> Invalid:
    msg = f"it has {error.error_count()} mistakes, of which no more than {MISTAKES_MAX} are told"
    return Invalid(errors=[{"loc": ["body"], "msg": msg, "type": "too_many_mistakes"}])


def mistakes(error: ValidationError, *within: str | int) -> Invalid:
    """Each with its place, which lies within another one."""
    if error.error_count() > MISTAKES_MAX:
        return too_many(error)
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return Invalid(errors=[{"loc": [*within, *e["loc"]], "msg": e["msg"], "type": e["type"]} for e in found])
