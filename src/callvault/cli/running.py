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
LONGEST_SECONDS: Final = 100 * 366 * 86_400
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
        seconds = int(match[1]) * SECONDS[match[2]] if match else 0
        if not 0 < seconds <= LONGEST_SECONDS:
            self.fail(f"'{value}' is no time such as 90d, 12h or 30m, of a hundred years at most", param, ctx)
        return seconds


def in_house(folder: Path | None, work: Callable[[House], Awaitable[T]], *, fresh: bool = False) -> T:
    """Does the work in a house that is opened for it, beside a server that may be running. `fresh` makes one where
    there is none."""
    return asyncio.run(_in_house(load(data=folder), work, fresh))


async def _in_house(settings: Settings, work: Callable[[House], Awaitable[T]], fresh: bool) -> T:
    async with opened(settings, fresh=fresh) as house:
        return await work(house)


async def workspace_named(house: House, name: str) -> Workspace:
    found = await find_workspace(house, name)
    if found is None:
        raise Missing(what=f"workspace as '{name}': see 'callvault workspaces list'")
    return found


async def find_workspace(house: House, name: str) -> Workspace | None:
    """By its name or its id."""
    found = await house.services.workspaces.named(OPERATOR, name) or await house.services.store.get(Workspace, name)
    return found if found and found.deleted_ms is None else None


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
