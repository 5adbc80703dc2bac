"""One URL that says where objects are kept: `file:///…`, `memory:`, `s3://…`, `gs://…`, `az://…`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

OPTIONS: dict[str, set[str]] = {
    "file": set(),
    "memory": set(),
    "s3": {"region", "endpoint", "public_endpoint", "path_style"},
    "gs": {"endpoint", "public_endpoint"},
    "az": {"account", "endpoint", "public_endpoint"},
}
CREDENTIALS: dict[str, set[str]] = {
    "s3": {"access_key_id", "secret_access_key", "session_token"},
    "gs": {"service_account_key"},
    "az": {"account_key"},
}


class StorageUrlWrong(ValueError):
    """Every mistake in it, not only the first."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


@dataclass(frozen=True, slots=True)
class StoragePlace:
    scheme: str
    bucket: str
    path: str
    """The folder, or where in the bucket, without slashes around it."""
    options: Mapping[str, str]
    credentials: Mapping[str, str] = field(repr=False)

    @property
    def prefix(self) -> str:
        return f"{self.path}/" if self.path else ""

    @property
    def region(self) -> str:
        return self.options.get("region", "us-east-1")

    @property
    def path_style(self) -> bool:
        """As it says; else with an endpoint of its own, for that is what other stores than Amazon's understand."""
        return self.options.get("path_style", str("endpoint" in self.options)).lower() == "true"

    def endpoint(self, default: str, public: bool = False) -> str:
        inner = self.options.get("endpoint", default)
        return (self.options.get("public_endpoint", inner) if public else inner).rstrip("/")

    def bucket_address(self, public: bool = False) -> str:
        """For S3: scheme, host, and the bucket in one of its two places."""
        endpoint = self.endpoint(f"https://s3.{self.region}.amazonaws.com", public)
        if self.path_style:
            return f"{endpoint}/{self.bucket}"
        scheme, _, host = endpoint.partition("://")
        return f"{scheme}://{self.bucket}.{host}"


def parse_storage_url(url: str, credentials: Mapping[str, str]) -> StoragePlace:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise StorageUrlWrong(["the storage URL is no URL"]) from None
    place = StoragePlace(
        scheme=parts.scheme,
        bucket=parts.netloc,
        path=unquote(parts.path) if parts.scheme == "file" else unquote(parts.path).strip("/"),
        options=dict(parse_qsl(parts.query, keep_blank_values=True)),
        credentials={name: value for name, value in credentials.items() if value},
    )
    if problems := list(_problems(place)):
        raise StorageUrlWrong(problems)
    return place


def _problems(place: StoragePlace) -> Iterator[str]:
    if place.scheme not in OPTIONS:
        yield f"a storage URL begins with one of {', '.join(f'{name}:' for name in OPTIONS)}"
        return
    for option in sorted(place.options.keys() - OPTIONS[place.scheme]):
        yield f"{place.scheme}: storage has no option {option!r}, but {sorted(OPTIONS[place.scheme])}"
    for name in sorted(place.credentials.keys() - CREDENTIALS.get(place.scheme, set())):
        yield f"{place.scheme}: storage takes no credential {name!r}"
    if "@" in place.bucket:
        yield "a storage URL holds no credentials, for URLs are shown: give them by their own settings"
    yield from _missing(place)
    yield from _malformed(place)


def _missing(place: StoragePlace) -> Iterator[str]:
    if place.scheme == "file" and (place.bucket or len(place.path) < 2):
        yield "a storage folder is written file:///absolute/path"
    if place.scheme in CREDENTIALS and not place.bucket:
        yield f"a storage URL names the bucket: {place.scheme}://bucket/prefix"
    if place.scheme == "az" and not place.options.get("account"):
        yield "az: storage needs the option account=NAME"
    if len(place.credentials.keys() & {"access_key_id", "secret_access_key"}) == 1:
        yield "s3: storage needs both access_key_id and secret_access_key, or neither"


def _malformed(place: StoragePlace) -> Iterator[str]:
    for name in ("endpoint", "public_endpoint"):
        if not place.options.get(name, "https://").startswith(("http://", "https://")):
            yield f"the storage's {name} begins with https:// or http://"
    if place.options.get("path_style", "true").lower() not in {"true", "false"}:
        yield "the storage's path_style is true or false"
