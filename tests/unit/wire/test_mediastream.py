import json
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callvault.domain.errors import Malformed
from callvault.wire import mediastream
from callvault.wire.mediastream import (
    MESSAGE_MAX,
    Connected,
    Dtmf,
    Interleaved,
    Mark,
    Media,
    Other,
    Start,
    Stop,
    media_message,
    parse,
)
from callvault.wire.mediatypes import MediaType

SOUND = bytes(range(160))

# The shapes that the vendors' pages show, with their spellings and their numbers as text.
TWILIO_START = {
    "event": "start",
    "sequenceNumber": "1",
    "start": {
        "accountSid": "AC1",
        "streamSid": "MZ1",
        "callSid": "CA1",
        "tracks": ["inbound", "outbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"recording": "r1", "from": "+15550100"},
    },
    "streamSid": "MZ1",
}
TELNYX_START = {
    "event": "start",
    "sequence_number": "1",
    "start": {
        "user_id": "u1",
        "call_control_id": "v2:abc",
        "call_session_id": "s1",
        "from": "+15550100",
        "to": "+15550199",
        "tags": ["T"],
        "client_state": "aGV5",
        "custom_parameters": {"customer_id": "c1"},
        "media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 1},
    },
    "stream_id": "S1",
}
JAMBONZ_START = {
    "callSid": "J1",
    "accountSid": "A1",
    "applicationSid": "P1",
    "direction": "inbound",
    "from": "15550100",
    "to": "15550199",
    "sampleRate": 16000,
    "mixType": "stereo",
    "metadata": {"recording": "r1", "priority": 2},
}


def media_body(**media: object) -> str:
    given = {"track": "inbound", "chunk": "2", "timestamp": "5", "payload": b64encode(SOUND).decode()} | media
    return json.dumps({"event": "media", "sequenceNumber": "4", "media": given, "streamSid": "MZ1"})


def test_twilio_connects_starts_speaks_and_stops() -> None:
    assert parse('{"event":"connected","protocol":"Call","version":"1.0.0"}') == Connected("1.0.0")
    assert parse(json.dumps(TWILIO_START)) == Start(
        dialect="twilio",
        stream_id="MZ1",
        call_id="CA1",
        account_id="AC1",
        tracks=("inbound", "outbound"),
        media=MediaType("pcmu", 8000, 1),
        parameters={"recording": "r1", "from": "+15550100"},
    )
    assert parse(media_body()) == Media("MZ1", "inbound", 2, 5, SOUND)
    dtmf = {
        "event": "dtmf",
        "streamSid": "MZ1",
        "sequenceNumber": "5",
        "dtmf": {"track": "inbound_track", "digit": "1"},
    }
    assert parse(json.dumps(dtmf)) == Dtmf("inbound", "1")
    assert parse('{"event":"mark","sequenceNumber":"4","streamSid":"MZ1","mark":{"name":"m"}}') == Mark("m")
    assert parse('{"event":"stop","sequenceNumber":"5","stop":{"callSid":"CA1"},"streamSid":"MZ1"}') == Stop("MZ1")


def test_telnyx_says_the_same_in_its_own_spelling() -> None:
    assert parse('{"event":"connected","version":"1.0.0"}') == Connected("1.0.0")
    assert parse(json.dumps(TELNYX_START)) == Start(
        dialect="telnyx",
        stream_id="S1",
        call_id="v2:abc",
        account_id="u1",
        media=MediaType("pcmu", 8000, 1),
        from_number="+15550100",
        to_number="+15550199",
        parameters={"customer_id": "c1"},
    )
    media = {"track": "outbound", "chunk": "2", "timestamp": "5", "payload": b64encode(SOUND).decode()}
    body = {"event": "media", "sequence_number": "4", "media": media, "stream_id": "S1"}
    assert parse(json.dumps(body)) == Media("S1", "outbound", 2, 5, SOUND)
    dtmf = {"event": "dtmf", "dtmf": {"digit": "#"}, "occurred_at": "2025-06-05T08:54:19Z", "stream_id": "S1"}
    assert parse(json.dumps(dtmf)) == Dtmf("inbound", "#")
    assert parse('{"event":"stop","sequence_number":"5","stop":{},"stream_id":"S1"}') == Stop("S1")
    assert parse('{"event":"error","payload":{"code":100004},"stream_id":"S1"}') == Other("error")


@pytest.mark.parametrize(
    ("encoding", "rate", "expected"),
    [
        ("PCMA", 8000, MediaType("pcma", 8000, 1)),
        ("G722", 8000, MediaType("g722", 16000, 1)),
        ("L16", 16000, MediaType("l16", 16000, 1)),
        ("audio/x-mulaw", "8000", MediaType("pcmu", 8000, 1)),
    ],
)
def test_telnyx_speaks_in_several_codecs(encoding: str, rate: object, expected: MediaType) -> None:
    body = json.loads(json.dumps(TELNYX_START))
    body["start"]["media_format"] = {"encoding": encoding, "sample_rate": rate, "channels": 1}
    assert parse(json.dumps(body)).media == expected


@pytest.mark.parametrize(("start", "form"), [(TWILIO_START, "mediaFormat"), (TELNYX_START, "media_format")])
@pytest.mark.parametrize("channels", [0, 2, "2"])
def test_a_track_has_one_channel(start: dict[str, object], form: str, channels: object) -> None:
    body = json.loads(json.dumps(start))
    body["start"][form]["channels"] = channels
    with pytest.raises(Malformed, match=f"{form}.channels is not 1"):
        parse(json.dumps(body))
    body["start"][form]["channels"] = "1"
    assert parse(json.dumps(body)).media == MediaType("pcmu", 8000, 1)
    del body["start"][form]["channels"]
    assert parse(json.dumps(body)).media == MediaType("pcmu", 8000, 1)


def test_jambonz_begins_with_one_message_without_an_event() -> None:
    start = parse(json.dumps(JAMBONZ_START))
    assert start == Start(
        dialect="jambonz",
        stream_id="J1",
        call_id="J1",
        account_id="A1",
        tracks=("inbound", "outbound"),
        media=MediaType("s16le", 16000, 2),
        from_number="15550100",
        to_number="15550199",
        direction="inbound",
        parameters={"applicationSid": "P1", "recording": "r1", "priority": "2"},
    )
    assert parse('{"event":"dtmf","dtmf":"2","duration":"1600"}') == Dtmf("inbound", "2")


def test_what_is_null_is_not_said() -> None:
    start = parse(json.dumps(JAMBONZ_START | {"callerName": None, "metadata": {"name": None, "vip": False}}))
    assert isinstance(start, Start) and start.parameters == {"applicationSid": "P1", "vip": "false"}


@pytest.mark.parametrize(("mix", "tracks"), [("mono", ("inbound",)), ("mixed", ("mixed",))])
def test_jambonz_with_one_channel(mix: str, tracks: tuple[str, ...]) -> None:
    start = parse(json.dumps(JAMBONZ_START | {"mixType": mix}))
    assert (start.tracks, start.media.channels) == (tracks, 1)


def test_interleaved_samples_are_taken_apart_wherever_they_are_cut() -> None:
    interleaved, left, right = Interleaved(2), b"", b""
    data = b"".join(bytes([n, 0, 255 - n, 1]) for n in range(100))
    for at in range(0, len(data), 7):
        for_left, for_right = interleaved.feed(data[at : at + 7])
        left, right = left + for_left, right + for_right
    assert left == b"".join(bytes([n, 0]) for n in range(100))
    assert right == b"".join(bytes([255 - n, 1]) for n in range(100))


def test_numbers_may_be_numbers_and_what_a_sender_does_not_count_is_0() -> None:
    assert parse(media_body(chunk=7, timestamp=140)) == Media("MZ1", "inbound", 7, 140, SOUND)
    payload = b64encode(SOUND).decode()
    bare = {"event": "media", "media": {"timestamp": "20", "payload": payload}, "stream_id": "S1"}
    assert parse(json.dumps(bare)) == Media("S1", "inbound", 0, 20, SOUND)


def test_slashes_may_be_escaped() -> None:
    message = media_message(Media("MZ1", "inbound", 1, 0, b"\xff" * 30), 1)
    assert parse(message.replace("/", "\\/")) == parse(message)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "no JSON object"),
        ('{"event":5}', "event"),
        ('{"event":"media"}', "media is missing"),
        (media_body(payload=None), "payload is missing"),
        (media_body(payload="a"), "no base64"),
        (media_body(payload="!!!!"), "no base64"),
        (media_body(payload="é==="), "no base64"),
        (media_body(timestamp="-5"), "count"),
        (media_body(timestamp="5.5"), "count"),
        (media_body(timestamp=None), "count"),
        (media_body(timestamp=True), "count"),
        (media_body(timestamp="9" * 16), "count"),
        (media_body(track="t" * 300), "track"),
        (media_body(track="\ud800"), "track"),
        ('{"event":"mark","mark":{"name":"\\u0000"}}', "name"),
        ('{"sampleRate":8000,"x":"\\ud800"}', "no text"),
        ('{"event":"start","start":{}}', "mediaFormat is missing"),
        ('{"event":"start","start":{"mediaFormat":{}}}', "encoding is missing"),
        ('{"event":"start","start":{"mediaFormat":{"encoding":"OPUS","sampleRate":48000}}}', "none that is taken"),
        ('{"event":"start","start":{"mediaFormat":{"encoding":"PCMU","sampleRate":1}}}', "between"),
        ('{"sampleRate":8000,"mixType":"surround"}', "mixType"),
        ('{"sampleRate":"fast"}', "count"),
        ('{"event":"' + "x" * MESSAGE_MAX + '"}', "longer"),
    ],
)
def test_garbage_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        parse(text)


