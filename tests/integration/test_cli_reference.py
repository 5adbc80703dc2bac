"""The reference of the commands is what the commands say of themselves."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from callvault.cli.program import COMMANDS, program

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "cli.md"


def commands() -> Iterator[tuple[str, click.Command]]:
    for name in COMMANDS:
        command = program.get_command(None, name)  # type: ignore[arg-type]
        assert command
        yield f"callvault {name}", command
        for part, inner in getattr(command, "commands", {}).items():
            yield f"callvault {name} {part}", inner


def helped(path: str, command: click.Command) -> str:
    context = click.Context(command, info_name=path, max_content_width=100, terminal_width=100)
    return f"## {path}\n\n```text\n{command.get_help(context)}\n```\n"


def test_the_page_tells_every_command_as_its_help_does() -> None:
    # In a process of its own: libraries of the tests change how click writes its help.
    told = subprocess.run([sys.executable, "-m", __name__], cwd=ROOT, capture_output=True, check=True, text=True)
    assert told.stdout == PAGE.read_text(), f"python -m {__name__} > {PAGE.relative_to(ROOT)} writes the page anew"


INTRODUCTION = """# The program

`.venv/bin/callvault` is one program with a command for everything. Every command takes `--json` and then prints one
JSON document on the standard output; what goes wrong is told on the standard error, with `--json` as
`{"error": {"code": …, "message": …}}` with the codes of [errors](errors.md). Commands work beside a running server;
those that only look make no vault where there is none.

| exit status | means |
| --- | --- |
| 0 | it is done, or all is well |
| 1 | a check found something wrong: `doctor`, `verify`, `rotate-key` |
| 2 | the command was called wrongly, or asked for what cannot be |
| 3 | the operator must mend something; the message says what |
| 4 | it will pass: the database or the storage does not answer, or a disk is full |
"""

if __name__ == "__main__":
    print("\n".join([INTRODUCTION, *(helped(path, command) for path, command in commands())]), end="")
