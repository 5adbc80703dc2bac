"""The log: one line an event, JSON unless somebody reads along, and never a secret, a number or what was said."""

import json
import logging
import re
import sys
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final, TextIO

REQUEST: Final[ContextVar[str]] = ContextVar("request", default="")
"""The id of the request that is being answered."""

HIDDEN: Final = "[hidden]"
_SECRETS: Final = re.compile(
    r"""
    (?P<key>cvk_[0-9A-Za-z]{8})_[0-9A-Za-z]+                  # an API key: its prefix may be told
    | (?P<call>call_[0-9A-Za-z]{4})[0-9A-Za-z]{8,}            # a call's public id is a capability
    | (?P<link>/(?:link|s|share|shares)/)[^\s"'?\#/]{6,}[^\s"']*
    | (?P<word>(?:bearer|basic|api-token:?|x-vapi-secret:?)\s+)[^\s"',]+
    | (?P<user>://)[^/\s:@]*:[^/\s@]+@                        # a URL's password
    | (?P<query>https?://[^\s"'?]+\?)[^\s"']+                 # a signed URL's signature
    | (?P<pair>\b(?:secret|password|passwd|token|signature|api_?key|x-amz-[a-z-]+)["']?\s*[=:]\s*["']?)[^\s"',;&]+
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
_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


def redact(text: str) -> str:
    return _SECRETS.sub(_masked, text)


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
    """Where an error came from, without the values of anything."""
    kind, error, trace = record.exc_info or (None, None, None)
    if kind is None:
        return []
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(trace)]
    return [*frames, redact(f"{kind.__name__}: {error}")]


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
        return json.dumps(line, ensure_ascii=False)


class PlainLines(logging.Formatter):
    """For people at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        facts = " ".join(f"{name}={value}" for name, value in facts_of(record).items())
        request_id = f" [{REQUEST.get()}]" if REQUEST.get() else ""
        line = f"{_at(record)[11:23]} {record.levelname.lower():7} {redact(record.getMessage())} {facts}{request_id}"
        return "\n    ".join([line.replace("\n", " "), *trace_of(record)])


def configure(form: str = "auto", level: str = "info", stream: TextIO | None = None) -> None:
    """All loggers of the process write through here; `form` is `json`, `plain`, or `auto` for plain on a terminal."""
    stream = stream or sys.stderr
    plain = form == "plain" or (form == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(PlainLines() if plain else JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in ("uvicorn.error", "uvicorn.asgi", "httpx", "httpcore", "websockets", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.access").disabled = True


def _at(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
