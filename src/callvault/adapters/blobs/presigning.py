"""The object stores' own signed URLs, for the address at which the world reaches them; signing asks nobody."""

from dataclasses import dataclass

from callvault.adapters.blobs.measure import checked
from callvault.domain.stored import StoredObject
from callvault.wire.azuresas import AzureSigner
from callvault.wire.sigv4 import AwsSigner, GoogleSigner, presign


@dataclass(frozen=True, slots=True)
class SigV4Presigner:
    """For S3, all that speak it, and Google Cloud Storage."""

    signer: AwsSigner | GoogleSigner
    address: str
    """Scheme, host and, path-style, the bucket."""
    prefix: str = ""

    def presign(
        self, obj: StoredObject, *, seconds: int, media_type: str, disposition: str, now_ms: int, method: str = "GET"
    ) -> str:
        shown = {"response-content-type": media_type, "response-content-disposition": disposition}
        address = f"{self.address}/{self.prefix}{_open(obj)}"
        return presign(self.signer, method, address, shown, now_ms=now_ms, seconds=seconds)


@dataclass(frozen=True, slots=True)
class AzurePresigner:
    signer: AzureSigner
    address: str
    container: str
    prefix: str = ""

    def presign(
        self, obj: StoredObject, *, seconds: int, media_type: str, disposition: str, now_ms: int, method: str = "GET"
    ) -> str:
        """The same URL answers GET and HEAD."""
        blob = f"{self.prefix}{_open(obj)}"
        shown = {"media_type": media_type, "disposition": disposition}
        return self.signer.presign(self.address, self.container, blob, now_ms=now_ms, seconds=seconds, **shown)


def _open(obj: StoredObject) -> str:
    if obj.sealing is not None:
        raise ValueError(f"{obj.key} is sealed: its bucket can give out nothing but sealed bytes")
    return checked(obj.key)
