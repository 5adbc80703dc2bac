"""Whether a storage can do all that is asked of it: one object put, read and deleted."""

import secrets

from callvault.domain.errors import Misconfigured
from callvault.ports.blobs import Blobs


def probe(blobs: Blobs) -> None:
    key, sound = f"check/{secrets.token_hex(8)}", secrets.token_bytes(64)
    obj = blobs.put(key, [sound])
    try:
        if blobs.read(obj, 16, 32) != sound[16:48]:
            raise Misconfigured(problems="the storage does not give back what was put into it")
    finally:
        blobs.delete(key)
