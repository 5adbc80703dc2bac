"""The data keys of the journal: one for each workspace in each file, wrapped by the workspace's key."""

import os
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from callvault.domain.errors import BlobCorrupt, KeyUnavailable
from callvault.ports.keyring import Keyring
from callvault.wire.spoolfile import Kind, Record, binding, nonce


@dataclass(frozen=True, slots=True)
class DataKey:
    record: Record
    """As it stands in a file before the first record that is sealed under it."""
    cipher: AESGCM | None
    wrapped_by: str | None
    """The workspace's key of this id; None where nothing is sealed."""

    def seal(self, record: Record) -> Record:
        if self.cipher is None:
            return record
        return record._replace(body=self.cipher.encrypt(nonce(record.serial), record.body, binding(record)))


class JournalKeys:
    """Makes the key records, and opens the pieces under them. Without a keyring nothing is sealed."""

    def __init__(self, spool_id: str, keyring: Keyring | None) -> None:
        self._spool_id = spool_id
        self._keyring = keyring
        self._newest: dict[str, DataKey] = {}
        self._records: dict[int, Record] = {}
        self._opened: dict[int, AESGCM | None] = {}

    def newest(self, workspace_id: str) -> DataKey:
        """The key that seals what comes in now. It hangs on the workspace's key of now and on none before."""
        key = self._newest.get(workspace_id)
        wraps = self._keyring.newest(workspace_id) if self._keyring else None
        if key is None or key.wrapped_by != wraps:
            key = self._newest[workspace_id] = self._fresh(workspace_id)
        return key

    def _fresh(self, workspace_id: str) -> DataKey:
        key, data_key = int.from_bytes(os.urandom(8), "big"), os.urandom(32)
        sealing = b""
        if self._keyring:
            sealing = self._keyring.wrap(workspace_id, data_key, self._name(key))[0].encode()
        record = Record(Kind.KEY, 0, key, workspace_id, sealing)
        wrapped_by = sealing.partition(b".")[0].decode() or None
        return DataKey(record, AESGCM(data_key) if sealing else None, wrapped_by)

    def wrote(self, key: DataKey) -> None:
        """Its record is in a file."""
        self._opened[key.record.key] = key.cipher
        self.learn(key.record)

    def learn(self, record: Record) -> None:
        """A key record, as it was found in a file."""
        self._records[record.key] = record

    def record(self, key: int) -> Record:
        return self._records[key]

    def workspace(self, key: int) -> str:
        return self._records[key].name

    def forget(self, keys: set[int]) -> None:
        """No file has a record of them any more."""
        for key in keys:
            self._records.pop(key, None)
            self._opened.pop(key, None)

    def open(self, record: Record) -> bytes:
        cipher = self._cipher(record.key)
        if cipher is None:
            return record.body
        try:
            return cipher.decrypt(nonce(record.serial), record.body, binding(record))
        except InvalidTag as error:
            raise BlobCorrupt(key=f"spool record {record.serial}", why="it was changed") from error

    def _cipher(self, key: int) -> AESGCM | None:
        if key not in self._opened:
            record = self._records[key]
            self._opened[key] = AESGCM(self._unwrapped(record)) if record.body else None
        return self._opened[key]

    def _unwrapped(self, record: Record) -> bytes:
        if self._keyring is None:
            raise KeyUnavailable(key=record.name, why="the spool was sealed and is opened without keys")
        return self._keyring.unwrap(record.name, record.body.decode(), self._name(record.key))

    def _name(self, key: int) -> str:
        return f"spool/{self._spool_id}/{key:016x}"
