"""What a capture's own signalling tells: who called, where each side takes its sound, what dynamic types stand for."""

import ipaddress
import re
from dataclasses import dataclass, field

from callvault.domain.errors import Malformed
from callvault.wire.pcap import Datagram
from callvault.wire.rtp import RtpCodec, parse_rtpmap
from callvault.wire.udp import Endpoint

_CSEQ = re.compile(rb"^cseq\s*:\s*\d+\s+invite\b", re.IGNORECASE | re.MULTILINE)
_ADDRESS = re.compile(rb"^c=IN IP[46] ([0-9a-fA-F.:]{2,45})", re.MULTILINE)
_AUDIO = re.compile(rb"^m=audio (\d{1,5}) ", re.MULTILINE)
_TYPE = re.compile(rb"^a=rtpmap:(\d{1,3}) ([\w./-]{1,64})", re.MULTILINE)
MESSAGE_MAX = 8192


@dataclass(slots=True)
class Signalling:
    """SIP (RFC 3261) with SDP (RFC 4566) over UDP; of everything else nothing is taken."""

    callers: set[Endpoint] = field(default_factory=set)
    """Where those who called take their sound."""
    called: set[Endpoint] = field(default_factory=set)
    types: dict[int, RtpCodec] = field(default_factory=dict)

    def read(self, datagram: Datagram) -> None:
        payload = datagram.payload[:MESSAGE_MAX]
        if payload.startswith(b"INVITE "):
            self._learn(payload, self.callers)
        elif payload.startswith(b"SIP/2.0 ") and _CSEQ.search(payload):
            self._learn(payload, self.called)

    def _learn(self, message: bytes, side: set[Endpoint]) -> None:
        _, _, body = message.partition(b"\r\n\r\n")
        address, audio = _ADDRESS.search(body), _AUDIO.search(body)
        if address is None or audio is None:
            return
        for number, name in _TYPE.findall(body):
            self._learn_type(int(number), name.decode())
        try:
            side.add(Endpoint(ipaddress.ip_address(address[1].decode()).packed, int(audio[1])))
        except ValueError:
            return

    def _learn_type(self, number: int, name: str) -> None:
        try:
            self.types.setdefault(number, parse_rtpmap(name))
        except Malformed:
            return
