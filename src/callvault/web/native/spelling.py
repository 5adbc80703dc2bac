"""How the native API spells: camelCase names, Unix seconds, and nothing taken that is not known."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

from callvault.domain.errors import Malformed
from callvault.web.mistakes import Proven
from callvault.wire import isotime

LATEST_SECONDS = 253_402_300_799
"""The end of the year 9999."""


class Told(BaseModel):
    """What we answer."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True)


class Asked(Proven):
    """What we are asked; a name that is not known is a mistake that the caller should hear of."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


def seconds(unix_ms: int | None) -> float | None:
    """Whole seconds are whole numbers in JSON too."""
    if unix_ms is None:
        return None
    return unix_ms // 1000 if unix_ms % 1000 == 0 else unix_ms / 1000


def _moment_ms(given: Any) -> int:
    if isinstance(given, str):
        try:
            given = isotime.parse(given) / 1000
        except Malformed:
            raise ValueError("a time is Unix seconds, or as in ISO 8601") from None
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given <= LATEST_SECONDS:
        raise ValueError("a time is Unix seconds, or as in ISO 8601")
    return round(given * 1000)


Moment = Annotated[
    int,
    BeforeValidator(_moment_ms),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": LATEST_SECONDS},
                {"type": "string", "format": "date-time"},
            ]
        }
    ),
]
"""A time as Unix seconds or as in ISO 8601, kept in milliseconds."""

Text = Annotated[str, Field(max_length=1000)]
Metadata = dict[str, Any]
