"""Threads for what never waits for storage: of a storage that hangs, those who read it hold all the others."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
THREADS: Final = ThreadPoolExecutor(8, "aside")


async def aside(work: Callable[P, T], *given: P.args, **more: P.kwargs) -> T:
    """As `asyncio.to_thread`, and prompt however many wait for storage there."""
    return await asyncio.get_running_loop().run_in_executor(THREADS, partial(copy_context().run, work, *given, **more))
