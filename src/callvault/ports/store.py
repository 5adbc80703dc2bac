"""The store: entities of the domain, kept durably, changed in units of work."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from callvault.domain.query import Query
from callvault.domain.unit import Unit

T = TypeVar("T")


class Store(Protocol):
    """One data layer over one database; every implementation passes the same contract suite.

    Entities are the frozen dataclasses of the domain. What `commit` was given is durable when it returns and is
    seen by every later read in this process and, on a shared database, in every other. A read sees whole units
    only. When the database does not answer, every method raises `StoreUnavailable` and nothing has happened
    (after a lost connection during `commit`: it may have happened, so units are made to be repeatable). What cannot
    be read any more is `StoreDamaged`, whoever meets it; the rest goes on.
    """

    async def get(self, kind: type[T], *key: Any) -> T | None:
        """The entity under its primary key (in the order of the schema), or None."""
        ...

    async def find(self, query: Query[T], *given: Any) -> Sequence[T]:
        """The entities that meet all terms, in order, from behind `after`, at most `limit`. What is given, none of it
        None, are the values of the terms that say `GIVEN`, in their order.

        `after` is a keyset cursor: the page begins behind the entity whose ordering fields it holds, however many
        come before, so that a far page costs what the first one costs.
        """
        ...

    async def count(self, query: Query[T]) -> int:
        """How many entities meet the terms; order, after and limit do not matter."""
        ...

    async def commit(self, unit: Unit) -> None:
        """All of the unit, durably, or none of it.

        Raises `AlreadyThere`, `StaleWrite` or `Missing` as `Unit` says. Events get their positions, in the order
        of commits, so that a reader who goes on behind the last position it saw misses none. Audit entries are
        numbered and chained in their workspace. Jobs become visible to the workers. Units of many callers may
        share one transaction of the database; each still holds or fails alone.
        """
        ...

    async def check(self) -> None:
        """Returns when the database answers, its schema is the program's and it takes changes, as far as this process
        knows; else raises what is wrong."""
        ...

    async def close(self) -> None: ...
