"""The web application: one front for every part, written as plain ASGI.

How a part (a dialect, our own API, the console) joins
------------------------------------------------------
A part is a package `web/native`, `web/ui` or `web/dialects/<name>` whose `__init__` has a `PART: Part`
(`web/parts.py`); the front finds it there, nothing is registered anywhere else.

    router = APIRouter()

    @router.get("/call/{id}")
    @needs(Action.READ_CALL)                        # web/auth.py: needs, keyed or public, below the route
    async def call(id: str, caller: Asking, services: House) -> CallSchema: ...

    @needs(Action.LISTEN)
    async def mono(request: Request) -> Answer:     # a hot route: Starlette's Request in, `Answer` out
        visit = visit_of(request)                   # visit.caller, .services, .options, .base_url, .headers
        return redirect(await visit.services...)    # web/responses.py: json_answer, redirect, empty, threaded ...

    PART = Part(
        name="vapi", title="Vapi", claims=(Claim("/call"),), routers=(router,),
        hot=(Hot("GET", "/call/{id}/mono-recording", mono, docs={"summary": ...}),),
        credential=Bearer(), render=errors.render,
    )

- *Which part*: the longest claimed prefix, whole segments; `Claim("/v1/calls", header="api-token")` only where the
  request has that header. All below a claim is the part's, its 404s, 405s, 401s and 500s included.
- *Routes*: hot ones first, then FastAPI's in order; HEAD goes where GET goes. Routers are flat. Websockets are
  `Socket(path, handler)`, the handler gets Starlette's `WebSocket`.
- *Access*: a handler without a declaration stops the program at its start. `needs(Action…)` authenticates and asks
  whether the key may do one of them at all; the service asks about the very thing (`services.access.require`).
  `keyed(reason)` wants any valid key, `public(reason)` none: then `caller.principal` is None.
  `body=` is the most bytes of a body (else the operator's limit); `body=None` is for handlers that stream it.
- *Caller*: `caller: Asking` in FastAPI's routes, `visit_of(request).caller` in hot ones and websockets. For keys that
  come elsewhere (a websocket's first message): `await services.access.authenticate(key, ...)`.
- *Errors*: raise a `Fault`. `Part.render(fault, status, request_id) -> Answer` gives it the part's form, RFC 9457
  problem details by default (`web/errors.py`, where the statuses are). What FastAPI finds wrong with a request comes
  as `Invalid`, with `errors` (loc, msg, type); an unknown path as `Missing`, a wrong method as `MethodNotAllowed`.
- *Sound*: `ranged(request, content, media_type, headers)` of `web/ranges.py` answers Range, If-Range, If-Match and
  If-None-Match of anything with `length`, `etag` and `stream(start, end)`; see `web/sound.py`.
- *Webhooks*: `Part.messages(services, public_url) -> MessageForm` lets endpoints ask for the dialect's messages.
- *Documentation*: `/openapi/<name>.json` is made of the FastAPI routes and the hot ones' `docs`.
"""

import asyncio
import importlib
import logging
import pkgutil
from collections.abc import Sequence
from typing import Final, cast

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from callvault.domain.access import Caller
from callvault.domain.errors import (
    CallerFault,
    Fault,
    Missing,
    NotAuthenticated,
    OperatorFault,
    PassingFault,
    ShuttingDown,
)
from callvault.services.house import Services
from callvault.web import dialects, health, openapi
from callvault.web.auth import AS_SET, Rule
from callvault.web.edge import Edge, Enough, Outgoing, request_id
from callvault.web.errors import HttpProblem, Invalid, MethodNotAllowed, Unexpected, headers_of, status_of
from callvault.web.limits import RateLimit, limited
from callvault.web.logs import REQUEST, REQUESTS, redact_path
from callvault.web.metrics import Metrics
from callvault.web.options import Options
from callvault.web.parts import Hot, Part, Socket
from callvault.web.responses import Answer
from callvault.web.routing import Directory, Routes, segmented
from callvault.web.visit import VISIT, Visit

log = logging.getLogger("callvault.web")
CLIENT_GONE: Final = 499
SOCKET_CODES: Final[dict[type[Fault], int]] = {CallerFault: 1008, PassingFault: 1013, OperatorFault: 1011}


