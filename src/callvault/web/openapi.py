"""The OpenAPI document of every part, made of its FastAPI routes and of what its hot routes tell of themselves."""

import asyncio
import copy
import re
from collections.abc import Sequence
from typing import Any, Final

from fastapi.openapi.utils import get_openapi
from starlette.requests import Request

from callvault.domain.errors import Missing
from callvault.web.apidocs import POLICY, page
from callvault.web.auth import Rule, public, rule_of
from callvault.web.parts import Claim, Hot, Part
from callvault.web.responses import Answer, bytes_answer, json_answer, redirect
from callvault.web.routing import fast_routes, parameters

SCHEME: Final = "key"
COMPONENTS: Final = "#/components/schemas/"
OF_THE_FRONT: Final = {
    "413": {"description": "The request's body is too large."},
    "429": {"description": "Too many requests of the key, or of the address: `Retry-After` says when to go on."},
    "503": {"description": "The database or the storage does not answer: try again after `Retry-After`."},
}
"""What any operation may answer, whatever its part says of itself."""
MODEL: Final = re.compile("[A-Za-z0-9._-]+")


def document(part: Part, version: str) -> dict[str, Any]:
    routes = fast_routes(part)
    told = get_openapi(
        title=part.title, version=version or "0", description=part.about or None, openapi_version="3.1.0", routes=routes
    )
    told.setdefault("paths", {})
    told.setdefault("components", {})["securitySchemes"] = {SCHEME: dict(part.credential.scheme)}
    for route in routes:
        for method in (route.methods or ()) if route.include_in_schema else ():
            _fronted(told["paths"][route.path_format][method.lower()], rule_of(route.endpoint))
    for hot in part.hot:
        told["paths"].setdefault(hot.path, {})[hot.method.lower()] = _operation(hot)
    told["paths"] = _shared(told["paths"], told["components"].setdefault("schemas", {}))
    return told


def _shared(node: Any, schemas: dict[str, Any]) -> Any:
    """The node with the models in it, and those that these hold, told once for the whole document."""
    if isinstance(node, list):
        return [_shared(each, schemas) for each in node]
    if not isinstance(node, dict):
        return node
    for name, schema in node.get("$defs", {}).items():
        schemas.setdefault(name, _shared(schema, schemas))
    node = {name: _shared(each, schemas) for name, each in node.items() if name != "$defs"}
    reference = node.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/$defs/"):
        return {**node, "$ref": reference.replace("#/$defs/", COMPONENTS)}
    name = node.get("title", "")
    if "properties" in node and MODEL.fullmatch(name) and schemas.setdefault(name, node) == node:
        return {"$ref": f"{COMPONENTS}{name}"}
    return node


def _operation(hot: Hot) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": hot.handler.__name__.replace("_", " ").capitalize(),
        "operationId": f"{hot.handler.__name__}_{hot.method.lower()}",
        "responses": {"200": {"description": "OK"}},
        **copy.deepcopy(dict(hot.docs)),
    }
    told = operation.setdefault("parameters", [])
    known = {given["name"] for given in told if given["in"] == "path"}
    operation["parameters"] = [_path_parameter(name) for name in parameters(hot.path) if name not in known] + told
    _fronted(operation, rule_of(hot.handler))
    return operation


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _fronted(operation: dict[str, Any], rule: Rule) -> None:
    """With what the front asks and answers before a part does."""
    operation["security"] = [{SCHEME: []}] if rule.keyed else []
    if rule.actions:
        operation["x-scopes"] = sorted({scope for action in rule.actions for scope in action.scopes})
    if "default" not in operation["responses"]:
        for status, told in OF_THE_FRONT.items():
            operation["responses"].setdefault(status, told)


def part(parts: Sequence[Part], version: str) -> Part:
    documented = {each.name: each for each in parts if each.documented}
    made: dict[str, dict[str, Any]] = {}

    async def told(request: Request) -> dict[str, Any]:
        name = request.path_params["name"]
        if name not in documented:
            raise Missing(what="document")
        if name not in made:
            made[name] = await asyncio.to_thread(document, documented[name], version)
        return made[name]

    @public("what the APIs look like is no secret")
    async def index(request: Request) -> Answer:
        return json_answer({name: f"/openapi/{name}.json" for name in documented})

    @public("what the APIs look like is no secret")
    async def show(request: Request) -> Answer:
        return json_answer(await told(request))

    @public("what the APIs look like is no secret")
    async def read(request: Request) -> Answer:
        text = page(await told(request), documented)
        policy = [(b"content-security-policy", POLICY.encode())]
        return bytes_answer(text.encode(), b"text/html; charset=utf-8", headers=policy)

    @public("what the APIs look like is no secret")
    async def begin(request: Request) -> Answer:
        """Every page leads to all others."""
        return redirect(f"/docs/{next(iter(documented), '')}")

    hot = (
        Hot("GET", "/openapi", index),
        Hot("GET", "/openapi/{name}.json", show),
        Hot("GET", "/docs", begin),
        Hot("GET", "/docs/{name}", read),
    )
    return Part(
        name="docs", title="Documentation", claims=(Claim("/openapi"), Claim("/docs")), hot=hot, documented=False
    )