def test_too_many_parameters_are_refused() -> None:
    body = json.loads(json.dumps(TWILIO_START))
    body["start"]["customParameters"] = {str(n): "x" for n in range(101)}
    with pytest.raises(Malformed, match="at most 100"):
        parse(json.dumps(body))


medias = st.builds(
    Media,
    st.from_regex(r"[A-Za-z0-9-]{1,40}", fullmatch=True),
    st.sampled_from(["inbound", "outbound"]),
    st.integers(0, 10**12),
    st.integers(0, 10**12),
    st.binary(max_size=700),
)


@given(medias)
def test_the_fast_reading_and_the_full_one_agree(media: Media) -> None:
    message = media_message(media, 9)
    assert mediastream._usual_media(message) == mediastream._parse_any(message) == media
    assert parse(json.dumps(json.loads(message), sort_keys=True)) == media


@given(medias, st.data())
def test_fuzz_a_damaged_media_message_means_the_same_to_both_readings(media: Media, data: st.DataObject) -> None:
    message = media_message(media, 9)
    at = data.draw(st.integers(0, len(message)))
    cut = data.draw(st.integers(0, 3))
    damaged = message[:at] + data.draw(st.text(max_size=3)) + message[at + cut :]
    fast = mediastream._usual_media(damaged)
    if fast is not None:
        assert fast == mediastream._parse_any(damaged)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from([TWILIO_START, TELNYX_START, JAMBONZ_START, json.loads(media_body())]),
    st.sampled_from("event start media dtmf mark stop streamSid sampleRate mixType metadata mediaFormat".split()),  # noqa: SIM905
    json_values,
)
def test_fuzz_any_json_is_a_message_or_malformed(body: dict, name: str, value: object) -> None:
    inner = body.get("start") or body.get("media") or {}
    for changed in ({**body, name: value}, {**body, "start": {**inner, name: value}}, {"event": name, name: value}):
        try:
            message = parse(json.dumps(changed))
        except Malformed:
            continue
        assert isinstance(message, mediastream.Message)


@given(st.text(max_size=200))
def test_fuzz_any_text_is_a_message_or_malformed(text: str) -> None:
    for candidate in (text, '{"event":"media","sequenceNumber":"4","media":{"track":"inbound",' + text):
        try:
            assert isinstance(parse(candidate), mediastream.Message)
        except Malformed:
            continue
