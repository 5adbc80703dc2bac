"""Answers that are long are written a piece at a time."""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from callvault.web.responses import in_chunks, in_turns, json_list, json_pieces


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        [],
        "text",
        {"é": '"', "b": {"c": [], "d": [1, {"e": None}]}},
        {"many": [{"n": n, "of": [n]} for n in range(1001)], "after": 1.5},
        [[n] for n in range(333)],
    ],
)
def test_json_in_pieces_is_the_same_json(value: Any) -> None:
    assert b"".join(json_pieces(value)) == json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def test_what_is_made_one_by_one_is_told_as_a_list() -> None:
    told = json_pieces({"squares": (n * n for n in range(4)), "none": iter(())})
    assert b"".join(told) == b'{"squares":[0,1,4,9],"none":[]}'
    assert b"".join(json_list([b"1", b"{}"])) == b"[1,{}]"


async def test_others_have_their_turn_while_a_long_answer_is_written() -> None:
    written, seen = [0], set[int]()

    def pieces() -> Iterator[bytes]:
        for n in range(10):
            written[0] = n
            time.sleep(0.006)
            yield b"%d" % n

    async def other() -> None:
        while True:
            seen.add(written[0])
            await asyncio.sleep(0)

    going = asyncio.create_task(other())
    assert await in_turns(pieces()) == b"0123456789"
    going.cancel()
    assert seen >= set(range(1, 9))


async def test_what_is_too_long_to_be_held_leaves_in_chunks() -> None:
    chunks = [chunk async for chunk in in_chunks(b"x" * 100_000 for _ in range(7))]
    assert [len(chunk) for chunk in chunks] == [300_000, 300_000, 100_000]
