"""What is asked of the store, as a value: which entities, in which order, from where, how many."""

from collections.abc import Iterable
from typing import Any, Final, Generic, NamedTuple, TypeVar

T = TypeVar("T")

OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "in", "contains", "has", "null or has", "is null", "is not null")


class Term(NamedTuple):
    """One condition. `=` and `!=` take None as a value like others; no range has it. `contains`: the text, in any case,
    is part of the field; `has`: the JSON list has the value; `null or has`: there is no list, or it has."""

    field: str
    """Or several with `|` between: one of them must meet it."""
    operator: str
    value: Any = None

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(self.field.split("|"))


GIVEN: Final = object()
"""As a term's value: it comes when the query is asked. So one that is asked all the time is understood once."""


class Query(NamedTuple, Generic[T]):
    """`Query(Recording).where("workspace_id", "=", w).by("-created_ms", "-id").starting(after, limit=50)`."""

    kind: type[T]
    terms: tuple[Term, ...] = ()
    order: tuple[str, ...] = ()
    """Field names, a leading `-` for descending; the last must make the order total. None stands before everything."""
    after: tuple[Any, ...] | None = None
    """The ordering fields of the last entity of the page before."""
    limit: int | None = None
    offset: int = 0

    def where(self, field: str, operator: str, value: Any = None) -> "Query[T]":
        if operator not in OPERATORS:
            raise ValueError(operator)
        return self._replace(terms=(*self.terms, Term(field, operator, value)))

    def by(self, *order: str) -> "Query[T]":
        return self._replace(order=order)

    def page(self, limit: int, after: tuple[Any, ...] | None = None, offset: int = 0) -> "Query[T]":
        return self._replace(limit=limit, after=after, offset=offset)

    def filled(self, given: Iterable[Any]) -> "Query[T]":
        """The same with what is given in its place."""
        values = iter(given)
        terms = (term._replace(value=next(values)) if term.value is GIVEN else term for term in self.terms)
        return self._replace(terms=tuple(terms))

    def cursor(self, entity: T) -> tuple[Any, ...]:
        """What `after` must be to go on behind this entity."""
        return tuple(getattr(entity, name.removeprefix("-")) for name in self.order)
