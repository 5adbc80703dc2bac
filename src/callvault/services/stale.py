"""Read, decide, commit, and once more from the reading when somebody else was quicker."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from callvault.domain.errors import StaleWrite

P = ParamSpec("P")
T = TypeVar("T")
ATTEMPTS = 20


def again_when_stale(method: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """The method reads what it changes; its parameters say what to do, never what was read."""

    @wraps(method)
    async def attempted(*args: P.args, **kwargs: P.kwargs) -> T:
        for _ in range(ATTEMPTS - 1):
            try:
                return await method(*args, **kwargs)
            except StaleWrite:
                continue
        return await method(*args, **kwargs)

    return attempted
