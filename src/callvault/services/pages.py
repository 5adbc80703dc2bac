"""Pages of lists: by cursor for those who read on, by number for those who must."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from callvault.domain.query import Query
from callvault.ports.store import Store

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    items: Sequence[T]
    cursor: tuple[Any, ...] | None
    """Where the next page begins; None at the end."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which page of a list is meant."""

    limit: int = 50
    after: tuple[Any, ...] | None = None
    offset: int = 0


async def page_of(store: Store, query: Query[T], place: Place) -> Page[T]:
    """The page; one more than asked is read, to know whether the list goes on."""
    found = await store.find(query.page(place.limit + 1, place.after, place.offset))
    items = found[: place.limit]
    more = len(found) > len(items) and items
    return Page(items, query.cursor(items[-1]) if more else None)
