"""Which part a request is for, and which of its routes: hot ones first, then FastAPI's."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import ASGIApp, Scope

from callvault.web.auth import Rule, rule_of
from callvault.web.parts import Claim, Hot, Part, Socket

SLASH: Final = "\udc2f"
"""Stands for an encoded slash while a route is looked for: no path that was decoded has it."""


@dataclass(frozen=True, slots=True)
class Found:
    """A route that matched: where it leads, who may come, and what the path told."""

    to: Hot | Socket | ASGIApp
    pattern: str
    rule: Rule
    told: dict[str, Any]
    """What the route adds to the scope: the path's parameters."""


@dataclass(frozen=True, slots=True)
class _Pattern:
    to: Hot | Socket
    rule: Rule
    tail: str
    """How all its paths end: what does not is seen at once."""
    matches: Callable[[str], re.Match[str] | None]


class Routes:
    """The routes of one part. Making it fails when one of them declares no access."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self._hot: dict[tuple[str, int], list[_Pattern]] = {}
        for hot in part.hot:
            self._add(hot.method, hot)
        for socket in part.sockets:
            self._add("WEBSOCKET", socket)
        self._fast = [
            (route, rule_of(route.endpoint), AsyncExitStackMiddleware(route.handle)) for route in fast_routes(part)
        ]

    def _add(self, method: str, to: Hot | Socket) -> None:
        pattern = _Pattern(to, rule_of(to.handler), to.path.rpartition("}")[2], _compiled(to.path).fullmatch)
        self._hot.setdefault((method, to.path.count("/")), []).append(pattern)

    def find(self, method: str, path: str, scope: Scope) -> Found | None:
        for pattern in self._hot.get((method, path.count("/")), ()):
            if path.endswith(pattern.tail) and (match := pattern.matches(path)):
                return Found(pattern.to, pattern.to.path, pattern.rule, {"path_params": _told(path, match.groupdict())})
        for route, rule, run in self._fast:
            verdict, told = route.matches(scope)
            if verdict is Match.FULL:
                return Found(run, route.path, rule, {**told, "path_params": _told(path, told["path_params"])})
        return None

    def methods(self, path: str, scope: Scope) -> list[str]:
        """Those that something answers to on this path."""
        found = {method for (method, _), patterns in self._hot.items() for p in patterns if p.matches(path)}
        for route, _, _ in self._fast:
            if route.matches(scope)[0] is not Match.NONE:
                found |= route.methods or set()
        return sorted(found | ({"HEAD"} if "GET" in found else set()))

    def rules(self) -> Iterator[tuple[str, Rule]]:
        """Every route with its rule, for those who check that none is forgotten."""
        for (method, _), patterns in self._hot.items():
            yield from ((f"{method} {p.to.path}", p.rule) for p in patterns)
        yield from ((f"{','.join(sorted(route.methods or ()))} {route.path}", rule) for route, rule, _ in self._fast)


class Directory:
    """All parts, and which of them a request is for: the longest claim wins, and one with a header before one
    without."""

    def __init__(self, parts: Iterable[Part]) -> None:
        self.routes = [Routes(part) for part in parts]
        claims = [(claim, routes) for routes in self.routes for claim in routes.part.claims]
        claims.sort(key=lambda pair: (-len(pair[0].prefix), pair[0].header is None))
        everywhere = [pair for pair in claims if not pair[0].prefix]
        self._by_first = {"": everywhere}
        for first in {_first(claim.prefix) for claim, _ in claims} - {""}:
            self._by_first[first] = [pair for pair in claims if _first(pair[0].prefix) == first] + everywhere

    def routes_for(self, path: str, headers: Iterable[tuple[bytes, bytes]]) -> Routes:
        for claim, routes in self._by_first.get(_first(path), self._by_first[""]):
            if path.startswith(claim.prefix) and _holds(claim, path, headers):
                return routes
        raise LookupError(path)


def fast_routes(part: Part) -> list[APIRoute]:
    routes = [route for router in part.routers for route in router.routes]
    if strange := [route for route in routes if not isinstance(route, APIRoute)]:
        raise TypeError(f"part {part.name}: only plain routes, in flat routers: {strange[0]!r}")
    return [route for route in routes if isinstance(route, APIRoute)]


def segmented(scope: Scope) -> Scope:
    """With a path whose segments are those that were sent: an encoded slash is a part of its segment, and ends none."""
    raw: bytes = scope.get("raw_path") or b""
    if b"%2f" not in raw.lower():
        return scope
    segments = (unquote(segment).replace("/", SLASH) for segment in raw.decode("latin-1").split("/"))
    return {**scope, "path": "/".join(segments)}


def _told(path: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A path's parameters, as they were sent."""
    if SLASH not in path:
        return dict(parameters)
    return {name: str(value).replace(SLASH, "/") for name, value in parameters.items()}


def parameters(path: str) -> list[str]:
    return re.findall(r"{(\w+)}", path)


def _first(path: str) -> str:
    """The first segment."""
    return path.split("/", 2)[1] if path[:1] == "/" else ""


def _compiled(path: str) -> re.Pattern[str]:
    literal_or_name = re.split(r"{(\w+)}", path)
    pieces = (f"(?P<{piece}>[^/]+)" if n % 2 else re.escape(piece) for n, piece in enumerate(literal_or_name))
    return re.compile("".join(pieces))


def _holds(claim: Claim, path: str, headers: Iterable[tuple[bytes, bytes]]) -> bool:
    end = len(claim.prefix)
    if len(path) > end and claim.prefix and path[end] != "/":
        return False
    return claim.header is None or any(name == claim.header.encode() for name, _ in headers)
