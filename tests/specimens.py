"""An entity of any class, with a value in every field that is not its default and differs by number."""

import types
from dataclasses import fields, is_dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

JSON = {"nested": [1, 2.5, None, True, "é“\n"], "empty": {}, "text": 'a "quoted" \\ word'}


def specimen(entity: type[Any], n: int = 1, **given: Any) -> Any:
    hints = get_type_hints(entity)
    return entity(**{f.name: value_of(hints[f.name], f.name, n) for f in fields(entity)} | given)


def value_of(hint: Any, name: str, n: int) -> Any:
    plain = {str: f"{name}-{n}", int: n + 7, float: n + 0.5, bool: True, bytes: bytes([n % 256, 0, 255])}
    if hint in plain:
        return plain[hint]
    if is_dataclass(hint):
        return specimen(hint, n)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType) and len(arguments) == 2 and type(None) in arguments:
        return value_of(next(part for part in arguments if part is not type(None)), name, n)
    if origin in (tuple, list, frozenset):
        return origin(value_of(arguments[0], name, n + k) for k in range(2))
    if origin is dict:
        return {f"key-{n}": value_of(arguments[1], name, n), "é": value_of(arguments[1], name, n + 1)}
    return JSON
