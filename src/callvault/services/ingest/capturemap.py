"""The map of a capture, drawn before anything is rebuilt: which directions of sound it holds, and whose each is.

A direction is what flows from one endpoint to another; a new SSRC in it goes on with its lane. Directions that are each
other's reverse are a leg. Whose they are:

1. An endpoint or address that the caller of this service named is what it was named.
2. Where several legs meet in one address, that is the switch in the middle: what it sends is a copy of what it was
   sent, so the lanes are what the others send.
3. Of two sides, the one whose SIP INVITE is in the capture called; without SIP, the one who speaks first was called,
   for whoever answers speaks first. The customer is the caller of an inbound call, the called one of an outbound call.
4. All others are `rtp-3`, `rtp-4` and so on, in the order of their first packets.
"""

import ipaddress
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from callvault.audio.pcm import DECODERS
from callvault.domain.errors import Malformed
from callvault.services.ingest.signalling import Signalling
from callvault.wire import rtp
from callvault.wire.pcap import Datagram
from callvault.wire.rtp import RtpCodec, Sieve
from callvault.wire.udp import Endpoint

LOUD = 1000
"""Who is louder than this speaks."""
SPEECHLESS = ("telephone-event", "cn")
UNKNOWN_FEWEST = 20
SEEN_MOST = 100_000
_NEVER = 1 << 63

Direction = tuple[Endpoint, Endpoint]


@dataclass(slots=True)
class Heard:
    """What was seen of a direction."""

    first_ns: int
    packets: int = 0
    spoke_ns: int = _NEVER
    ssrcs: set[int] = field(default_factory=set)
    types: Counter[int] = field(default_factory=Counter)
    steps: dict[int, "_Steps"] = field(default_factory=dict)


@dataclass(slots=True)
class _Steps:
    """How a type's timestamps go on with the time of the capture."""

    first_ns: int
    first: int
    last_ns: int
    last: int
    size: int = 0
    count: int = 0

    @property
    def clock(self) -> float:
        elapsed = (self.last_ns - self.first_ns) / 1e9
        return ((self.last - self.first) % (1 << 32)) / elapsed if elapsed > 0 else 0.0


@dataclass(frozen=True, slots=True)
class CaptureMap:
    lanes: Mapping[Direction, str]
    """Only what is rebuilt."""
    heard: Mapping[Direction, Heard]
    types: Mapping[int, RtpCodec]
    began_ns: int
    """When the first packet of a lane came."""

    def codecs(self, direction: Direction) -> list[RtpCodec]:
        """Those with speech, the usual one first."""
        known = [self.types[number] for number, _ in self.heard[direction].types.most_common() if number in self.types]
        return [codec for codec in known if codec.name not in SPEECHLESS]


