"""What the commands share: their options, a house to work in, and results for people and for programs."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from callvault.bootstrap import House, opened
from callvault.domain.access import OPERATOR
from callvault.domain.errors import Missing
from callvault.domain.workspace import Workspace
from callvault.settings import Settings, load

T = TypeVar("T")
SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document, for programs.")
data = click.option(
    "--data",
    type=click.Path(file_okay=False, readable=False, path_type=Path),
    help="The data folder. [default: CALLVAULT_DATA, else ./callvault-data]",
)


class Duration(click.ParamType[int]):
    """A time such as 90d, 12h or 30m, as seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        match = re.fullmatch(r"([1-9][0-9]{0,5})([smhdw])", str(value))
        if match is None:
            self.fail(f"'{value}' is no time such as 90d, 12h or 30m", param, ctx)
        return int(match[1]) * SECONDS[match[2]]


def in_house(folder: Path | None, work: Callable[[House], Awaitable[T]], *, fresh: bool = False) -> T:
    """Does the work in a house that is opened for it, beside a server that may be running. `fresh` makes one where
    there is none."""
    return asyncio.run(_in_house(load(data=folder), work, fresh))


async def _in_house(settings: Settings, work: Callable[[House], Awaitable[T]], fresh: bool) -> T:
    async with opened(settings, fresh=fresh) as house:
        return await work(house)


async def workspace_named(house: House, name: str) -> Workspace:
    """By its name or its id."""
    workspaces = house.services.workspaces
    found = await workspaces.named(OPERATOR, name)
    if found is None:
        stored = await house.services.store.get(Workspace, name)
        if stored is None or stored.deleted_ms is not None:
            raise Missing(what=f"workspace as '{name}': see 'callvault workspaces list'")
        found = stored
    return found


def show(value: Any, as_json: bool, lines: Iterable[str]) -> None:
    if as_json:
        click.echo(json.dumps(value, ensure_ascii=False))
        return
    for line in lines:
        click.echo(line)


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> list[str]:
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
