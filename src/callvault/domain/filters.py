"""What lists can be narrowed by: one vocabulary, into which every dialect translates its own."""

from dataclasses import dataclass
from typing import TypeVar

from callvault.domain.call import Call
from callvault.domain.query import Query
from callvault.domain.recording import Recording

T = TypeVar("T")
NEWEST_FIRST = ("-created_ms", "-id")


@dataclass(frozen=True, slots=True)
class Between:
    """Times in Unix milliseconds; a bound that is None does not bind."""

    gt: int | None = None
    ge: int | None = None
    lt: int | None = None
    le: int | None = None

    def narrow(self, query: Query[T], field: str) -> Query[T]:
        for operator, bound in ((">", self.gt), (">=", self.ge), ("<", self.lt), ("<=", self.le)):
            query = query if bound is None else query.where(field, operator, bound)
        return query


EVER = Between()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFilter:
    """None and the empty tuple do not narrow."""

    id: str | None = None
    status: tuple[str, ...] = ()
    direction: tuple[str, ...] = ()
    kind: tuple[str, ...] = ()
    assistant_id: str | None = None
    phone_number_id: str | None = None
    from_number: str | None = None
    to_number: str | None = None
    number: str | None = None
    """Of either side."""
    search: str | None = None
    """Part of a number, or of a name of the call or its assistant, in any case."""
    created: Between = EVER
    updated: Between = EVER
    started: Between = EVER

    def query(self, workspace_id: str, member_id: str) -> Query[Call]:
        """The living calls that meet it and that the member may know of, the newest first."""
        query = _visible(Query(Call), workspace_id, member_id)
        query = _equal(query, self, "id", "assistant_id", "phone_number_id", "from_number", "to_number")
        query = _among(query, self, "status", "direction", "kind")
        query = query.where("from_number|to_number", "=", self.number) if self.number else query
        if self.search:
            query = query.where("from_number|to_number|name|assistant_name", "contains", self.search)
        query = self.started.narrow(self.updated.narrow(query, "updated_ms"), "started_ms")
        return self.created.narrow(query, "created_ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFilter:
    """None and the empty tuple do not narrow."""

    call_id: str | None = None
    status: tuple[str, ...] = ()
    tag: str | None = None
    redacted: bool | None = None
    in_progress: bool | None = None
    created: Between = EVER
    updated: Between = EVER

    def query(self, workspace_id: str, member_id: str) -> Query[Recording]:
        """The living recordings that meet it and that the member may know of, the newest first."""
        query = _visible(Query(Recording), workspace_id, member_id)
        query = _among(_equal(query, self, "call_id", "redacted", "in_progress"), self, "status")
        query = query.where("tags", "has", self.tag) if self.tag else query
        return self.created.narrow(self.updated.narrow(query, "updated_ms"), "created_ms")


def _visible(query: Query[T], workspace_id: str, member_id: str) -> Query[T]:
    query = query.where("workspace_id", "=", workspace_id).where("deleted_ms", "is null")
    return query.where("readers", "null or has", member_id).by(*NEWEST_FIRST)


def _equal(query: Query[T], wanted: object, *fields: str) -> Query[T]:
    for field in fields:
        value = getattr(wanted, field)
        query = query if value is None else query.where(field, "=", value)
    return query


def _among(query: Query[T], wanted: object, *fields: str) -> Query[T]:
    for field in fields:
        values = getattr(wanted, field)
        if values:
            query = query.where(field, "=", values[0]) if len(values) == 1 else query.where(field, "in", values)
    return query
