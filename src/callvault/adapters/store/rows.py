"""Entities to rows and back: plain fields as they are, everything else as JSON text."""

import json
import re
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any, Union, get_args, get_origin, get_type_hints

from callvault.domain.errors import Malformed

Row = tuple[Any, ...]
Convert = Callable[[Any], Any]

PLAIN = {bool: "bool", int: "int", float: "float", str: "text", bytes: "bytes"}


@dataclass(frozen=True, slots=True)
class Column:
    """A field as a column. `pack` and `unpack` are None where the value needs no conversion."""

    name: str
    type: str
    """`int`, `float`, `text`, `bytes`, `bool` (kept as an integer) or `json` (kept as text)."""
    nullable: bool
    pack: Convert | None
    unpack: Convert | None


class Mapper:
    """Turns the entities of one class into rows in the order of the fields, and back."""

    def __init__(self, entity: type[Any]) -> None:
        hints = get_type_hints(entity)
        self.entity = entity
        self.columns = tuple(_column(field.name, hints[field.name]) for field in fields(entity))
        self.names = tuple(column.name for column in self.columns)
        self.place = {name: n for n, name in enumerate(self.names)}
        self.packers = {column.name: _to_compare(column.pack) for column in self.columns}
        """What makes of a value to compare a field with what the row holds of it."""
        self._read = attrgetter(*self.names)
        self._packers = [(n, column.pack) for n, column in enumerate(self.columns) if column.pack]
        self.entity_of: Callable[[Row], Any] = _filler(entity, self.columns)

    def row(self, entity: Any) -> Row:
        values = list(self._read(entity))
        for n, pack in self._packers:
            if values[n] is not None:
                values[n] = pack(values[n])
        return tuple(values)

    def column(self, name: str) -> Column:
        return self.columns[self.place[name]]

    def packed(self, name: str, value: Any) -> Any:
        return self.packers[name](value)

    def key(self, entity: Any, names: tuple[str, ...]) -> Row:
        return tuple(self.packed(name, getattr(entity, name)) for name in names)


