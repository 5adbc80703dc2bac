"""The spool's journal files: a header, then records, each with its length and checksum so that a torn tail is seen."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from callvault.wire.runs import CODECS

MAGIC = b"cvspool1"
_FILE = struct.Struct("<8s16sQ")
_RECORD = struct.Struct("<IIBBxxQQ")
_UNCHECKED = struct.Struct("<II")
_CHECKED = struct.Struct("<BBxxQQ")
_COUNT = struct.Struct("<I")
_PIECE = struct.Struct("<BBBIqqqqI")
_NEVER = -(1 << 63)
FILE_HEAD = _FILE.size
RECORD_HEAD = _RECORD.size
NAME_MAX = 0xFF


class Kind(IntEnum):
    KEY = 1
    """A data key for pieces: `name` is the workspace, `body` its sealing; with an empty one they are not sealed."""
    PIECES = 2
    """Sound: `name` is the recording, `body` the pieces, sealed."""
    DROP = 3
    """What the recording `name` has up to the serial is not wanted any more."""


class Torn(ValueError):
    """No whole record begins here."""


@dataclass(frozen=True, slots=True)
class FileHead:
    spool: bytes
    """16 bytes: whose file it is."""
    serial: int
    """No record that is first written in this file has a lower one."""


@dataclass(frozen=True, slots=True)
class RecordHead:
    length: int
    """Of the whole record."""
    checksum: int
    kind: Kind
    name_length: int
    serial: int
    key: int


class Record(NamedTuple):
    kind: Kind
    serial: int
    key: int
    name: str
    body: bytes


class Piece(NamedTuple):
    """Sound as it was received, at its place in a lane."""

    lane: str
    take: int
    codec: str
    """One of `wire.runs.CODECS`: how `payload` is decoded."""
    rate: int
    start: int
    """The first sample's place in the lane."""
    samples: int
    payload: bytes
    digest: bytes = b""
    """SHA-256 of the take's body; empty for the frames of a live stream."""
    arrived_us: int | None = None
    """When a live frame came in on this machine's monotonic clock since the stream's start, for the drift's fit."""


def parse_file_head(data: bytes) -> FileHead:
    if len(data) < FILE_HEAD or data[: len(MAGIC)] != MAGIC:
        raise Torn
    _, spool, serial = _FILE.unpack_from(data)
    return FileHead(spool, serial)


def serialize_file_head(head: FileHead) -> bytes:
    return _FILE.pack(MAGIC, head.spool, head.serial)


def parse_head(data: bytes) -> RecordHead:
    """What stands before a record's name and body; not checked against them."""
    try:
        length, checksum, kind, name_length, serial, key = _RECORD.unpack_from(data)
        head = RecordHead(length, checksum, Kind(kind), name_length, serial, key)
    except (struct.error, ValueError) as error:
        raise Torn from error
    if length < RECORD_HEAD + name_length:
        raise Torn
    return head


def parse_record(data: bytes) -> Record:
    """The record that is exactly these bytes."""
    head = parse_head(data)
    if head.length != len(data) or zlib.crc32(memoryview(data)[_UNCHECKED.size :]) != head.checksum:
        raise Torn
    body = RECORD_HEAD + head.name_length
    return Record(head.kind, head.serial, head.key, data[RECORD_HEAD:body].decode(), data[body:])


def serialize_record(record: Record) -> bytes:
    name = record.name.encode()
    if len(name) > NAME_MAX:
        raise ValueError(record.name)
    checked = _CHECKED.pack(record.kind, len(name), record.serial, record.key) + name
    checksum = zlib.crc32(record.body, zlib.crc32(checked))
    length = _UNCHECKED.size + len(checked) + len(record.body)
    return b"".join((_UNCHECKED.pack(length, checksum), checked, record.body))


def binding(record: Record) -> bytes:
    """What a sealed body is bound to, so that it opens in no other place."""
    return struct.pack("<QQ", record.serial, record.key) + record.name.encode()


def nonce(serial: int) -> bytes:
    """A serial is used once, so it may be the nonce of what is sealed under it."""
    return serial.to_bytes(12, "big")


def parse_pieces(data: bytes) -> tuple[Piece, ...]:
    (count,) = _COUNT.unpack_from(data)
    head, body = _COUNT.size, _COUNT.size + count * _PIECE.size
    pieces = []
    for place in range(head, body, _PIECE.size):
        lane, codec, digest, rate, take, start, samples, arrived_us, length = _PIECE.unpack_from(data, place)
        name, hashed, payload = data[body : body + lane].decode(), body + lane, body + lane + digest
        body = payload + length
        when = None if arrived_us == _NEVER else arrived_us
        sound, proof = data[payload:body], data[hashed:payload]
        pieces.append(Piece(name, take, CODECS[codec], rate, start, samples, sound, proof, when))
    return tuple(pieces)


def serialize_pieces(pieces: Sequence[Piece]) -> bytes:
    heads: list[bytes] = [_COUNT.pack(len(pieces))]
    bodies: list[bytes] = []
    for p in pieces:
        lane = p.lane.encode()
        arrived_us = _NEVER if p.arrived_us is None else p.arrived_us
        sizes = (len(lane), CODECS.index(p.codec), len(p.digest))
        heads.append(_PIECE.pack(*sizes, p.rate, p.take, p.start, p.samples, arrived_us, len(p.payload)))
        bodies += (lane, p.digest, p.payload)
    return b"".join(heads + bodies)
