"""The program: its commands by name, each imported only when it is called for."""

import importlib
import json
import sys
from typing import Any, Final, NoReturn

import click

from callvault.domain.errors import CallerFault, Fault, OperatorFault, PassingFault

COMMANDS: Final = {
    "serve": ("callvault.cli.serve:serve", "Serve the APIs and pages, and do the work in the background."),
    "worker": ("callvault.cli.serve:worker", "Do the work in the background alone, beside servers."),
    "demo": ("callvault.cli.demo:demo", "Serve a vault with sample calls, to try things out."),
    "keys": ("callvault.cli.keys:keys", "Make, list and revoke API keys."),
    "workspaces": ("callvault.cli.workspaces:workspaces", "Make, list and set workspaces."),
    "migrate": ("callvault.cli.database:migrate", "Bring the database up to this program's schema."),
    "doctor": ("callvault.cli.doctor:doctor", "Check all that callvault stands on, and say who must mend what."),
    "verify": ("callvault.cli.verify:verify", "Prove the audit chain, every object, and database against storage."),
    "audit": ("callvault.cli.audit:audit", "Read and export the audit."),
    "rotate-key": ("callvault.cli.rotate:rotate_key", "Exchange a workspace's encryption key."),
    "rotate-master-key": ("callvault.cli.rotate:rotate_master_key", "Exchange the master key."),
}
EXIT: Final = {CallerFault: 2, OperatorFault: 3, PassingFault: 4}
"""1 is for checks that found something wrong; click, too, says 2 of what was called wrongly."""


class Program(click.Group):
    """Knows what its commands are for without importing them, so that `--help` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), name)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS:
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, 1)
            hint = f"did you mean '{near[0]}'?" if near else "see 'callvault --help'"
            raise click.UsageError(f"there is no command '{args[0]}': {hint}", ctx)
        return super().resolve_command(ctx, args)


def _version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        click.echo(version("callvault"))
        ctx.exit()


@click.command(
    cls=Program,
    epilog="Settings are environment variables named CALLVAULT_…; see docs/reference/settings.md.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Tell the version.")
def program() -> None:
    """The open, self-hosted vault for call recordings.

    Example: callvault serve --data ./callvault-data
    """


def main(args: list[str] | None = None) -> NoReturn:
    args = sys.argv[1:] if args is None else args
    try:
        program.main(args, "callvault")
    except Fault as fault:
        sys.exit(report(fault, as_json="--json" in args))
    sys.exit(0)


def report(fault: Fault, as_json: bool) -> int:
    """Says on stderr what went wrong; the exit status says who can mend it."""
    told: dict[str, Any] = {"error": {"code": fault.code, "message": str(fault)}}
    click.echo(json.dumps(told) if as_json else f"callvault: {fault}", err=True)
    return next(code for family, code in EXIT.items() if isinstance(fault, family))
