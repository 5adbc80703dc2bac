"""Webhook endpoints over HTTP: made, verified, told, replayed, given new secrets, removed."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from tests.receiver import Received, Receiver, Reply, receiving
from tests.webhouse import WebHouse, webhouse

ENDPOINTS = "/api/v1/webhook-endpoints"


@pytest.fixture
async def house() -> AsyncIterator[WebHouse]:
    async with webhouse() as house:
        house.client.headers.update(await house.bearer())
        yield house


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


async def made(house: WebHouse, receiver: Receiver, **more: object) -> dict:
    answer = await house.client.post(ENDPOINTS, json={"url": receiver.url(), **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_an_endpoint_is_made_read_changed_and_removed(house: WebHouse, receiver: Receiver) -> None:
    told = await made(house, receiver, eventTypes=["recording.*"], description="crm")
    secret = told.pop("secret")
    assert secret.startswith("whsec_") and (told["enabled"], told["eventTypes"]) == (True, ["recording.*"])
    where = f"{ENDPOINTS}/{told['id']}"
    assert (await house.client.get(where)).json() == told
    changed = (await house.client.patch(where, json={"enabled": False, "eventTypes": []})).json()
    assert (changed["enabled"], changed["disabledReason"], changed["eventTypes"]) == (False, "manual", [])
    assert [one["id"] for one in (await house.client.get(ENDPOINTS)).json()["data"]] == [told["id"]]
    assert (await house.client.delete(where)).status_code == 204
    assert (await house.client.get(where)).status_code == 404


async def test_a_secret_is_exchanged_and_told_once(house: WebHouse, receiver: Receiver) -> None:
    told = await made(house, receiver)
    rotated = await house.client.post(f"{ENDPOINTS}/{told['id']}/rotate-secret", json={"overlapSeconds": 60})
    assert rotated.status_code == 200 and rotated.json()["secret"] not in ("", told["secret"])
    assert "secret" not in (await house.client.get(f"{ENDPOINTS}/{told['id']}")).json()


async def test_a_public_key_can_be_read_at_any_time_and_a_secret_cannot(house: WebHouse, receiver: Receiver) -> None:
    shared, signed = await made(house, receiver), await made(house, receiver, signature="v1a")
    where = f"{ENDPOINTS}/{signed['id']}"
    read, changed = await house.client.get(where), await house.client.patch(where, json={"description": "ours"})
    listed = {one["id"]: one["publicKey"] for one in (await house.client.get(ENDPOINTS)).json()["data"]}
    assert signed["secret"].startswith("whpk_")
    assert read.json()["publicKey"] == changed.json()["publicKey"] == signed["publicKey"] == signed["secret"]
    assert "whsk_" not in read.text + changed.text
    assert listed == {shared["id"]: None, signed["id"]: signed["secret"]}
    newer = (await house.client.post(f"{where}/rotate-secret")).json()["secret"]
    assert newer != signed["secret"] and (await house.client.get(where)).json()["publicKey"] == newer


async def test_an_endpoint_that_answers_the_challenge_is_verified(house: WebHouse, receiver: Receiver) -> None:
    def answer(received: Received) -> Reply:
        return Reply(200, json.dumps({"challenge": received.json["data"]["challenge"]}).encode())

    silent = await made(house, receiver, verify=True)
    assert (silent["enabled"], silent["disabledReason"]) == (False, "unverified")
    receiver.reply = answer
    verified = (await house.client.post(f"{ENDPOINTS}/{silent['id']}/verify")).json()
    assert (verified["answered"], verified["enabled"], verified["why"]) == (True, True, "")
    assert verified["verifiedAt"] is not None


async def test_another_url_must_answer_the_challenge_as_the_first_did(house: WebHouse, receiver: Receiver) -> None:
    receiver.reply = lambda received: Reply(200, received.json["data"]["challenge"].encode())
    told = await made(house, receiver, verify=True)
    where = f"{ENDPOINTS}/{told['id']}"
    async with receiving() as silent:
        moved = (await house.client.patch(where, json={"url": silent.url()})).json()
        refused = await house.client.patch(where, json={"enabled": True})
    assert (told["enabled"], moved["enabled"], moved["disabledReason"]) == (True, False, "unverified")
    assert (moved["verifiedAt"], refused.status_code) == (None, 403)


async def test_what_was_told_is_logged_and_told_again(house: WebHouse, receiver: Receiver) -> None:
    endpoint = await made(house, receiver, eventTypes=["call.created"])
    await house.client.post("/api/v1/calls", json={})
    for duty in house.services.webhooks.duties():
        await duty.run()
    log = f"{ENDPOINTS}/{endpoint['id']}/deliveries"
    [delivery] = (await house.client.get(log)).json()["data"]
    assert (delivery["eventType"], delivery["state"], delivery["tries"]) == ("call.created", "pending", 0)
    assert (await house.client.get(f"/api/v1/deliveries/{delivery['id']}")).json() == delivery
    assert (await house.client.get(f"{log}?state=failed")).json()["data"] == []
    again = await house.client.post(f"/api/v1/deliveries/{delivery['id']}/replay")
    assert (again.status_code, again.json()["id"]) == (202, delivery["id"])
    since = await house.client.post(f"{ENDPOINTS}/{endpoint['id']}/replay", json={"since": "2020-01-01T00:00:00Z"})
    assert (since.status_code, since.json()["kind"]) == (202, "webhooks.replay")


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"url": "ftp://x"}, 400),
        ({"url": "http://x", "eventTypes": ["not a type"]}, 400),
        ({"url": "http://x", "dialect": "klingon"}, 400),
        ({}, 422),
    ],
)
async def test_an_endpoint_that_cannot_be_is_refused(house: WebHouse, asked: dict, status: int) -> None:
    assert (await house.client.post(ENDPOINTS, json=asked)).status_code == status


async def test_endpoints_need_their_scope_and_are_of_one_workspace(house: WebHouse, receiver: Receiver) -> None:
    told = await made(house, receiver)
    weak = await house.bearer("recordings:read")
    assert (await house.client.get(ENDPOINTS, headers=weak)).status_code == 403
    other = await house.bearer(workspace="other")
    assert (await house.client.get(f"{ENDPOINTS}/{told['id']}", headers=other)).status_code == 404
    await asyncio.sleep(0)
