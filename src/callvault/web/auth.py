"""What a route needs of who asks: declared at each handler, so that one without a declaration is refused.

    @router.get("/call/{id}")
    @needs(Action.READ_CALL)
    async def call(id: str, caller: Asking, services: House) -> Call: ...

`needs` lets in the keys that may do one of the actions in their own workspace at all; whether they may do it to this
very thing is asked by the service, with `Access.require`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

from fastapi import Depends
from starlette.requests import HTTPConnection

from callvault.domain.access import Action, Caller
from callvault.services.house import Services
from callvault.web.visit import Visit, visit_of

F = TypeVar("F", bound=Callable[..., Any])
RULE: Final = "__callvault_rule__"
AS_SET: Final = -1
"""A body of as many bytes as the operator lets requests have."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may come in: a key that may do one of `actions`, any key (`keyed`), or anybody."""

    actions: tuple[Action, ...] = ()
    keyed: bool = True
    reason: str = ""
    """Why no action is asked for here."""
    body: int | None = AS_SET
    """The most bytes of a body; None for a body of any length, which the handler must stream."""


def needs(*actions: Action, body: int | None = AS_SET) -> Callable[[F], F]:
    if not actions:
        raise TypeError("name an action, or use `keyed` or `public` with a reason")
    return _declare(Rule(actions, body=body))


def keyed(reason: str, *, body: int | None = AS_SET) -> Callable[[F], F]:
    """Any valid key; the handler must ask `Access` itself, once it knows what is asked."""
    return _declare(Rule(reason=reason, body=body))


def public(reason: str, *, body: int | None = AS_SET) -> Callable[[F], F]:
    """Anybody; a key that is sent along is not looked at."""
    return _declare(Rule(keyed=False, reason=reason, body=body))


def rule_of(handler: Callable[..., Any]) -> Rule:
    rule = getattr(handler, RULE, None)
    if not isinstance(rule, Rule):
        raise TypeError(f"{handler.__module__}.{handler.__qualname__} declares no access: use needs, keyed or public")
    return rule


def _declare(rule: Rule) -> Callable[[F], F]:
    def mark(handler: F) -> F:
        setattr(handler, RULE, rule)
        return handler

    return mark


async def _visit(connection: HTTPConnection) -> Visit:
    """Awaits nothing: FastAPI hands what is no coroutine to a thread, at many times the price."""
    return visit_of(connection)


async def _caller(connection: HTTPConnection) -> Caller:
    return visit_of(connection).caller


async def _services(connection: HTTPConnection) -> Services:
    return visit_of(connection).services


Asking = Annotated[Caller, Depends(_caller)]
House = Annotated[Services, Depends(_services)]
Visiting = Annotated[Visit, Depends(_visit)]