def create_app(services: Services, options: Options | None = None, parts: Sequence[Part] | None = None) -> "Front":
    options, parts = options or Options(), all_parts() if parts is None else parts
    learn_messages(services, parts, options.public_url or "")
    return Front(services, options, parts)


def learn_messages(services: Services, parts: Sequence[Part], public_url: str) -> None:
    """From now on webhooks can be told in the words of these parts."""
    for part in parts:
        if part.messages:
            services.webhooks.forms.learn(part.messages(services, public_url))


def all_parts() -> list[Part]:
    folders = ["callvault.web.native", "callvault.web.ui"]
    folders += [f"{dialects.__name__}.{module.name}" for module in pkgutil.iter_modules(dialects.__path__)]
    found = [getattr(importlib.import_module(folder), "PART", None) for folder in folders]
    return [part for part in found if isinstance(part, Part)]


class Front:
    """Finds the part and the route, lets in who may come, and sees to it that every request gets its answer."""

    def __init__(self, services: Services, options: Options, parts: Sequence[Part]) -> None:
        self.services, self.options = services, options
        self.metrics = Metrics(services.gauges)
        own = [health.part(self.metrics), openapi.part(parts, options.version)]
        self.directory = Directory([*own, *parts])
        self._edge = Edge(options)
        self._by_key = RateLimit("key", options.requests_per_minute, services.clock)
        self._by_address = RateLimit("address", options.requests_per_minute, services.clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._socket(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = self.services.clock.monotonic()
        routes = self.directory.routes_for(scope["path"], scope["headers"])
        visit = self._visit(scope, routes.part)
        visit.head = scope["method"] == "HEAD"
        out = Outgoing(send, self._edge.headers(visit), visit, visit.head)
        try:
            await self._answer(scope, receive, out, routes, visit)
        except (ClientDisconnect, Enough):
            out.status = out.status or CLIENT_GONE
        except asyncio.CancelledError:
            if out.status or not self.options.stopping.is_set():
                raise
            # The server has waited long enough for what this waits for.
            await self._fail(ShuttingDown(), scope, receive, out, visit)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
            await self._fail(error, scope, receive, out, visit)
        finally:
            self._note(scope, visit, out, self.services.clock.monotonic() - began)

    async def _answer(self, scope: Scope, receive: Receive, out: Outgoing, routes: Routes, visit: Visit) -> None:
        if answer := self._edge.preflight(visit):
            return await answer(scope, receive, out)
        inner = {**scope, "method": "GET"} if visit.head else scope
        asked = segmented(inner)
        found = routes.find(asked["method"], asked["path"], asked)
        if found is None:
            return await _elsewhere(routes, asked)(scope, receive, out)
        visit.route = found.pattern
        await self._admit(visit, found.rule)
        inner.update(found.told)
        body = self._body(visit, found.rule, receive)
        if isinstance(found.to, Hot):
            answer = await found.to.handler(Request(inner, body))
            return await answer(scope, body, out)
        return await cast(ASGIApp, found.to)(inner, body, out)

    def _body(self, visit: Visit, rule: Rule, receive: Receive) -> Receive:
        length = visit.asked.get(b"content-length")
        if length is None and b"transfer-encoding" not in visit.asked:
            return receive
        most = self.options.body_max if rule.body == AS_SET else rule.body
        return limited(receive, length, most)

    async def _admit(self, visit: Visit, rule: Rule) -> None:
        caller = visit.caller
        if not rule.keyed:
            visit.headers = self._by_address.take(caller.address or "")
            visit.caller = Caller(None, caller.address, caller.request_id, "public")
            return
        presented = visit.part.credential.presented(visit.asked)
        try:
            principal = await self.services.access.authenticate(presented, caller.address, caller.request_id)
        except NotAuthenticated:
            visit.headers = self._by_address.take(caller.address or "")
            raise
        visit.caller = Caller(principal, caller.address, caller.request_id)
        visit.headers = self._by_key.take(principal.key_id)
        if rule.actions:
            self.services.access.permit(visit.caller, *rule.actions)

    async def _fail(self, error: Exception, scope: Scope, receive: Receive, out: Outgoing, visit: Visit) -> None:
        fault = _fault(error)
        if out.status:
            # The server closes a connection whose answer was begun and not finished: the client sees the loss.
            return log.warning("an answer was cut off: %s", fault, extra={"route": visit.route, "code": fault.code})
        status = status_of(fault)
        if status >= 500 and not isinstance(fault, Unexpected):
            log.warning("%s", fault, extra={"route": visit.route, "code": fault.code})
        answer = visit.part.render(fault.outside(), status, visit.request_id)
        given = {name for name, _ in answer.headers}
        answer.headers = answer.headers + [header for header in headers_of(fault, status) if header[0] not in given]
        return await answer(scope, receive, out)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        routes = self.directory.routes_for(scope["path"], scope["headers"])
        visit = self._visit(scope, routes.part)
        socket = WebSocket(scope, receive, send)
        self.metrics.sockets.inc()
        try:
            found = routes.find("WEBSOCKET", scope["path"], scope)
            if found is None or not isinstance(found.to, Socket):
                raise Missing(what="address")
            visit.route = found.pattern
            await self._admit(visit, found.rule)
            scope.update(found.told)
            await found.to.handler(socket)
        except WebSocketDisconnect:
            pass
        except Exception as error:  # noqa: BLE001 - whatever it is, the client is told
            await self._hang_up(socket, error, visit)
        finally:
            self.metrics.sockets.dec()

    async def _hang_up(self, socket: WebSocket, error: Exception, visit: Visit) -> None:
        """With the error's answer before the socket was accepted, with a code and the error's name after."""
        if socket.application_state is WebSocketState.CONNECTING:

            async def refuse(message: Message) -> None:
                await socket.send({**message, "type": f"websocket.{message['type']}"})

            out = Outgoing(refuse, self._edge.headers(visit), visit, False)
            await self._fail(error, {**socket.scope, "method": "GET"}, socket.receive, out, visit)
        elif socket.application_state is WebSocketState.CONNECTED:
            fault = _fault(error)
            family = next(kind for kind in SOCKET_CODES if isinstance(fault, kind))
            await socket.close(SOCKET_CODES[family], fault.code)

    def _visit(self, scope: Scope, part: Part) -> Visit:
        client, asked = scope.get("client"), dict(scope["headers"])
        asked_as = request_id(asked) or f"req_{self.services.ids.secret(8).hex()}"
        REQUEST.set(asked_as)
        caller = Caller(None, client[0] if client else None, asked_as)
        visit = scope[VISIT] = Visit(self.services, self.options, part, caller, scope, asked)
        return visit

    def _note(self, scope: Scope, visit: Visit, out: Outgoing, seconds: float) -> None:
        self.metrics.observe(visit, scope["method"], out, seconds)
        if self.options.access_log and visit.route not in health.QUIET:
            REQUESTS.note(
                f"{scope['method']} {redact_path(scope['path'])} {out.status}",
                {
                    "requestId": visit.request_id,
                    "route": visit.route,
                    "part": visit.part.name,
                    "ms": round(seconds * 1000, 2),
                    "bytes": out.sent,
                    "actor": visit.caller.actor,
                    "address": visit.caller.address,
                },
            )


def _elsewhere(routes: Routes, scope: Scope) -> Answer:
    """What is said of a path that has no route for the method."""
    allowed = ", ".join(routes.methods(scope["path"], scope))
    if not allowed:
        raise Missing(what="address")
    if scope["method"] != "OPTIONS":
        raise MethodNotAllowed(allowed=allowed)
    return Answer(204, [(b"allow", allowed.encode())])


def _fault(error: Exception) -> Fault:
    if isinstance(error, Fault):
        return error
    if isinstance(error, RequestValidationError):
        return Invalid(errors=[{name: told[name] for name in ("loc", "msg", "type")} for told in error.errors()])
    if isinstance(error, HTTPException):
        if isinstance(error.__cause__, Fault):
            return error.__cause__  # met by FastAPI as it read the body
        return HttpProblem(status=error.status_code, why=str(error.detail))
    log.error("%s", type(error).__name__, exc_info=error)
    return Unexpected()
