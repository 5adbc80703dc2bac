"""Golden transcripts: a file of requests and answers, headed by the lines of the specification that it pins.

    # WIRE 2: `GET /v1/calls/{id}`
    > GET /v1/calls/{recorded}
    > authorization: Bearer {key}
    < 200
    < content-type: application/json
    {"id": "{recorded}", ...}

Names in braces stand for what differs between runs. A body of JSON is compared as JSON, in its order; another one as
it is, and `<...>` stands for bytes that have a name.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

PASSING = {
    "uuid": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "call": r"call_[0-9A-Za-z]{20,}",
    "token": r"cvpass_[0-9A-Za-z._-]+",
    "secret": r"whsec_[0-9A-Za-z]+",
}
"""What is made anew in every run, by the names that stand for it."""


@dataclass
class Exchange:
    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    sent: str = ""
    answer: list[str] = field(default_factory=list)
    """Status, then headers as they must be."""
    body: str = ""


def read(file: Path) -> list[Exchange]:
    exchanges: list[Exchange] = []
    for line in file.read_text().splitlines():
        mark, _, rest = line.partition(" ")
        if mark == ">" and re.match(r"[A-Z]+ /", rest):
            exchanges.append(Exchange(*rest.split(" ")))
        elif mark == ">" and rest.startswith("{"):
            exchanges[-1].sent = rest
        elif mark == ">":
            name, _, value = rest.partition(": ")
            exchanges[-1].headers[name] = value
        elif mark == "<":
            exchanges[-1].answer.append(rest)
        elif exchanges and line and mark != "#":
            exchanges[-1].body += line + "\n"
    return exchanges


async def answered(client: httpx.AsyncClient, asked: Exchange, known: Mapping[str, str]) -> httpx.Response:
    headers = {name: _filled(value, known) for name, value in asked.headers.items()}
    if asked.sent:
        headers.setdefault("content-type", "application/json")
    return await client.request(
        asked.method, _filled(asked.path, known), headers=headers, content=_filled(asked.sent, known)
    )


def told(answer: httpx.Response, asked: Exchange, known: Mapping[str, str], named: Mapping[bytes, str]) -> list[str]:
    """The answer as the file tells it: those headers of it that the file has, and its body."""
    names = [line.partition(":")[0] for line in asked.answer[1:]]
    lines = [str(answer.status_code), *(f"{name}: {answer.headers.get(name, '')}" for name in names)]
    return [_named(line, known) for line in [*lines, *_body(answer, named)]]


def wanted(asked: Exchange) -> list[str]:
    is_json = asked.body.startswith(("{", "[", "null"))
    return [*asked.answer, *(_pretty(json.loads(asked.body)) if is_json else asked.body.splitlines())]


def _body(answer: httpx.Response, named: Mapping[bytes, str]) -> Iterator[str]:
    if answer.headers.get("content-type", "").startswith("application/json"):
        yield from _pretty(answer.json())
    elif answer.content in named:
        yield f"<{named[answer.content]}>"
    else:
        yield from (line for line in answer.text.splitlines() if line)


def _pretty(value: Any) -> list[str]:
    return json.dumps(value, indent=1, ensure_ascii=False).splitlines()


def _filled(text: str, known: Mapping[str, str]) -> str:
    for name, value in known.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _named(text: str, known: Mapping[str, str]) -> str:
    for name, value in known.items():
        text = text.replace(value, f"{{{name}}}")
    for name, pattern in PASSING.items():
        text = re.sub(pattern, f"{{{name}}}", text)
    return text
