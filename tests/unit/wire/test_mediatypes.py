import pytest
from hypothesis import given
from hypothesis import strategies as st

from callvault.domain.errors import Malformed
from callvault.wire.mediatypes import FILE, MediaType, parse, serialize


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("audio/PCMU", MediaType("pcmu", 8000, 1)),
        ("audio/PCMU;rate=8000", MediaType("pcmu", 8000, 1)),
        ("audio/PCMA; rate=16000", MediaType("pcma", 16000, 1)),
        ("audio/basic", MediaType("pcmu", 8000, 1)),
        ("audio/x-mulaw", MediaType("pcmu", 8000, 1)),
        ("audio/L16;rate=16000;channels=1", MediaType("l16", 16000, 1)),
        ('AUDIO/l16; RATE="44100" ; channels=2', MediaType("l16", 44100, 2)),
        ("audio/x-raw;format=S16LE;rate=16000", MediaType("s16le", 16000, 1)),
        ("audio/x-raw;format=S16BE;rate=16000;layout=interleaved", MediaType("l16", 16000, 1)),
        ("audio/x-raw;format=s16le;rate=48000;", MediaType("s16le", 48000, 1)),
        ("audio/wav", FILE),
        ("audio/ogg; codecs=opus", FILE),
        ('audio/webm;codecs="opus"', FILE),
        ("audio/mpeg", FILE),
        ("audio/mp4", FILE),
        ("audio/flac", FILE),
    ],
)
def test_the_types_that_senders_use(text: str, expected: MediaType) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize("text", ["audio/G722", "audio/G722;rate=8000", "audio/G722;rate=16000"])
def test_g722_is_heard_at_twice_its_clock(text: str) -> None:
    assert parse(text) == MediaType("g722", 16000, 1)
    assert serialize(parse(text)) == "audio/G722;rate=8000;channels=1"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("audio/L16", "rate is missing"),
        ("audio/x-raw;format=S16LE", "rate is missing"),
        ("audio/x-raw;rate=16000", "no sound"),
        ("audio/x-raw;format=F32LE;rate=16000", "no sound"),
        ("audio/PCMU;rate=3999", "between 4000 and 192000"),
        ("audio/PCMU;rate=192001", "between"),
        ("audio/PCMU;rate=-8000", "between"),
        ("audio/PCMU;rate=8e3", "between"),
        ("audio/PCMU;rate=" + "9" * 100, "between"),
        ("audio/PCMU;rate=8000;rate=16000", "parameters"),
        ("audio/PCMU rate=8000", "parameters"),
        ("audio/G722;rate=48000", "clock"),
        ("audio/L16;rate=8000;channels=0", "channels"),
        ("audio/L16;rate=8000;channels=33", "channels"),
        ("application/json", "no sound"),
        ("text/html; charset=utf-8", "no sound"),
        ("", "no media type"),
        ("audio", "no media type"),
        ("audio/wav;" + "a" * 300, "no media type"),
    ],
)
def test_what_is_not_taken_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        parse(text)


raw = st.sampled_from(["pcmu", "pcma", "l16", "s16le"])


@given(st.builds(MediaType, raw, st.integers(4000, 192_000), st.integers(1, 32)))
def test_what_was_written_is_read(media: MediaType) -> None:
    assert parse(serialize(media)) == media


@given(st.text(max_size=80))
def test_fuzz_any_text_is_a_media_type_or_malformed(text: str) -> None:
    for candidate in (text, "audio/" + text, "audio/L16;rate=" + text, "audio/PCMU;" + text):
        try:
            media = parse(candidate)
        except Malformed:
            continue
        assert media == FILE or 4000 <= media.rate <= 192_000
