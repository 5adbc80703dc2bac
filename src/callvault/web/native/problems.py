"""What is said of errors in the OpenAPI: problem details, whatever the status."""

from typing import Any

from pydantic import BaseModel, Field


class Wrong(BaseModel):
    loc: list[str | int]
    msg: str
    type: str


class Problem(BaseModel):
    """RFC 9457; `code` is stable, `detail` is for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    requestId: str  # noqa: N815
    errors: list[Wrong] = Field(default_factory=list)


_TOLD: dict[str, Any] = {
    "description": "What cannot be done, and who can mend it.",
    "content": {"application/problem+json": {"schema": Problem.model_json_schema()}},
}
PROBLEMS: dict[int | str, dict[str, Any]] = {422: _TOLD, "default": _TOLD}
