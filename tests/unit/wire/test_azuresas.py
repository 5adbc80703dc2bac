"""Azure's signed URLs; whether Azure takes them is asked of Azurite in tests/contract/test_blobs_azure.py."""

from base64 import b64encode
from urllib.parse import parse_qs, urlsplit

from callvault.wire.azuresas import AzureSigner

SIGNER = AzureSigner("account", b64encode(b"key").decode())
SHOWN = {"media_type": "audio/wav", "disposition": 'attachment; filename="a b.wav"'}


def test_a_url_has_all_that_azure_asks_for_and_nothing_to_read_the_key_from() -> None:
    url = SIGNER.presign("https://account.blob.core.windows.net", "box", "w/r/a=b", now_ms=0, seconds=60, **SHOWN)
    parts = urlsplit(url)
    assert (parts.hostname, parts.path) == ("account.blob.core.windows.net", "/box/w/r/a%3Db")
    asked = {name: value for name, [value] in parse_qs(parts.query).items()}
    assert len(asked.pop("sig")) == 44
    assert asked == {
        "sv": "2022-11-02",
        "sr": "b",
        "sp": "r",
        "se": "1970-01-01T00:01:00Z",
        "spr": "https",
        "rscd": SHOWN["disposition"],
        "rsct": "audio/wav",
    }
    assert b64encode(b"key").decode() not in repr(SIGNER)


def test_everything_in_it_is_signed() -> None:
    given = {"address": "https://h", "container": "c", "blob": "b", "now_ms": 0, "seconds": 60, **SHOWN}
    others = {"address": "http://h", "container": "d", "blob": "e", "now_ms": 1000, "seconds": 61}
    others |= {"media_type": "x/y", "disposition": "inline"}
    urls = [SIGNER.presign(**given), *(SIGNER.presign(**{**given, name: other}) for name, other in others.items())]
    signatures = [parse_qs(urlsplit(url).query)["sig"][0] for url in urls]
    assert signatures.count(signatures[0]) == 1
    assert len(set(signatures)) == len(signatures) - 1, "a second later and a second longer end alike"
