"""Content in ranges."""

from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request

from callvault.web.ranges import ranged
from callvault.web.responses import Answer

BYTES = bytes(range(100))


class Text:
    length, etag = len(BYTES), '"v1"'

    async def stream(self, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        for at in range(start, self.length if end is None else end, 7):
            yield BYTES[at : min(at + 7, self.length if end is None else end)]


async def answer(*, head: bool = False, **headers: str) -> tuple[int, dict[str, str], bytes]:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    given: Answer = ranged(Request({"type": "http", "method": "GET", "headers": raw}), Text(), "audio/wav", head=head)
    body = given.body if isinstance(given.body, bytes) else b"".join([chunk async for chunk in given.body])
    return given.status, {name.decode(): value.decode() for name, value in given.headers}, body


async def test_without_a_range_all_of_it_is_sent() -> None:
    status, headers, body = await answer()
    assert (status, body) == (200, BYTES)
    assert headers["content-length"] == "100"
    assert headers["accept-ranges"] == "bytes"
    assert headers["etag"] == '"v1"'


@pytest.mark.parametrize(
    ("asked", "content_range", "expected"),
    [
        ("bytes=0-0", "bytes 0-0/100", BYTES[:1]),
        ("bytes=90-", "bytes 90-99/100", BYTES[90:]),
        ("bytes=-5", "bytes 95-99/100", BYTES[95:]),
        ("bytes=13-1000", "bytes 13-99/100", BYTES[13:]),
    ],
)
async def test_a_range_is_sent_alone(asked: str, content_range: str, expected: bytes) -> None:
    status, headers, body = await answer(range=asked)
    assert (status, body, headers["content-range"]) == (206, expected, content_range)
    assert int(headers["content-length"]) == len(body)


async def test_several_ranges_come_in_one_answer_of_the_promised_length() -> None:
    status, headers, body = await answer(range="bytes=0-9, 50-59")
    assert status == 206
    assert headers["content-type"].startswith("multipart/byteranges; boundary=")
    assert int(headers["content-length"]) == len(body)
    assert b"Content-Range: bytes 50-59/100\r\n\r\n" + BYTES[50:60] in body


async def test_a_range_beyond_the_end_is_refused_with_the_length() -> None:
    status, headers, body = await answer(range="bytes=100-")
    assert (status, headers["content-range"], body) == (416, "bytes */100", b"")


@pytest.mark.parametrize("asked", ["bytes=0-9", "bytes=100-"])
async def test_head_tells_of_the_whole_whatever_range_is_asked_for(asked: str) -> None:
    status, headers, _ = await answer(head=True, range=asked)
    assert (status, headers["content-length"], "content-range" in headers) == (200, "100", False)


async def test_a_range_of_another_version_gets_all_of_this_one() -> None:
    assert (await answer(range="bytes=0-9", if_range='"v0"'))[0] == 200
    assert (await answer(range="bytes=0-9", if_range='"v1"'))[0] == 206


@pytest.mark.parametrize("known", ['"v1"', 'W/"v1"', '"v0", "v1"', "*"])
async def test_what_the_client_has_is_not_sent_again(known: str) -> None:
    status, headers, body = await answer(if_none_match=known)
    assert (status, body) == (304, b"")
    assert headers["etag"] == '"v1"'
    assert "content-length" not in headers


async def test_a_condition_that_fails_stops_everything() -> None:
    assert (await answer(if_match='"v0"'))[0] == 412
    assert (await answer(if_match='W/"v1"'))[0] == 412
    assert (await answer(if_match='"v1"', range="bytes=0-9"))[0] == 206
