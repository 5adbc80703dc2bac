"""The words for the OpenAPI of routes that FastAPI does not see."""

from collections.abc import Mapping, Sequence
from typing import Any

from callvault.web.native.problems import PROBLEMS
from callvault.web.native.spelling import Told

Spec = dict[str, Any]
BYTES: Spec = {"type": "string", "format": "binary"}


def operation(
    summary: str,
    tag: str,
    description: str = "",
    *,
    responses: Mapping[str, Spec],
    parameters: Sequence[Spec] = (),
    body: Sequence[str] = (),
) -> Spec:
    """`body` names the media types that a request may bring."""
    spec: Spec = {
        "summary": summary,
        "tags": [tag],
        "parameters": list(parameters),
        "responses": {**responses, "default": PROBLEMS["default"]},
    }
    if description:
        spec["description"] = description
    if body:
        spec["requestBody"] = {"required": True, "content": {name: {"schema": BYTES} for name in body}}
    return spec


def query(name: str, schema: Spec, description: str = "") -> Spec:
    return {"name": name, "in": "query", "schema": schema, **({"description": description} if description else {})}


def header(name: str, description: str) -> Spec:
    return {"name": name, "in": "header", "schema": {"type": "string"}, "description": description}


def path(name: str, schema: Spec) -> Spec:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def json(model: type[Told], description: str) -> Spec:
    return {"description": description, "content": {"application/json": {"schema": model.model_json_schema()}}}


def content(description: str, *media_types: str) -> Spec:
    schemas = {name: {"type": "object"} if name == "application/json" else BYTES for name in media_types}
    return {"description": description, "content": {name: {"schema": schema} for name, schema in schemas.items()}}
