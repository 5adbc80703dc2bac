"""`callvault audit`: what was written down."""

import errno
from pathlib import Path

import click

from callvault.bootstrap import House
from callvault.cli.running import as_json, data, in_house, show, workspace_named
from callvault.domain.access import OPERATOR


@click.group()
def audit() -> None:
    """Read and export the audit.

    Example: callvault audit export --workspace acme --output acme-audit.jsonl
    """


@audit.command()
@click.option("--workspace", required=True, help="Its name or id.")
@click.option("--output", default="-", help="A file instead of the standard output.")
@data
@as_json
def export(workspace: str, output: str, data: Path | None, as_json: bool) -> None:
    """Write every entry of a workspace as a line of JSON, with all that digests are made of.

    The export is itself audited. With --json the count of entries is printed, so --output must be a file then.

    Example: callvault audit export --workspace acme > acme-audit.jsonl
    """
    if as_json and output == "-":
        raise click.UsageError("--json prints a summary: name a file with --output")

    async def work(house: House) -> int:
        services, found, count = house.services, await workspace_named(house, workspace), 0
        services.audit.later(services.audit.entry(OPERATOR, "audit.export", found.id, f"workspace:{found.id}"))
        with click.open_file(output, "wb") as file:
            async for line in services.audit_trail.export(found.id):
                file.write(line)
                count += 1
        return count

    try:
        count = in_house(data, work)
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        raise click.BadParameter(f"{output} cannot be written ({error.strerror})", param_hint="--output") from None
    show({"entries": count}, as_json, [])
