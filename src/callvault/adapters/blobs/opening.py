"""From one storage URL to the storage it names, and to what signs its URLs."""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from obstore.store import AzureStore, GCSStore, S3Store

from callvault.adapters.blobs.disk import DiskBlobs
from callvault.adapters.blobs.memory import MemoryBlobs
from callvault.adapters.blobs.objectstore import ObjectStoreBlobs
from callvault.adapters.blobs.presigning import AzurePresigner, SigV4Presigner
from callvault.adapters.blobs.retrying import RetryingBlobs
from callvault.domain.errors import Misconfigured
from callvault.ports.blobs import Blobs, Presigning
from callvault.ports.room import NewScratch
from callvault.wire.azuresas import AzureSigner
from callvault.wire.sigv4 import AwsSigner, GoogleSigner
from callvault.wire.storageurl import StoragePlace, StorageUrlWrong, parse_storage_url

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Credential

RETRIES: "RetryConfig" = {
    "max_retries": 2,
    "retry_timeout": timedelta(seconds=20),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=1), "base": 3},
}
"""Of one request, so that a part of a large object is sent again and not the whole; `RetryingBlobs` does the rest."""


def open_blobs(
    url: str, credentials: Mapping[str, str] | None = None, scratch: NewScratch = SpooledTemporaryFile
) -> Blobs:
    """The storage, retrying where it is far away: `scratch` is for what may have to be sent again. Without credentials,
    an object store's client looks for those that its cloud gives to machines and for the environment's (`AWS_…`,
    `GOOGLE_…`, `AZURE_…`)."""
    place = _place(url, credentials)
    opened = OPENERS[place.scheme](place)
    return RetryingBlobs(opened, scratch=scratch) if isinstance(opened, ObjectStoreBlobs) else opened


def open_presigner(url: str, credentials: Mapping[str, str] | None = None) -> Presigning | None:
    """None where there is nothing to sign with: for folders, and without credentials of our own."""
    place = _place(url, credentials)
    opener = PRESIGNERS.get(place.scheme)
    return opener(place) if opener and place.credentials else None


def google_signer(service_account_key: str) -> GoogleSigner:
    """From the JSON that Google gives for a service account's key."""
    try:
        account = json.loads(service_account_key)
        private = load_pem_private_key(account["private_key"].encode(), password=None)
        address = str(account["client_email"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Misconfigured(problems="the service_account_key is not the JSON of a service account's key") from None
    if not isinstance(private, RSAPrivateKey):
        raise Misconfigured(problems="the service_account_key holds no RSA key")
    return GoogleSigner(address, private)


def _place(url: str, credentials: Mapping[str, str] | None) -> StoragePlace:
    try:
        return parse_storage_url(url, credentials or {})
    except StorageUrlWrong as wrong:
        raise Misconfigured(problems=str(wrong)) from None


def _open_s3(place: StoragePlace) -> Blobs:
    endpoint = place.endpoint(f"https://s3.{place.region}.amazonaws.com")
    store = S3Store(
        place.bucket,
        prefix=place.path or None,
        endpoint=endpoint if place.path_style else place.bucket_address(),
        virtual_hosted_style_request=not place.path_style,
        region=place.region,
        client_options=_client(place),
        retry_config=RETRIES,
        credential_provider=_s3_credential(place) if place.credentials else None,
    )
    return ObjectStoreBlobs(store)


def _s3_credential(place: StoragePlace) -> "Callable[[], S3Credential]":
    """All three at once: given one by one, a session token of the environment's would be sent along with them."""
    held = place.credentials
    credential: S3Credential = {
        "access_key_id": held["access_key_id"],
        "secret_access_key": held["secret_access_key"],
        "token": held.get("session_token"),
        "expires_at": None,
    }
    return lambda: credential


def _open_gs(place: StoragePlace) -> Blobs:
    options = {"base_url": place.endpoint("")} if "endpoint" in place.options else {}
    store = GCSStore(
        place.bucket,
        prefix=place.path or None,
        client_options=_client(place),
        retry_config=RETRIES,
        **options,  # type: ignore[arg-type]
        **place.credentials,  # type: ignore[arg-type]
    )
    return ObjectStoreBlobs(store)


def _open_az(place: StoragePlace) -> Blobs:
    store = AzureStore(
        place.bucket,
        prefix=place.path or None,
        account_name=place.options["account"],
        endpoint=_azure_endpoint(place),
        client_options=_client(place),
        retry_config=RETRIES,
        **place.credentials,  # type: ignore[arg-type]
    )
    return ObjectStoreBlobs(store)


def _client(place: StoragePlace) -> "ClientConfig":
    return {
        "allow_http": place.options.get("endpoint", "").startswith("http://"),
        "connect_timeout": timedelta(seconds=5),
        "timeout": timedelta(seconds=60),
        "user_agent": "callvault",
    }


def _azure_endpoint(place: StoragePlace, public: bool = False) -> str:
    return place.endpoint(f"https://{place.options['account']}.blob.core.windows.net", public)


def _presign_s3(place: StoragePlace) -> Presigning:
    held = place.credentials
    token = held.get("session_token", "")
    signer = AwsSigner(held["access_key_id"], held["secret_access_key"], place.region, session_token=token)
    return SigV4Presigner(signer, place.bucket_address(public=True), place.prefix)


def _presign_gs(place: StoragePlace) -> Presigning:
    signer = google_signer(place.credentials["service_account_key"])
    address = place.endpoint("https://storage.googleapis.com", public=True)
    return SigV4Presigner(signer, f"{address}/{place.bucket}", place.prefix)


def _presign_az(place: StoragePlace) -> Presigning:
    signer = AzureSigner(place.options["account"], place.credentials["account_key"])
    return AzurePresigner(signer, _azure_endpoint(place, public=True), place.bucket, place.prefix)


OPENERS: dict[str, Callable[[StoragePlace], Blobs]] = {
    "file": lambda place: DiskBlobs(Path(place.path)),
    "memory": lambda place: MemoryBlobs(),
    "s3": _open_s3,
    "gs": _open_gs,
    "az": _open_az,
}
PRESIGNERS: dict[str, Callable[[StoragePlace], Presigning]] = {"s3": _presign_s3, "gs": _presign_gs, "az": _presign_az}
