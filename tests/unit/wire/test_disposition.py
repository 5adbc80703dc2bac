import email.policy
import string
from email.parser import HeaderParser
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callvault.wire.disposition import safe_filename, serialize


def read(header: str) -> tuple[str, str | None]:
    """As Python's own parser of MIME headers sees it."""
    message = HeaderParser(policy=email.policy.HTTP).parsestr(f"Content-Disposition: {header}\r\n\r\n")
    return message.get_content_disposition() or "", message.get_filename()


def test_a_plain_name_is_quoted() -> None:
    assert serialize("recording-call_1.wav", attachment=True) == 'attachment; filename="recording-call_1.wav"'
    assert serialize("a.wav", attachment=False) == 'inline; filename="a.wav"'
    assert serialize("", attachment=False) == "inline"


def test_a_name_in_another_script_comes_in_both_forms() -> None:
    header = serialize("Gespräch €.wav", attachment=True)
    assert header == "attachment; filename=\"Gesprach .wav\"; filename*=UTF-8''Gespr%C3%A4ch%20%E2%82%AC.wav"
    assert serialize("通話.wav", attachment=True).startswith('attachment; filename="download.wav"; filename*=')
    assert 'filename="download"' in serialize("通話", attachment=True)


@pytest.mark.parametrize(
    "name",
    [
        'a"; filename="evil.exe',
        "a.wav\r\nSet-Cookie: x=1",
        "a\nb",
        "../../etc/passwd",
        "C:\\x\\y.wav",
        "a\0.wav",
        "gpj.\u202evaw",
        "a;b=c,d.wav",
        "%0d%0aX: y",
        "\\",
    ],
)
def test_no_name_breaks_out(name: str) -> None:
    header = serialize(name, attachment=True)
    assert set(header) <= set(string.printable) - set("\r\n\t\v\f")
    assert header.count('"') == 2
    kind, found = read(header)
    assert kind == "attachment"
    assert found
    assert not set(found) & set('/\\"\r\n\0')


def test_a_long_name_is_cut_and_keeps_its_ending() -> None:
    assert safe_filename("x" * 500 + ".wav") == "x" * 196 + ".wav"
    assert len(safe_filename("x" * 500)) == 200
    assert safe_filename("x." + "y" * 500) == "x." + "y" * 198


@given(st.text(max_size=300), st.booleans())
def test_fuzz_any_name_makes_a_header_of_plain_characters(name: str, attachment: bool) -> None:
    header = serialize(name, attachment=attachment)
    assert header.isascii()
    assert header.isprintable()
    assert header.startswith(("attachment", "inline"))
    if "filename*=" in header:
        assert unquote(header.partition("UTF-8''")[2]) == safe_filename(name)
