"""What the log tells, and what it never tells."""

import io
import json
import logging
import time
from typing import Any

import pytest

from callvault.web.logs import REQUEST, REQUESTS, JsonLines, PlainLines, RequestLog, configure, redact, redact_path

KEY = "cvk_aB3dE6gH_" + "s3cr3tS3cr3tS3cr3tS3cr3tS3cr3tS3c"
TOKEN = "k1.eyJhbGciOi.MAC-mac_mac"


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        (f"key {KEY} used", "key cvk_aB3dE6gH[hidden] used"),
        (f"Authorization: Bearer {TOKEN}", "Authorization: Bearer [hidden]"),
        ("API-Token: abcdefgh12345678", "API-Token: [hidden]"),
        (f"GET /link/{TOKEN}/call.wav 200", "GET /link/[hidden] 200"),
        (f"GET https://vault.example/link/{TOKEN}", "GET https://vault.example/link/[hidden]"),
        ("GET /v1/calls/call_7fG2kQ9zLmN4pR8sT1vW3xYb/recording", "GET /v1/calls/call_7fG2[hidden]/recording"),
        ("https://b.s3.example/o?X-Amz-Signature=abc&x=1", "https://b.s3.example/o?[hidden]"),
        ("postgresql://vault:hunter2@db/vault", "postgresql://[hidden]db/vault"),
        ('{"password": "hunter2"}', '{"password": "[hidden]"}'),
        ("secret=hunter2; next", "secret=[hidden]; next"),
        ("x-amz-security-token: FwoGZXIvYXdzE", "x-amz-security-token: [hidden]"),
        ("from +49 30 1234567 to +14155550123", "from [hidden] to [hidden]"),
        ("called (415) 555-0123 and 415-555-0123", "called [hidden] and [hidden]"),
        ("number 4155550123", "number [hidden]"),
        ("-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----[hidden]"),
    ],
)
def test_secrets_links_and_numbers_are_hidden(told: str, kept: str) -> None:
    assert redact(told) == kept


@pytest.mark.parametrize(
    "told",
    [
        "recording 01a1fd98-e7c9-72b9-90db-123456789012 at 1760000000000 ms",
        "2026-11-21T10:13:35.891Z took 12.345678 s",
        "127.0.0.1:8080 and 198.51.100.7",
        "GET /api/v1/recordings/01a1fd98-e7c9-72b9-90db-ff2558183780/audio.wav 206",
        "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ],
)
def test_what_an_operator_needs_is_left(told: str) -> None:
    assert redact(told) == told


@pytest.mark.parametrize("path", ["/by/crm/415-555-0123", "/by/crm/(415) 555-0123", "/by/crm/+14155550123"])
def test_a_number_in_a_path_is_hidden(path: str) -> None:
    assert redact_path(path) == "/by/crm/[hidden]"


@pytest.mark.parametrize(
    "again",
    [
        "x-amz-",
        "http://",
        "://a:",
        "+11111",
        "bearer ",
        "-----BEGIN A",
        "a",
        "token ",
        "/1",
        "/a-1",
        f"/{'abcdef' * 6}",
    ],
)
def test_a_long_path_is_cut_and_costs_no_time(again: str) -> None:
    path = "/key" + again * (60_000 // len(again))
    began = time.perf_counter()
    assert len(redact_path(path)) < 2000
    redact(path)
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize("form", [True, False])
async def test_a_request_is_one_line_whatever_its_path_holds(form: bool) -> None:
    written, requests = io.StringIO(), RequestLog()
    requests.configure(written, plain=form)
    requests.note("GET /a\n12:00 info all is well\r\x1b[2J 404", {"ms": 1})
    requests.flush()
    assert len(written.getvalue().splitlines()) == 1 and "\x1b" not in written.getvalue()


async def test_a_request_is_told_where_it_was_to_be_told_when_it_was_answered() -> None:
    before, after, requests = io.StringIO(), io.StringIO(), RequestLog()
    requests.configure(before)
    requests.note("GET /a 200", {"ms": 1})
    requests.configure(after)
    requests.flush()
    assert "GET /a 200" in before.getvalue() and after.getvalue() == ""


def line(form: logging.Formatter, message: str, *args: object, **extra: Any) -> str:
    record = logging.LogRecord("callvault.test", logging.WARNING, __file__, 1, message, args, None)
    record.__dict__.update(extra)
    return form.format(record)


def test_a_line_is_json_with_the_requests_id() -> None:
    token = REQUEST.set("req_1")
    try:
        told = json.loads(line(JsonLines(), "%s is away", "storage", waiting=3))
    finally:
        REQUEST.reset(token)
    assert told.pop("at").endswith("Z")
    assert told == {
        "level": "warning",
        "logger": "callvault.test",
        "event": "storage is away",
        "requestId": "req_1",
        "waiting": 3,
    }


@pytest.mark.parametrize(
    "name",
    ["transcript", "content", "from_number", "phoneNumber", "secret", "authorization", "url", "key", "to", "body"],
)
def test_facts_with_telling_names_are_hidden_whatever_they_hold(name: str) -> None:
    assert json.loads(line(JsonLines(), "said", **{name: "I live in Berlin"}))[name] == "[hidden]"


def test_other_facts_are_redacted_too() -> None:
    assert json.loads(line(JsonLines(), "x", why=f"bad {KEY}", at_all=None)) | {"at": ""} == {
        "at": "",
        "level": "warning",
        "logger": "callvault.test",
        "event": "x",
        "why": "bad cvk_aB3dE6gH[hidden]",
        "at_all": None,
    }


def failing() -> logging.LogRecord:
    try:
        raise ValueError(f"cannot use {KEY}")
    except ValueError as error:
        info = (ValueError, error, error.__traceback__)
        return logging.LogRecord("callvault.test", logging.ERROR, __file__, 1, "it broke", (), info)


def test_a_trace_tells_places_and_no_values() -> None:
    told = json.loads(JsonLines().format(failing()))
    assert told["trace"][0].endswith(" failing")
    assert told["trace"][-1] == "ValueError"
    assert "cannot use" not in PlainLines().format(failing())


def test_a_line_for_people_is_one_line_an_event() -> None:
    told = line(PlainLines(), "two\nlines", waiting=3)
    assert told.endswith("warning two lines waiting=3")
    assert "\n" not in told


@pytest.mark.parametrize(
    ("form", "terminal", "plain"), [("auto", True, True), ("auto", False, False), ("json", True, False)]
)
def test_the_form_follows_the_terminal_unless_it_is_set(form: str, terminal: bool, plain: bool) -> None:
    class Stream(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    root, out = logging.getLogger(), Stream()
    before = root.handlers[:], root.level
    try:
        configure(form, "info", out)
        logging.getLogger("callvault.test").info("hello")
        logging.getLogger("uvicorn.error").info("chatter")
        logging.getLogger("uvicorn.access").info("GET /link/secret")
    finally:
        root.handlers[:], root.level = before
        REQUESTS.configure(None)
    assert out.getvalue().count("\n") == 1
    assert out.getvalue().startswith("{") is not plain
