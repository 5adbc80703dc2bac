"""The log: one line an event, JSON unless somebody reads along, and never a secret, a number or what was said."""

import asyncio
import json
import logging
import re
import sys
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from pydantic_core import to_json

from callvault.domain.errors import Fault

REQUEST: Final[ContextVar[str]] = ContextVar("request", default="")
"""The id of the request that is being answered."""

HIDDEN: Final = "[hidden]"
TOGETHER_SECONDS: Final = 0.1
_SECRETS: Final = re.compile(
    r"""
    (?P<key>cvk_[0-9A-Za-z]{8})_[0-9A-Za-z]+                  # an API key: its prefix may be told
    | (?P<call>call_[0-9A-Za-z]{4})[0-9A-Za-z]{8,}            # a call's public id is a capability
    | (?P<link>/(?:link|s|share|shares)/)[^\s"'?\#/]{6,}[^\s"']*
    | (?P<word>(?:bearer|basic|api-token:?|x-vapi-secret:?)\s+)[^\s"',]+
    | (?P<user>://)[^/\s:@]*:[^/\s@]+@                        # a URL's password
    | (?P<query>https?://[^\s"'?]{1,2048}\?)[^\s"']+                 # a signed URL's signature
    | (?P<pair>\b(?:secret|password|passwd|token|signature|api_?key|x-amz-[a-z-]{1,40})["']?\s*[=:]\s*["']?)[^\s"',;&]+
    | (?P<pem>-----BEGIN[ A-Z]+-----)[^-]+(?:-----END[ A-Z]+-----)?
    | (?P<phone>(?<![\w.-])\+\d[\d ().-]{5,}\d(?![\w-]))
    | (?P<bare>(?<![\w.:-])(?:\(\d{3}\)\s?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\w-]))
    | (?P<digits>(?<![\w.:+-])\d{10,12}(?![\w.:-]))
    """,
    re.VERBOSE | re.IGNORECASE,
)
_KEPT: Final = frozenset({"key", "call", "link", "word", "user", "query", "pair", "pem"})
_TELLING: Final = re.compile(
    r"transcript|content|utterance|text|body|secret|password|token|authorization|number|phone|url|cookie|^key$|^to$|^from$"
)
_UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_WORD: Final = r"[a-z_-]*[0-9]{0,3}(?:\.[a-z0-9]{2,4})?"
_SEGMENT: Final = rf"(?>(?:{_UUID}|{_WORD}|[0-9]{{1,8}})(?=/|\Z))"
_HARMLESS: Final = re.compile(rf"(?:/(?!(?:link|s|shares?)/){_SEGMENT})*+")
"""A path of words like `lane-12`, small numbers and UUIDs: it has nothing to hide. What one segment is taken for is not
tried again, or a path of many would be tried in all ways."""
PATH_MAX: Final = 1000
"""So much of a request's path is told: what it says is the client's choice."""
_json: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


def redact(text: str) -> str:
    return _SECRETS.sub(_masked, text)


def redact_path(path: str) -> str:
    """The same for the paths of requests, most of which hold nothing of the kind."""
    path = path if len(path) <= PATH_MAX else f"{path[:PATH_MAX]}…"
    return path if _HARMLESS.fullmatch(path) else redact(path)


def _masked(match: re.Match[str]) -> str:
    group = match.lastgroup
    return f"{match[group]}{HIDDEN}" if group in _KEPT else HIDDEN


def facts_of(record: logging.LogRecord) -> dict[str, Any]:
    """What was told besides the message, without what must not be."""
    told = ((name, value) for name, value in vars(record).items() if name not in _OWN)
    return {name: HIDDEN if _TELLING.search(name.lower()) else _safe(value) for name, value in told}


def _safe(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    return redact(str(value))


def trace_of(record: logging.LogRecord) -> list[str]:
    """Where an error came from, without the values of anything; nobody knows what the text of a strange one holds."""
    kind, error, trace = record.exc_info or (None, None, None)
    if kind is None:
        return []
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(trace)]
    return [*frames, redact(f"{kind.__name__}: {error}") if isinstance(error, Fault) else kind.__name__]


class JsonLines(logging.Formatter):
    """For machines."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": _at(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": redact(record.getMessage()),
        }
        if request_id := REQUEST.get():
            line["requestId"] = request_id
        line.update(facts_of(record))
        if trace := trace_of(record):
            line["trace"] = trace
        return _json(line)


class PlainLines(logging.Formatter):
    """For people at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        facts = " ".join(f"{name}={value}" for name, value in facts_of(record).items())
        request_id = f" [{REQUEST.get()}]" if REQUEST.get() else ""
        line = f"{_at(record)[11:23]} {record.levelname.lower():7} {redact(record.getMessage())} {facts}{request_id}"
        return "\n    ".join([_printable(line), *trace_of(record)])


class RequestLog:
    """A line for every request. They are as many as everything else in the log together, so that they are made by
    hand and written in groups: a crash loses those of a moment."""

    def __init__(self) -> None:
        self._stream: TextIO | None = None
        self._plain = False
        self._waiting: list[bytes] = []

    def configure(self, stream: TextIO | None, plain: bool = False) -> None:
        """Without a stream nothing is written. What waits goes where it was meant to go."""
        if self._stream and not self._stream.closed:
            self.flush()
        self._waiting.clear()
        self._stream, self._plain = stream, plain

    def note(self, event: str, facts: dict[str, str | float | None]) -> None:
        """Nothing here may need redaction: the path has been redacted already, the rest was made by us."""
        if self._stream is None:
            return
        if not self._waiting:
            asyncio.get_running_loop().call_later(TOGETHER_SECONDS, self.flush)
        at = datetime.now(UTC).isoformat(timespec="milliseconds")[:23]
        if self._plain:
            told = " ".join([f"{name}={value}" for name, value in facts.items()])
            self._waiting.append(f"{at[11:]} info    {_printable(event)} {told}".encode())
        else:
            self._waiting.append(to_json({"at": f"{at}Z", "level": "info", "event": event} | facts))

    def flush(self) -> None:
        if self._stream and self._waiting:
            lines, self._waiting = self._waiting, []
            self._stream.write(b"\n".join([*lines, b""]).decode())
            self._stream.flush()


REQUESTS: Final = RequestLog()


def configure(form: str = "auto", level: str = "info", stream: TextIO | None = None) -> None:
    """All loggers of the process write through here; `form` is `json`, `plain`, or `auto` for plain on a terminal."""
    stream = stream or sys.stderr
    plain = form == "plain" or (form == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(PlainLines() if plain else JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    REQUESTS.configure(stream if level in ("debug", "info") else None, plain)
    for chatty in ("uvicorn.error", "uvicorn.asgi", "httpx", "httpcore", "websockets", "alembic", "procrastinate"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    logging.getLogger("uvicorn.access").disabled = True


def _is_news(record: logging.LogRecord) -> bool:
    """An answer that was cut off is told by us, with its reason; a websocket that was refused is no error."""
    return not str(record.msg).startswith("ASGI callable returned without completing")


def _printable(text: str) -> str:
    """In one line, and without what would steer a terminal."""
    return text if text.isprintable() else "".join(each if each.isprintable() else " " for each in text)


def _at(record: logging.LogRecord) -> str:
    return f"{datetime.fromtimestamp(record.created, UTC).isoformat(timespec='milliseconds')[:23]}Z"
