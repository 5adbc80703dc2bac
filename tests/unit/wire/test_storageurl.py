"""What a storage URL says, and every mistake in one at once."""

import pytest

from callvault.wire.storageurl import StoragePlace, StorageUrlWrong, parse_storage_url

KEYS = {"access_key_id": "id", "secret_access_key": "secret"}


def place(url: str, **credentials: str) -> StoragePlace:
    return parse_storage_url(url, credentials)


def test_a_folder() -> None:
    assert place("file:///var/lib/call%20vault").path == "/var/lib/call vault"


def test_memory() -> None:
    assert place("memory:").scheme == "memory"


def test_a_bucket_with_a_place_in_it() -> None:
    found = place("s3://bucket/a/b/?region=eu-west-1", **KEYS)
    assert (found.bucket, found.path, found.prefix, found.region) == ("bucket", "a/b", "a/b/", "eu-west-1")
    assert place("gs://bucket").prefix == ""


@pytest.mark.parametrize(
    ("options", "inner", "public"),
    [
        ("", "https://b.s3.us-east-1.amazonaws.com", "https://b.s3.us-east-1.amazonaws.com"),
        ("region=eu-west-1&path_style=true", "https://s3.eu-west-1.amazonaws.com/b", "https://s3.eu-west-1.amazonaws.com/b"),
        ("endpoint=http://minio:9000/", "http://minio:9000/b", "http://minio:9000/b"),
        ("endpoint=http://minio:9000&public_endpoint=https://s.example.com", "http://minio:9000/b", "https://s.example.com/b"),
        ("endpoint=https://s3.example.com&path_style=false", "https://b.s3.example.com", "https://b.s3.example.com"),
    ],
)  # fmt: skip
def test_where_the_bucket_stands_in_the_address(options: str, inner: str, public: str) -> None:
    found = place(f"s3://b/p?{options}")
    assert (found.bucket_address(), found.bucket_address(public=True)) == (inner, public)


@pytest.mark.parametrize(
    ("url", "credentials", "problem"),
    [
        ("", {}, "begins with one of"),
        ("/var/lib/vault", {}, "begins with one of"),
        ("ftp://host/x", {}, "begins with one of"),
        ("file://var/lib", {}, "file:///absolute/path"),
        ("file:///", {}, "file:///absolute/path"),
        ("file:///x?region=y", {}, "no option 'region'"),
        ("s3:///prefix", {}, "names the bucket"),
        ("s3://b?regoin=x", {}, "no option 'regoin'"),
        ("s3://id:hidden@b", {}, "holds no credentials"),
        ("s3://b", {"access_key_id": "id"}, "needs both"),
        ("s3://b", {"account_key": "hidden"}, "no credential 'account_key'"),
        ("file:///x", KEYS, "takes no credential 'access_key_id'"),
        ("s3://b?endpoint=minio:9000", {}, "endpoint begins with https://"),
        ("s3://b?public_endpoint=//x", {}, "public_endpoint begins with https://"),
        ("s3://b?path_style=yes", {}, "true or false"),
        ("az://box", {}, "account=NAME"),
        ("s3://[", {}, "no URL"),
    ],
)
def test_a_mistake_is_told_and_no_secret_with_it(url: str, credentials: dict[str, str], problem: str) -> None:
    with pytest.raises(StorageUrlWrong, match=problem) as wrong:
        parse_storage_url(url, credentials)
    assert "hidden" not in str(wrong.value)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(StorageUrlWrong) as wrong:
        place("az://?x=1&endpoint=y", account="z")
    assert len(wrong.value.problems) == 5


def test_credentials_left_empty_are_none() -> None:
    assert place("s3://b", access_key_id="", secret_access_key="").credentials == {}


def test_a_place_does_not_show_its_credentials() -> None:
    assert "secret" not in repr(place("s3://b", **KEYS))
