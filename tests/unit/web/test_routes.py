"""The table of routes: every one says who may come, every one is in the documents."""

import pytest
from fastapi import APIRouter
from starlette.requests import Request

from callvault.domain.access import Action
from callvault.web.app import all_parts
from callvault.web.auth import needs, public
from callvault.web.openapi import document
from callvault.web.parts import Claim, Hot, Part
from callvault.web.responses import Answer, empty
from callvault.web.routing import Directory, Routes, fast_routes
from tests.unit.web import sample

PARTS = {part.name: part for part in all_parts()}


@pytest.mark.parametrize("name", PARTS)
def test_every_route_declares_who_may_come(name: str) -> None:
    rules = list(Routes(PARTS[name]).rules())
    assert rules
    for route, rule in rules:
        assert rule.actions or rule.reason, route
        assert rule.keyed or not rule.actions, route


@pytest.mark.parametrize("name", PARTS)
def test_what_is_open_to_everybody_says_why(name: str) -> None:
    for route, rule in Routes(PARTS[name]).rules():
        if not rule.keyed:
            assert len(rule.reason) > 10, route


@pytest.mark.parametrize("name", PARTS)
def test_every_route_lies_below_a_claim_of_its_part(name: str) -> None:
    part = PARTS[name]
    paths = [hot.path for hot in part.hot] + [socket.path for socket in part.sockets]
    paths += [route.path for route in fast_routes(part)]
    stray = [path for path in paths if not any(path.startswith(claim.prefix) for claim in part.claims)]
    assert stray == []


@pytest.mark.parametrize("name", [name for name, part in PARTS.items() if part.documented])
def test_every_route_is_in_its_document(name: str) -> None:
    part = PARTS[name]
    paths = document(part, "1")["paths"]
    for hot in part.hot:
        assert hot.method.lower() in paths[hot.path], hot.path
    for route in fast_routes(part):
        assert not route.include_in_schema or route.path_format in paths, route.path


async def undeclared(request: Request) -> Answer:
    return empty()


def test_a_route_that_does_not_declare_it_stops_the_program() -> None:
    router = APIRouter()
    router.get("/x", response_model=None)(undeclared)
    for part in (
        Part(name="x", title="X", claims=(Claim("/x"),), routers=(router,)),
        Part(name="x", title="X", claims=(Claim("/x"),), hot=(Hot("GET", "/x", undeclared),)),
    ):
        with pytest.raises(TypeError, match="undeclared declares no access"):
            Routes(part)


def test_a_rule_names_an_action_or_a_reason() -> None:
    with pytest.raises(TypeError, match="name an action"):
        needs()


def test_routers_are_flat_so_that_no_route_hides() -> None:
    outer, inner = APIRouter(), APIRouter()
    inner.get("/x", response_model=None)(public("a test")(undeclared))
    outer.include_router(inner)
    with pytest.raises(TypeError, match="flat"):
        Routes(Part(name="x", title="X", claims=(Claim("/x"),), routers=(outer,)))


def test_the_longest_claim_wins_and_one_with_a_header_before_one_without() -> None:
    parts = [
        Part(name="rest", title="", claims=(Claim(""),)),
        Part(name="calls", title="", claims=(Claim("/v1/calls"),)),
        Part(name="call", title="", claims=(Claim("/v1/call"),)),
        Part(name="token", title="", claims=(Claim("/v1/calls", header="api-token"),)),
    ]
    directory = Directory(parts)

    def name(path: str, *headers: tuple[bytes, bytes]) -> str:
        return directory.routes_for(path, headers).part.name

    assert name("/v1/calls") == name("/v1/calls/7") == "calls"
    assert name("/v1/calls/7", (b"api-token", b"x")) == "token"
    assert name("/v1/call/7") == "call"
    assert name("/v1/callsigns") == name("/v1") == name("/") == "rest"


def test_the_document_tells_hot_routes_their_parameters_and_their_scopes() -> None:
    told = document(sample.PART, "1.2.3")
    assert told["openapi"] == "3.1.0"
    assert told["info"] == {"title": "Sample", "description": "One route of every sort.", "version": "1.2.3"}
    hot = told["paths"]["/sample/hot/{name}.json"]["get"]
    assert hot["summary"] == "Something hot"
    assert hot["parameters"] == [{"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}]
    assert hot["security"] == [{"key": []}]
    assert hot["x-scopes"] == ["recordings:read", "recordings:share"]
    assert told["paths"]["/sample/away"]["get"]["security"] == []
    assert told["paths"]["/sample/facts/{id}"]["post"]["x-scopes"] == ["recordings:write"]
    assert told["components"]["securitySchemes"] == {"key": {"type": "http", "scheme": "bearer"}}
    assert {Action.LISTEN.label, Action.SHARE.label} == {"recordings.listen", "recordings.share"}
