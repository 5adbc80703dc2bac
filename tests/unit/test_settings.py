"""What the operator decided, and every way to write it wrongly."""

from dataclasses import fields
from pathlib import Path

import pytest

from callvault.domain.errors import Misconfigured
from callvault.settings import PREFIX, Settings, load, reference

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"


def problems(**environ: str) -> list[str]:
    with pytest.raises(Misconfigured) as told:
        load({PREFIX + name: value for name, value in environ.items()})
    return str(told.value).split("\n")


def test_with_nothing_set_all_is_kept_in_a_folder() -> None:
    settings = load({})
    assert settings.database_url == f"sqlite:///{Path.cwd()}/callvault-data/callvault.db"
    assert settings.storage_url == f"file://{Path.cwd()}/callvault-data/objects"
    assert (settings.host, settings.port) == ("127.0.0.1", 8080)


def test_every_mistake_is_told_at_once_with_what_would_be_right() -> None:
    told = problems(PORT="eighty", STORAGE="ftp://x", PUBLIC_URL="vault.example.com", WORKERS="-1", LOG_LEVEL="loud")
    assert told == [
        "CALLVAULT_STORAGE must be a URL that begins with file:// or s3:// or gs:// or az:// or memory://, not 'ftp://x'",
        "CALLVAULT_PUBLIC_URL must be an address such as https://vault.example.com, without a path, "
        "not 'vault.example.com'",
        "CALLVAULT_PORT must be a whole number from 0 to 65535, not 'eighty'",
        "CALLVAULT_WORKERS must be yes or no, not '-1'",
        "CALLVAULT_LOG_LEVEL must be one of debug, info, warning, error, not 'loud'",
    ]


def test_the_parts_of_a_url_and_of_a_key_are_looked_at_too() -> None:
    told = problems(DATABASE="sqlite://vault.db", MASTER_KEY="beef", STORAGE="s3://?zone=1", STORAGE_ACCESS_KEY_ID="a")
    assert told == [
        "CALLVAULT_DATABASE must be a URL such as sqlite:////folder/vault.db or "
        "postgresql://user:password@host:5432/vault",
        "CALLVAULT_MASTER_KEY must be 64 hexadecimal digits, as 'openssl rand -hex 32' prints them",
        "CALLVAULT_STORAGE: s3: storage has no option 'zone', but ['endpoint', 'path_style', 'public_endpoint', "
        "'region']",
        "CALLVAULT_STORAGE: a storage URL names the bucket: s3://bucket/prefix",
        "CALLVAULT_STORAGE: s3: storage needs both access_key_id and secret_access_key, or neither",
    ]


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////srv/vault.db",
        "postgres://vault@db/vault",
        "postgresql://vault:p%40ss@[::1]:5432/vault?sslmode=require",
        "postgresql://one:5432,two:5433/vault",
        "postgresql://postgres@/vault?host=/run/postgresql",
    ],
)
def test_a_database_is_named_by_any_sound_url(url: str) -> None:
    assert load({"CALLVAULT_DATABASE": url}).database_url == url


@pytest.mark.parametrize(
    "url", ["sqlite:/v.db", "sqlite:///", "sqlite://v.db", "postgresql:vault", "postgresql://h:x/v"]
)
def test_any_other_url_is_no_database(url: str) -> None:
    assert problems(DATABASE=url)[0].startswith("CALLVAULT_DATABASE must be a URL such as")


def test_an_unknown_setting_is_a_mistake_and_the_nearest_is_named() -> None:
    assert problems(STORAGE_SECRET_KEY="x", PROT="1", XYZZY="1") == [
        "CALLVAULT_PROT is no setting: is CALLVAULT_PORT meant?",
        "CALLVAULT_STORAGE_SECRET_KEY is no setting: is CALLVAULT_STORAGE_SECRET_ACCESS_KEY meant?",
        "CALLVAULT_XYZZY is no setting; see docs/reference/settings.md",
    ]


def test_other_programs_variables_are_left_alone() -> None:
    assert load({"PORT": "eighty", "CALLVAULTS": "1"}).port == 8080


def test_a_secret_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("ab" * 32 + "\n")
    assert load({"CALLVAULT_MASTER_KEY_FILE": str(tmp_path / "key")}).master_key == "ab" * 32


def test_a_file_that_cannot_be_read_and_a_secret_given_twice_are_mistakes(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("x")
    told = problems(MASTER_KEY_FILE=str(tmp_path / "none"), METRICS_TOKEN="a", METRICS_TOKEN_FILE=str(tmp_path / "key"))
    assert told == [
        f"CALLVAULT_MASTER_KEY must be in a file that can be read: {tmp_path}/none cannot (FileNotFoundError)",
        "CALLVAULT_METRICS_TOKEN must be given once: CALLVAULT_METRICS_TOKEN_FILE is set as well",
    ]


def test_a_wrong_secret_is_not_shown() -> None:
    assert "hunter2" not in "".join(problems(LINK_SECRET="hunter2", DATABASE="mysql://vault:hunter2@db/vault"))


def test_secrets_do_not_show_when_settings_are_printed() -> None:
    settings = load({"CALLVAULT_METRICS_TOKEN": "hunter2", "CALLVAULT_DATABASE": "postgresql://vault:hunter2@db/vault"})
    assert "hunter2" not in repr(settings)


def test_several_link_secrets_and_origins_are_separated_by_commas_or_spaces() -> None:
    settings = load(
        {"CALLVAULT_LINK_SECRET": f"{'a' * 32}, {'b' * 32}", "CALLVAULT_CORS_ORIGINS": "https://a http://b:1"}
    )
    assert settings.link_secret == ("a" * 32, "b" * 32)
    assert settings.cors_origins == ("https://a", "http://b:1")


def test_the_command_line_goes_before_the_environment() -> None:
    settings = load({"CALLVAULT_PORT": "1", "CALLVAULT_HOST": "::1"}, port=2, host=None)
    assert (settings.port, settings.host) == (2, "::1")


def test_an_empty_variable_is_as_good_as_none() -> None:
    assert load({"CALLVAULT_PORT": "", "CALLVAULT_DATABASE": " "}) == load({})


@pytest.mark.parametrize(("text", "meant"), [("yes", True), ("0", False), ("ON", True), ("false", False)])
def test_switches_are_yes_or_no(text: str, meant: bool) -> None:
    assert load({"CALLVAULT_PRIVATE_WEBHOOKS": text}).private_webhooks is meant


def test_the_reference_page_tells_every_setting() -> None:
    assert len(reference().splitlines()) == len(fields(Settings)) - 1 + 2
    assert reference() in PAGE.read_text(), "put settings.reference() into docs/reference/settings.md"
