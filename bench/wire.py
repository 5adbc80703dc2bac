"""The readers that stand in the way of every frame, packet and link, beside what they are built upon.

python -m bench.wire
"""

import hmac
import json
import timeit
from collections.abc import Callable

from callvault.wire import g711, linktoken, mediastream, pcap, rtp
from callvault.wire.linktoken import LinkClaims
from callvault.wire.mediastream import Media

Line = tuple[str, ...]
UUID = "01890a5d-ac96-774b-bcce-b302099a8057"
SECRET = bytes(range(32))


def run() -> list[Line]:
    return [("what", "a second", "beside", "a second", "ratio"), _links(), _frames(), _packets(), _samples()]


def _links() -> Line:
    claims = LinkClaims(UUID, "stereo", bytes(8), 2**33, "wav", filename="call.wav")
    token, secrets = linktoken.sign(claims, "k1", SECRET)[0], {"k1": SECRET}
    signed = token.encode()
    return _line(
        "links verified",
        _rate(lambda: linktoken.verify(token, secrets, 0)),
        "hmac alone",
        _rate(lambda: hmac.digest(SECRET, signed, "sha256")),
    )


def _frames() -> Line:
    text = mediastream.media_message(Media("MZ" + "0" * 32, "inbound", 50, 1000, bytes(range(160))), 51)
    rates = _rate(lambda: mediastream.parse(text)), _rate(lambda: json.loads(text))
    return _line("media messages read", rates[0], "json.loads alone", rates[1])


def _packets() -> Line:
    packet = rtp.RtpPacket(0, False, 7, 160, 9, bytes(160))
    data = rtp.serialize(packet)
    udp = b"\x0f\xa0\x13\x88" + (8 + len(data)).to_bytes(2, "big") + bytes(2) + data
    ip = b"\x45\0" + (20 + len(udp)).to_bytes(2, "big") + bytes(5) + b"\x11" + bytes(10) + udp
    file = bytes.fromhex("d4c3b2a1020004000000000000000000ffff000065000000")
    record = bytes(8) + 2 * len(ip).to_bytes(4, "little") + ip
    capture, sieve = [file, *[record * 100] * 100], rtp.Sieve()
    took = min(timeit.repeat(lambda: _rebuild(capture, sieve), number=1, repeat=3))
    return _line("RTP packets taken from a capture", 10_000 / took, "header alone", _rate(lambda: rtp.parse(data)))


def _rebuild(capture: list[bytes], sieve: rtp.Sieve) -> None:
    for datagram in pcap.datagrams(capture):
        sieve.pass_through(datagram.source, datagram.payload)


def _samples() -> Line:
    minute = bytes(range(256)) * 1875
    decoded, copied = _rate(lambda: g711.decode_ulaw(minute), 100), _rate(lambda: bytearray(minute), 100)
    return _line("minutes of G.711 decoded", decoded, "copied", copied)


def _rate(work: Callable[[], object], number: int = 20_000) -> float:
    return number / min(timeit.repeat(work, number=number, repeat=3))


def _line(what: str, ours: float, beside: str, theirs: float) -> Line:
    return what, f"{ours:.0f}", beside, f"{theirs:.0f}", f"{ours / theirs:.2f}"


if __name__ == "__main__":
    for line in run():
        print("  ".join((line[0].ljust(48), *(cell.rjust(18) for cell in line[1:]))))
