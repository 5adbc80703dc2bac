"""Bodies of turns, from the usual to those that would hold everybody up."""

import json

import pytest

from callvault.domain.errors import TooLarge
from callvault.services.transcripts import TURNS_MAX
from callvault.web.errors import Invalid
from callvault.web.native.turns import WORDS_MAX, said_in

TURN = {"role": "customer", "content": 'He said "so, and so"', "start": 1.5}


def body(turns: object, **others: object) -> bytes:
    return json.dumps({"turns": turns, **others}).encode()


async def test_the_longest_transcript_is_read_in_its_order() -> None:
    words = 'He said: "a, b, c", \\ and ",",' * 10
    whole = {**TURN, "end": 2, "confidence": 1, "content": words}
    said = await said_in(body([{**whole, "start": n / 1000} for n in range(TURNS_MAX)]))
    assert [one.start_ms for one in said] == [*range(TURNS_MAX)]
    assert (said[0].content, said[0].end_ms, said[0].confidence) == (words, 2000, 1)
    assert await said_in(body([])) == []


@pytest.mark.parametrize(
    ("given", "place"),
    [
        (b"no json", ["body"]),
        (b"[" * 100_000, ["body"]),
        (b"[]", ["body"]),
        (b"{}", ["body", "turns"]),
        (body(7), ["body", "turns"]),
        (body([TURN], more=1), ["body", "more"]),
        (body([TURN] * (TURNS_MAX + 1)), ["body", "turns"]),
        (body([TURN] * 700 + [{**TURN, "start": -1}]), ["body", "turns", 700, "start"]),
        (body([TURN] * 700 + [None]), ["body", "turns", 700]),
    ],
)
async def test_what_is_wrong_is_told_with_its_place(given: bytes, place: list[str | int]) -> None:
    with pytest.raises(Invalid) as raised:
        await said_in(given)
    assert [error["loc"] for error in raised.value.errors] == [place]


@pytest.mark.parametrize(
    "given",
    [
        b'{"turns":[' + b"0," * (WORDS_MAX + 1) + b"0]}",
        b'{"\\\\":"\\"","turns":[' + b"0," * (WORDS_MAX + 1) + b"0]}",
        b'{"turns":[]' + b"".join(b',"%x":0' % n for n in range(WORDS_MAX + 1)) + b"}",
    ],
)
async def test_what_no_transcript_can_have_is_not_read_at_all(given: bytes) -> None:
    with pytest.raises(TooLarge):
        await said_in(given)
