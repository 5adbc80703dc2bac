"""The documentation names only what is there: pages, commands with their options, addresses and their parameters."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from callvault.cli.program import COMMANDS, program
from callvault.web.app import all_parts
from callvault.web.openapi import document
from callvault.web.routing import fast_routes

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NATIVE = "/api/v1"
NO_COMMANDS = {"data key", "workspace key", "master key id"}
"""Labels that keys are derived under."""
TO_FILL_IN = re.compile(r"…|\{\w+\}|\$\{?\w+\}?|<[^>]+>")
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@each_page
def test_a_page_links_only_to_what_is_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    local = [link.partition("#")[0] for link in links if not re.match(r"[a-z]+:", link)]
    assert [link for link in local if link and not (page.parent / link).exists()] == []


@each_page
def test_a_page_names_only_commands_that_are_there_with_options_that_they_take(page: Path) -> None:
    unknown = {line: why for line in _command_lines(page) if (why := _unknown_in(line.split()))}
    assert unknown == {}


@each_page
def test_a_page_names_only_addresses_of_the_native_api_that_answer_with_parameters_that_they_take(page: Path) -> None:
    named = re.findall(r"(?:(?<=[\s\"'`/0-9])|^)((?:/api/v1|\$V)/[^\s`\"')|\\]+)", page.read_text(), re.MULTILINE)
    unknown = {path for path in named if not _answers(path.replace("$V", NATIVE).rstrip(".,:;…"))}
    assert unknown == set()


def test_every_page_can_be_found_from_the_map() -> None:
    docs = ROOT / "docs"
    mapped = {(docs / link.partition("#")[0]).resolve() for link in _links(docs / "README.md")}
    of_folders = [page for page in PAGES[1:] if page.parent.name not in ("dialects", "decisions")]
    assert [str(page) for page in of_folders if page.resolve() not in mapped and page.parent != docs] == []


def _links(page: Path) -> Iterator[str]:
    yield from (link for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()) if "://" not in link)


def _command_lines(page: Path) -> Iterator[str]:
    """What stands behind `callvault ` in a span of code, at a prompt, or at the begin of a line that is run."""
    text = page.read_text().replace("\\\n", " ")
    spans = re.findall(r"`(?:CALLVAULT_\w+=\S+ )*callvault ([a-z-]+[^`\n]*)`", text)
    yield from (span for span in spans if span not in NO_COMMANDS)
    for kind, block in re.findall(r"```(console|sh)\n(.*?)```", text, re.DOTALL):
        begin = r"^\$ (?:.*?[=;|&(] ?)?" if kind == "console" else r"^"
        yield from re.findall(rf"(?m){begin}callvault ([a-z-]+[^\n|>&;)]*)", block)


def _unknown_in(words: list[str]) -> str:
    """What of a command's words no command knows; nothing when all is well."""
    if words[0] not in COMMANDS:
        return f"there is no callvault {words[0]}"
    command = program.get_command(click.Context(program), words[0])
    rest = words[1:]
    while isinstance(command, click.Group) and rest and rest[0] in command.commands:
        command, rest = command.commands[rest[0]], rest[1:]
    assert command is not None
    if isinstance(command, click.Group) and rest and rest[0].isalpha():
        return rest[0]
    takes = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
    return " ".join(word for word in rest if word.startswith("--") and word.partition("=")[0] not in takes)


@cache
def _addresses() -> list[tuple[re.Pattern[str], set[str]]]:
    """Of each path of the native API a pattern, and the parameters of the query that any of its methods takes."""
    part = next(part for part in all_parts() if part.name == "native")
    paths = document(part, "0")["paths"]
    assert len(paths) > len(fast_routes(part)) // 2
    found = []
    for path, methods in paths.items():
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))
        given = [parameter for method in methods.values() for parameter in method.get("parameters", ())]
        found.append((re.compile(pattern), {each["name"] for each in given if each["in"] == "query"}))
    return found


def _answers(address: str) -> bool:
    path, _, query = address.partition("?")
    asked = {pair.partition("=")[0] for pair in query.split("&") if pair}
    plain = TO_FILL_IN.sub("x", path).rstrip("/")
    return plain == "/api/v1/streams" or any(p.fullmatch(plain) and asked <= takes for p, takes in _addresses())
