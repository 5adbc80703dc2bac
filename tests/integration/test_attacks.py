"""What somebody tries who means no good, and what comes of it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.webhouse import WebHouse, webhouse


@pytest.fixture
async def house() -> AsyncIterator[WebHouse]:
    async with webhouse() as house:
        house.client.headers.update(await house.bearer())
        yield house


def nested(levels: int) -> dict[str, Any]:
    value: Any = 1
    for _ in range(levels - 1):
        value = [value]
    return {"a": value}


@pytest.mark.parametrize("levels", [33, 250, 900])
async def test_what_is_nested_so_deep_that_it_could_not_be_told_again_is_refused(house: WebHouse, levels: int) -> None:
    made = (await house.client.post("/api/v1/recordings", json={"metadata": nested(32)})).json()
    call, recording = f"/api/v1/calls/{made['call']['id']}", f"/api/v1/recordings/{made['id']}"
    for method, path, body in (
        ("POST", "/api/v1/recordings", {"metadata": nested(levels)}),
        ("POST", "/api/v1/calls", {"analysis": nested(levels)}),
        ("PATCH", call, {"metadata": nested(levels)}),
        ("PATCH", recording, {"metadata": nested(levels)}),
        ("POST", "/v1/calls/web", {"agentId": "a", "metadata": nested(levels)}),
    ):
        assert (await house.client.request(method, path, json=body)).status_code == 413, path
    for path in ("/api/v1/recordings", "/api/v1/calls", "/call", "/v1/calls"):
        assert (await house.client.get(path)).status_code == 200, path
