"""Deliveries: once planned for each endpoint, tried in their times, and sent under one id until they are answered."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook
from tests.audits import audited
from tests.callhouse import caller
from tests.fakes import FakeClock
from tests.hookhouse import HookHouse
from tests.receiver import Receiver, Reply, receiving
from tests.workhouse import until

from callvault.domain.errors import Missing, Refused
from callvault.domain.event import Event
from callvault.domain.filters import Between
from callvault.domain.query import Query
from callvault.domain.unit import Unit
from callvault.domain.webhook import PAUSES_SECONDS, Delivery, WebhookEndpoint
from callvault.ports.webhooks import Answer
from callvault.services.pages import Place
from callvault.services.webhooks.dialects import MessageForm, Rendering
from callvault.services.webhooks.endpoints import Made

HOUR_MS = 3_600_000
START_MS = FakeClock().now_ms()


async def made(house: HookHouse, receiver: Receiver, **settings: object) -> Made:
    return await house.endpoints.create(caller(), receiver.url(), **settings)


async def test_an_event_is_told_to_every_endpoint_that_wants_it_and_to_no_other() -> None:
    house = HookHouse()
    async with receiving() as receiver, house.working():
        for path, types in (("/all", ()), ("/some", ("recording.*",)), ("/one", ("call.ended",))):
            await house.endpoints.create(caller(), receiver.url(path), event_types=types)
        await house.endpoints.create(caller(workspace="other"), receiver.url("/other"))
        await house.tell("recording.completed", data={"status": "completed"})
        await house.settled()
    assert sorted(received.path for received in receiver.received) == ["/all", "/some"]
    (told,) = {received.body for received in receiver.received}
    assert b'"type":"recording.completed"' in told
    assert b'"status":"completed"' in told
    assert b'"recordingId":"r"' in told


async def test_a_message_is_signed_so_that_the_library_of_the_standard_verifies_it() -> None:
    house = HookHouse()
    async with receiving() as receiver, house.working():
        secret = (await made(house, receiver)).secret
        await house.tell("recording.created")
        await house.settled()
    (received,) = receiver.received
    at = int(received.headers["webhook-timestamp"])
    assert at == house.clock.now_ms() // 1000
    signed = Webhook(secret).sign(
        received.headers["webhook-id"], datetime.fromtimestamp(at, UTC), received.body.decode()
    )
    assert received.headers["webhook-signature"] == signed
    assert received.headers["content-type"] == "application/json"


async def test_the_schedule_is_kept_and_the_id_stays_the_same_until_the_last_attempt() -> None:
    house = HookHouse()
    async with receiving(reply=lambda received: Reply(503)) as receiver, house.working():
        endpoint = (await made(house, receiver)).endpoint
        await house.tell("recording.created")
        began, pauses = house.clock.now_ms(), []
        await house.settled()
        while due := await house.next_due_ms():
            pauses.append((due - house.clock.now_ms()) / 1000)
            house.clock.ms = due
            await house.settled()
        (delivery,) = await house.log(endpoint)
    assert len(receiver.received) == len(PAUSES_SECONDS) == 10
    for waited, pause in zip(pauses, PAUSES_SECONDS[1:], strict=True):
        assert pause <= waited <= pause * 1.1 + 0.001
    assert house.clock.now_ms() - began >= (75 * 60 + 35) * 60_000
    assert len({received.headers["webhook-id"] for received in receiver.received}) == 1
    assert (delivery.state, delivery.tries, delivery.failure) == ("failed", 10, "every attempt failed")
    assert [attempt.status for attempt in delivery.attempts] == [503] * 10


async def test_a_receiver_that_was_away_for_75_hours_is_told_of_everything() -> None:
    house = HookHouse()
    async with house.working():
        async with receiving() as gone:
            port = gone.port
            endpoint = (await made(house, gone)).endpoint
        began = house.clock.now_ms()
        events = await house.tell("recording.created", "recording.processing", "recording.completed")
        await house.settled()
        while (due := await house.next_due_ms()) and due - began < 75 * HOUR_MS:
            house.clock.ms = due
            await house.settled()
        assert [delivery.state for delivery in await house.log(endpoint)] == ["pending"] * 3
        receiver = Receiver(port)
        server = await asyncio.start_server(receiver.serve, "127.0.0.1", port)
        async with server:
            while due := await house.next_due_ms():
                house.clock.ms = due
                await house.settled()
        log = await house.log(endpoint)
    assert {delivery.state for delivery in log} == {"delivered"}
    assert {delivery.attempts[0].error for delivery in log} == {"no connection"}
    assert {received.json["data"]["id"] for received in receiver.received} == {event.id for event in events}
    assert (await house.stored(endpoint)).failing_since_ms is None


async def test_what_the_receiver_asks_for_in_retry_after_is_waited_for() -> None:
    house = HookHouse()
    slow_down = Reply(429, headers={"retry-after": "1234"})
    async with receiving(reply=lambda received: slow_down) as receiver, house.working():
        await made(house, receiver)
        await house.tell("recording.created")
        await house.settled()
        assert await house.next_due_ms() == house.clock.now_ms() + 1_234_000


async def test_410_disables_the_endpoint_at_once_and_an_event_and_the_audit_say_so() -> None:
    house = HookHouse()
    async with receiving(reply=lambda received: Reply(410)) as receiver, house.working():
        endpoint = (await made(house, receiver)).endpoint
        await house.tell("recording.created")
        await house.settled()
        await house.tell("recording.completed")
        await house.settled()
    assert len(receiver.received) == 1
    disabled = await house.stored(endpoint)
    assert (disabled.enabled, disabled.disabled_reason) == (False, "gone")
    (event,) = await house.store.find(Query(Event).where("type", "=", "webhook_endpoint.disabled").by("id"))
    assert event.data == {"endpointId": endpoint.id, "reason": "gone"}
    entries = [e for e in await audited(house.store) if e.action == "webhooks.disable"]
    assert [entry.actor for entry in entries] == ["system"]


async def test_an_endpoint_that_fails_for_days_is_disabled_and_others_hear_of_it() -> None:
    house = HookHouse()
    fails = lambda received: Reply(500 if received.path == "/bad" else 200)  # noqa: E731
    async with receiving(reply=fails) as receiver, house.working():
        bad = (await house.endpoints.create(caller(), receiver.url("/bad"))).endpoint
        await house.endpoints.create(caller(), receiver.url("/good"), event_types=("webhook_endpoint.*",))
        for _ in range(6):
            await house.tell("recording.created")
            await house.settled()
            assert (await house.stored(bad)).enabled == (house.clock.ms < START_MS + 5 * 24 * HOUR_MS)
            house.clock.advance(24 * 3600)
        await house.settled()
    assert (await house.stored(bad)).disabled_reason == "failing"
    good = [received.json for received in receiver.received if received.path == "/good"]
    assert [told["data"]["reason"] for told in good] == ["failing"]
    assert {delivery.state for delivery in await house.log(bad)} == {"failed"}


async def test_one_success_ends_the_count_of_failing_days() -> None:
    house, statuses = HookHouse(), [500, 200]
    async with receiving(reply=lambda received: Reply(statuses.pop(0))) as receiver, house.working():
        endpoint = (await made(house, receiver)).endpoint
        await house.tell("recording.created")
        await house.settled()
        assert (await house.stored(endpoint)).failing_since_ms == house.clock.now_ms()
        house.clock.advance(6)
        await house.settled()
    assert (await house.stored(endpoint)).failing_since_ms is None


async def test_a_redirect_is_not_followed() -> None:
    house = HookHouse()
    elsewhere = Reply(302, headers={"location": "/elsewhere"})
    async with receiving(reply=lambda received: elsewhere) as receiver, house.working():
        endpoint = (await made(house, receiver)).endpoint
        await house.tell("recording.created")
        await house.settled()
    assert [received.path for received in receiver.received] == ["/hook"]
    assert (await house.log(endpoint))[0].attempts[0].status == 302


async def test_an_endpoint_is_told_of_nothing_that_happened_before_it_was_there() -> None:
    house = HookHouse()
    async with receiving() as receiver, house.working():
        await house.tell("recording.created")
        await made(house, receiver)
        await house.tell("recording.completed")
        await house.settled()
    assert [received.json["type"] for received in receiver.received] == ["recording.completed"]


async def test_private_calls_are_told_only_to_endpoints_of_their_participants() -> None:
    house = HookHouse()
    async with receiving() as receiver, house.working():
        await house.endpoints.create(caller(member="ann"), receiver.url("/ann"))
        await house.endpoints.create(caller(member="bob"), receiver.url("/bob"))
        await house.tell("recording.created", readers=("ann", "eve"))
        await house.settled()
    assert [received.path for received in receiver.received] == ["/ann"]


async def test_each_event_is_planned_once_however_many_nodes_plan() -> None:
    house = HookHouse()
    async with receiving() as receiver, house.working(), house.working(), house.working():
        endpoint = (await made(house, receiver)).endpoint
        for _ in range(30):
            await house.tell("recording.updated")
            await house.settled()
        log = await house.log(endpoint)
    assert len(log) == 30
    assert {delivery.state for delivery in log} == {"delivered"}
    assert len({received.headers["webhook-id"] for received in receiver.received}) == 30


async def test_a_replay_sends_the_same_message_under_the_same_id() -> None:
    house = HookHouse()
    async with receiving() as receiver, house.working():
        endpoint = (await made(house, receiver)).endpoint
        await house.tell("recording.created")
        await house.settled()
        (delivery,) = (await house.deliveries.find(caller(), endpoint.id, Place())).items
        replayed = await house.deliveries.replay(caller(), delivery.id)
        assert replayed.state == "pending"
        await house.settled()
        again = await house.deliveries.get(caller(), delivery.id)
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == delivery.id
    assert first.body == second.body
    assert (again.state, again.tries, len(again.attempts)) == ("delivered", 1, 2)


async def test_a_replay_voids_the_attempts_that_were_planned_before() -> None:
    house, answers = HookHouse(), [500, 200, 500]
    async with receiving(reply=lambda received: Reply(answers.pop(0))) as receiver, house.working():
        endpoint = (await made(house, receiver)).endpoint
        await house.tell("recording.created")
        await house.settled()
        (delivery,) = await house.log(endpoint)
        await house.deliveries.replay(caller(), delivery.id)
        await house.settled()
        house.clock.advance(60)
        await house.settled()
    assert len(receiver.received) == 2
    assert (await house.log(endpoint))[0].state == "delivered"


async def test_all_since_a_time_is_replayed_even_what_happened_while_the_endpoint_was_disabled() -> None:
    house = HookHouse()
    async with receiving() as receiver, house.working():
        endpoint = (await made(house, receiver, event_types=("recording.*",))).endpoint
        await house.tell("recording.created")
        await house.settled()
        house.clock.advance(100)
        since = house.clock.now_ms()
        await house.tell("recording.processing")
        await house.settled()
        await house.endpoints.update(caller(), endpoint.id, {"enabled": False})
        await house.tell("recording.completed", "call.ended")
        await house.settled()
        with pytest.raises(Refused):
            await house.deliveries.replay_since(caller(), endpoint.id, since)
        await house.endpoints.update(caller(), endpoint.id, {"enabled": True})
        house.clock.advance(1)
        job = await house.deliveries.replay_since(caller(), endpoint.id, since)
        await house.settled()
        assert (await house.jobs.get(caller(), job.id)).result == {"replayed": 2}
        types = [received.json["type"].partition(".")[2] for received in receiver.received]
        assert sorted(types) == ["completed", "created", "processing", "processing"]
        house.clock.advance(1)
        await house.deliveries.replay_since(caller(), endpoint.id, since, failed_only=True)
        await house.settled()
    assert len(receiver.received) == 4


async def test_the_log_tells_each_attempt_with_the_beginning_of_its_answer() -> None:
    house = HookHouse()
    long = Reply(500, b"out of order " * 1000)
    async with receiving(reply=lambda received: long) as receiver, house.working():
        endpoint = (await made(house, receiver)).endpoint
        await house.tell("recording.created")
        await house.settled()
        (failed,) = (await house.deliveries.find(caller(), endpoint.id, Place(), "pending")).items
        assert (await house.deliveries.find(caller(), endpoint.id, Place(), "delivered")).items == []
    (attempt,) = failed.attempts
    assert (attempt.status, attempt.answer[:12], len(attempt.answer)) == (500, "out of order", 500)


async def test_a_dialect_brings_its_own_form_signature_and_choice_of_events() -> None:
    minted: list[str] = []

    async def render(event: Event, endpoint: WebhookEndpoint) -> Rendering | None:
        minted.append(event.id)
        return Rendering(b'{"message":{"n":%d}}' % len(minted), {"x-extra": "1"})

    form = MessageForm("vapi", ("vapi",), lambda event: event.type == "call.ended", render)
    house, statuses = HookHouse(forms=[form]), [500, 200]
    async with receiving(reply=lambda received: Reply(statuses.pop(0))) as receiver, house.working():
        await made(house, receiver, dialect="vapi", secret="their-own-secret")
        await house.tell("recording.completed", "call.ended")
        await house.settled()
        house.clock.advance(6)
        await house.settled()
    assert [received.json for received in receiver.received] == [{"message": {"n": 1}}, {"message": {"n": 2}}]
    assert {received.headers["x-vapi-secret"] for received in receiver.received} == {"their-own-secret"}
    assert receiver.received[0].headers["x-extra"] == "1"


async def test_a_message_that_is_too_large_is_not_sent_and_the_log_says_why() -> None:
    house = HookHouse()
    async with receiving() as receiver, house.working():
        endpoint = (await made(house, receiver)).endpoint
        await house.tell("recording.created", data={"text": "x" * 20_000})
        await house.settled()
    assert receiver.received == []
    (delivery,) = await house.log(endpoint)
    assert (delivery.state, delivery.failure) == ("failed", "the message is too large")


class SlowSender:
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.gate, self.sending, self.most = asyncio.Event(), 0, 0

    def check(self, url: str) -> None:
        return None

    async def send(self, url: str, headers: dict, body: bytes) -> Answer:
        if "slow" not in url:
            return Answer(1, 200)
        self.sending += 1
        self.most = max(self.most, self.sending)
        await self.gate.wait()
        self.sending -= 1
        return Answer(1, 200)


async def test_an_endpoint_that_answers_slowly_keeps_no_other_waiting() -> None:
    sender = SlowSender()
    house = HookHouse(sender)
    slow = (await house.endpoints.create(caller(), "https://slow.example", event_types=("a.slow",))).endpoint
    quick = (await house.endpoints.create(caller(), "https://quick.example", event_types=("a.quick",))).endpoint

    async def told(endpoint: WebhookEndpoint, count: int) -> bool:
        return [delivery.state for delivery in await house.log(endpoint)] == ["delivered"] * count

    async with house.working():
        await house.tell("a.slow", "a.slow", "a.slow")
        await until(lambda: asyncio.sleep(0, sender.sending == 3))
        house.clock.advance(2)
        await house.tell(*["a.slow"] * 80, "a.quick")
        await until(lambda: told(quick, 1))
        assert sender.most == 4
        sender.gate.set()
        async with asyncio.timeout(10):
            while not await told(slow, 83):
                house.clock.advance(1)
                await asyncio.sleep(0.01)
    assert await house.store.count(Query(Delivery).where("tries", "!=", 1)) == 0


async def test_many_endpoints_that_answer_slowly_keep_no_other_waiting() -> None:
    sender = SlowSender()
    house = HookHouse(sender)
    for number in range(20):
        await house.endpoints.create(caller(), f"https://slow.example/{number}", event_types=("a.slow",))
    quick = (await house.endpoints.create(caller(), "https://quick.example", event_types=("a.quick",))).endpoint

    async def told() -> bool:
        return [delivery.state for delivery in await house.log(quick)] == ["delivered"]

    async with house.working():
        await house.tell("a.slow")
        await until(lambda: asyncio.sleep(0, sender.sending == 20))
        house.clock.advance(2)
        await house.tell(*["a.slow"] * 10, "a.quick")
        await until(told)
        assert sender.most <= 32
        sender.gate.set()


async def test_endpoints_that_were_never_asked_do_not_take_all_places_at_once() -> None:
    sender = SlowSender()
    house = HookHouse(sender)
    for number in range(2):
        await house.endpoints.create(caller(), f"https://slow.example/{number}", event_types=("a.slow",))
    async with house.working():
        await house.tell(*["a.slow"] * 40)
        await until(lambda: asyncio.sleep(0, sender.sending == 8))
        await asyncio.sleep(0.05)
        assert sender.most == 8
        sender.gate.set()


async def test_a_result_that_meets_a_changed_endpoint_is_written_and_not_sent_twice() -> None:
    house = HookHouse()
    meddled = asyncio.Event()

    async def meddle(endpoint: WebhookEndpoint) -> None:
        stored = await house.stored(endpoint)
        unit = Unit()
        unit.change(replace(stored, description="changed", version=stored.version + 1))
        await house.store.commit(unit)
        meddled.set()

    async with receiving() as receiver, house.working():
        endpoint = (await made(house, receiver)).endpoint
        tasks = []

        def reply(received: object) -> Reply:
            tasks.append(asyncio.ensure_future(meddle(endpoint)))
            return Reply(410)

        receiver.reply = reply
        await house.tell("recording.created")
        await house.settled()
    assert len(receiver.received) == 1
    stored = await house.stored(endpoint)
    assert (stored.description, stored.enabled) == ("changed", False)


async def test_deliveries_of_other_workspaces_cannot_be_seen_or_replayed() -> None:
    house = HookHouse()
    async with receiving() as receiver, house.working():
        endpoint = (await made(house, receiver)).endpoint
        await house.tell("recording.created")
        await house.settled()
        (delivery,) = await house.log(endpoint)
    stranger = caller(workspace="other")
    for attempt in (
        house.deliveries.get(stranger, delivery.id),
        house.deliveries.replay(stranger, delivery.id),
        house.deliveries.find(stranger, endpoint.id, Place()),
        house.deliveries.replay_since(stranger, endpoint.id, 0),
    ):
        with pytest.raises(Exception, match="there is no such"):
            await attempt
    with pytest.raises(Refused):
        await house.deliveries.get(caller("recordings:read"), delivery.id)


async def test_old_deliveries_are_swept_and_stuck_ones_taken_up_again() -> None:
    house = HookHouse()
    endpoint = (await house.endpoints.create(caller(), "http://127.0.0.1:9/")).endpoint
    now, unit = house.clock.now_ms(), Unit()
    facts = {"workspace_id": "w", "endpoint_id": endpoint.id, "event_id": "e", "event_type": "t", "planned_ms": 0}
    unit.add(Delivery(id="old", created_ms=now - 31 * 24 * HOUR_MS, state="delivered", **facts))
    unit.add(Delivery(id="stuck", created_ms=now, due_ms=now - 7 * HOUR_MS, **facts))
    unit.add(Delivery(id="waiting", created_ms=now, due_ms=now + HOUR_MS, **facts))
    await house.store.commit(unit)
    sweep = next(kind for kind in house.hooks.kinds() if kind.name == "webhooks.sweep")

    class Progress:
        commit = house.store.commit

    assert await sweep.run(None, Progress()) == {"swept": 1, "resumed": 1}
    assert {delivery.id: delivery.version for delivery in await house.log(endpoint)} == {"stuck": 2, "waiting": 1}
    assert await house.next_due_ms() == now


async def test_the_log_is_counted_by_state_and_by_time() -> None:
    house = HookHouse()
    async with receiving() as receiver, house.working():
        endpoint = (await made(house, receiver)).endpoint
        for _ in range(2):
            house.clock.advance(3600)
            await house.tell("recording.created")
            await house.settled()
    log, lately = house.deliveries, Between(ge=house.clock.now_ms() - 60_000)
    assert await log.count(caller(), endpoint.id) == 2
    assert await log.count(caller(), endpoint.id, "delivered", lately) == 1
    assert await log.count(caller(), endpoint.id, "failed") == 0
    (delivery,) = (await log.find(caller(), endpoint.id, Place(limit=5), made=lately)).items
    assert delivery.created_ms >= house.clock.now_ms() - 60_000
    with pytest.raises(Missing):
        await log.count(caller(workspace="other"), endpoint.id)