def _filler(entity: type[Any], columns: Sequence[Column]) -> Callable[[Row], Any]:
    """What makes the entity of a row. It is filled while it is of a class with the same slots that lets them be, and by
    code made for its fields, as dataclasses' own methods are: its constructor would take many times as long."""
    lets = {"__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
    fillable = type(entity.__name__, entity.__bases__, {"__slots__": entity.__slots__, **lets})
    unpack = {column.name: column.unpack for column in columns if column.unpack}
    null = {column.name: f"if one.{column.name} is not None: " for column in columns if column.nullable}
    lines = [
        "def filled(row):",
        "    one = new(fillable)",
        f"    ({' '.join(f'one.{column.name},' for column in columns)}) = row",
        *(f"    {null.get(name, '')}one.{name} = unpack_{name}(one.{name})" for name in unpack),
        "    one.__class__ = entity",
        "    return one",
    ]
    names: dict[str, Any] = {"new": object.__new__, "fillable": fillable, "entity": entity}
    names.update((f"unpack_{name}", made) for name, made in unpack.items())
    exec("\n".join(lines), names)  # noqa: S102 - of the names of our own fields
    filled: Callable[[Row], Any] = names["filled"]
    return filled


def _to_compare(pack: Convert | None) -> Convert:
    """None is nowhere to be found, and no fault."""
    return (lambda value: None if value is None else pack(value)) if pack else lambda value: value


_MAPPERS: dict[type[Any], Mapper] = {}


def mapper(entity: type[Any]) -> Mapper:
    if entity not in _MAPPERS:
        _MAPPERS[entity] = Mapper(entity)
    return _MAPPERS[entity]


def text(value: str) -> str:
    """The text, if every database can hold it."""
    if "\0" in value or not (value.isascii() or _encodable(value)):
        raise _no_text()
    return value


def _no_text() -> Malformed:
    return Malformed(what="text", why="it holds a NUL character or half a surrogate pair")


def _encodable(value: str) -> bool:
    try:
        return bool(value.encode())
    except UnicodeEncodeError:
        return False


def _column(name: str, hint: Any) -> Column:
    bare, nullable = _without_none(hint)
    if bare in PLAIN:
        return Column(name, PLAIN[bare], nullable, CHECKED.get(bare), bool if bare is bool else None)
    to_json, of_json = _json(bare)
    unpack = _then(_load, of_json)
    if not _changeable(bare):
        unpack = lru_cache(1024)(unpack)
    return Column(name, "json", nullable, _then(to_json, _dump), unpack)


def _changeable(hint: Any) -> bool:
    """Whether somebody who got a value of the type could change it, so that it must be his own."""
    if is_dataclass(hint):
        return any(map(_changeable, get_type_hints(hint).values()))
    if get_origin(hint) in (tuple, frozenset, Union, types.UnionType):
        return any(map(_changeable, get_args(hint)))
    return hint not in (*PLAIN, type(None), ...)


CHECKED: dict[type[Any], Convert] = {bool: int, str: text}


def _without_none(hint: Any) -> tuple[Any, bool]:
    if get_origin(hint) not in (Union, types.UnionType) or type(None) not in get_args(hint):
        return hint, False
    rest = [part for part in get_args(hint) if part is not type(None)]
    return (rest[0] if len(rest) == 1 else object), True


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
"""As JSON writes it, and no backslash that only stands before such letters."""


def _dump(value: Any) -> str:
    try:
        told = text(_encode(value))
    except ValueError:
        raise Malformed(what="JSON", why="it holds a number that is none") from None
    if "\\u0000" in told and _NUL.search(told):
        raise _no_text()
    return told


EMPTY: dict[str, type[Any]] = {"{}": dict, "[]": list}


def _load(told: str) -> Any:
    """Most lists and objects are empty."""
    empty = EMPTY.get(told)
    return empty() if empty else json.loads(told)


def _then(first: Convert | None, second: Convert | None) -> Convert:
    if first and second:
        return lambda value: second(first(value))
    return first or second or (lambda value: value)


def _json(hint: Any) -> tuple[Convert | None, Convert | None]:
    """How a value of the type becomes JSON and comes back; None where JSON has it as it is."""
    bare, nullable = _without_none(hint)
    if nullable:
        return _unless_none(*_json(bare))
    if is_dataclass(bare):
        return _json_of_dataclass(bare)
    origin, arguments = get_origin(bare), get_args(bare)
    if origin in (tuple, list, frozenset):
        return _json_of_many(origin, arguments[0])
    if origin is dict:
        return _json_of_dict(arguments[1])
    return None, None


def _unless_none(to_json: Convert | None, of_json: Convert | None) -> tuple[Convert | None, Convert | None]:
    return (
        to_json and (lambda value: None if value is None else to_json(value)),
        of_json and (lambda value: None if value is None else of_json(value)),
    )


def _json_of_dataclass(entity: Any) -> tuple[Convert, Convert]:
    hints = get_type_hints(entity)
    parts = [(field.name, *_json(hints[field.name])) for field in fields(entity)]

    def to_json(value: Any) -> Any:
        return {name: pack(getattr(value, name)) if pack else getattr(value, name) for name, pack, _ in parts}

    def of_json(value: Any) -> Any:
        given = [(name, unpack) for name, _, unpack in parts if name in value]
        return entity(**{name: unpack(value[name]) if unpack else value[name] for name, unpack in given})

    return to_json, of_json


def _json_of_many(collection: type[Any], item: Any) -> tuple[Convert, Convert]:
    to_json, of_json = _json(item)
    ordered: Convert = sorted if collection is frozenset else list

    def pack(value: Any) -> Any:
        return ordered(to_json(part) for part in value) if to_json else ordered(value)

    def unpack(value: Any) -> Any:
        return collection(of_json(part) for part in value) if of_json else collection(value)

    return pack, unpack


def _json_of_dict(item: Any) -> tuple[Convert | None, Convert | None]:
    to_json, of_json = _json(item)
    return (
        to_json and (lambda value: {name: to_json(part) for name, part in value.items()}),
        of_json and (lambda value: {name: of_json(part) for name, part in value.items()}),
    )