class Surveyor:
    def __init__(self, sides: Mapping[str, str], types: Mapping[int, RtpCodec], *, caller_is_customer: bool) -> None:
        self._sides, self._given, self._caller_is_customer = sides, types, caller_is_customer
        self._signalling = Signalling()
        self._sieve = Sieve()
        self._heard: dict[Direction, Heard] = {}
        self._seen: dict[tuple[Direction, bytes], int] = {}

    def survey(self, datagrams: Iterable[Datagram]) -> CaptureMap:
        for datagram in datagrams:
            self._signalling.read(datagram)
            direction = (datagram.source, datagram.destination)
            self._see(direction, datagram)
            packets = self._sieve.pass_through(direction, datagram.payload)
            for packet in packets:
                self._hear(direction, packet, datagram.time_ns if packet is packets[-1] else None)
        types = {**rtp.USUAL_DYNAMIC_TYPES, **self._signalling.types, **rtp.STATIC_TYPES, **self._given}
        for heard in self._heard.values():
            types |= {n: codec for n in heard.types if n not in types and (codec := _guess(heard, n))}
        found = {d: h for d, h in self._heard.items() if any(types.get(n) for n in h.types)}
        if not found:
            raise Malformed(what="the capture", why="there is no RTP with sound in it")
        lanes = self._named(found)
        return CaptureMap(lanes, found, types, min(found[direction].first_ns for direction in lanes))

    def _see(self, direction: Direction, datagram: Datagram) -> None:
        """When something came first that may turn out to be RTP."""
        if rtp.looks_like_rtp(datagram.payload) and len(self._seen) < SEEN_MOST:
            self._seen.setdefault((direction, datagram.payload[8:12]), datagram.time_ns)

    def _hear(self, direction: Direction, packet: rtp.RtpPacket, time_ns: int | None = None) -> None:
        """Without a time: one that came a moment before."""
        first_ns = self._seen.get((direction, packet.ssrc.to_bytes(4, "big")), time_ns or 0)
        heard = self._heard.setdefault(direction, Heard(first_ns))
        heard.packets += 1
        heard.ssrcs.add(packet.ssrc)
        heard.types[packet.payload_type] += 1
        if time_ns is None:
            return
        steps = heard.steps.setdefault(
            packet.payload_type, _Steps(time_ns, packet.timestamp, time_ns, packet.timestamp)
        )
        steps.last_ns, steps.last, steps.size, steps.count = (
            time_ns,
            packet.timestamp,
            len(packet.payload),
            steps.count + 1,
        )
        if heard.spoke_ns == _NEVER and _is_loud(packet):
            heard.spoke_ns = time_ns

    def _named(self, found: Mapping[Direction, Heard]) -> dict[Direction, str]:
        order = sorted(found, key=lambda direction: found[direction].first_ns)
        lanes = {direction: side for direction in order if (side := self._given_side(direction[0]))}
        hub = _hub(order)
        rest = [d for d in order if d not in lanes and (hub is None or d[0].address != hub)]
        free = [name for name in ("customer", "assistant") if name not in lanes.values()]
        for name, direction in self._sides_of(rest, found, free):
            lanes.setdefault(direction, name)
        for direction in rest:
            lanes.setdefault(direction, f"rtp-{len(lanes) + 1}")
        return lanes

    def _sides_of(
        self, rest: Sequence[Direction], found: Mapping[Direction, Heard], free: Sequence[str]
    ) -> list[tuple[str, Direction]]:
        if not rest or not free:
            return []
        called = min(rest, key=lambda d: (self._rank_as_called(d), found[d].spoke_ns, found[d].first_ns))
        others = [d for d in rest if d[0] != called[0]]
        reverse = [d for d in others if d == called[::-1]] or others
        if not reverse or len(free) == 1:
            return [(free[0], called)]
        sides = [reverse[0], called] if self._caller_is_customer else [called, reverse[0]]
        return list(zip(free, sides, strict=True))

    def _rank_as_called(self, direction: Direction) -> int:
        if direction[0] in self._signalling.called:
            return 0
        return 2 if direction[0] in self._signalling.callers else 1

    def _given_side(self, endpoint: Endpoint) -> str | None:
        address = _text(endpoint)
        return self._sides.get(f"{address}:{endpoint.port}") or self._sides.get(address)


def _text(endpoint: Endpoint) -> str:
    return str(ipaddress.ip_address(endpoint.address))


def _hub(directions: Sequence[Direction]) -> bytes | None:
    """The one address in which several legs meet."""
    peers: dict[bytes, set[Endpoint]] = {}
    for source, destination in directions:
        peers.setdefault(source.address, set()).add(destination)
        peers.setdefault(destination.address, set()).add(source)
    hubs = [address for address, met in peers.items() if len({peer.address for peer in met} - {address}) > 1]
    ends = {end.address for direction in directions for end in direction}
    return hubs[0] if len(hubs) == 1 and len(ends) > 2 else None


def _is_loud(packet: rtp.RtpPacket) -> bool:
    codec = rtp.STATIC_TYPES.get(packet.payload_type)
    decode = DECODERS.get(codec.name) if codec else None
    if decode is None or not packet.payload or len(packet.payload) % 2:
        return False
    samples = decode(packet.payload)
    return int(max(samples.max(), -int(samples.min()))) > LOUD


def _guess(heard: Heard, number: int) -> RtpCodec | None:
    """What a dynamic type must be, by how its clock goes: Opus' goes at 48 000 whatever its frames weigh; 16-bit
    samples weigh two bytes for every step."""
    steps = heard.steps[number]
    if heard.types[number] < UNKNOWN_FEWEST or number < 96:
        return None
    for clock in (8000, 16_000, 44_100, 48_000):
        if abs(steps.clock - clock) < clock * 0.02:
            step = ((steps.last - steps.first) % (1 << 32)) / max(steps.count - 1, 1)
            if abs(steps.size - 2 * step) < 0.05 * step:
                return RtpCodec("l16", clock, clock)
            return RtpCodec("opus", clock, clock) if clock == 48_000 and steps.size < step else None
    return None
