"""`callvault migrate`: the database's schema."""

from pathlib import Path

import click

from callvault.bootstrap import migrate as bring_up
from callvault.cli.running import as_json, data, show
from callvault.settings import load


@click.command()
@data
@as_json
def migrate(data: Path | None, as_json: bool) -> None:
    """Bring the database up to this program's schema: forward only, all of it or nothing.

    'callvault serve' does it too; run it by itself before new programs are rolled out one by one.

    Example: CALLVAULT_DATABASE=postgresql://vault@db/vault callvault migrate
    """
    revision = bring_up(load(data=data))
    show({"revision": revision}, as_json, [f"the database is at revision {revision}"])
