"""What the operator decided: the only module that reads the environment."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from callvault.domain.errors import Misconfigured
from callvault.wire.masterkey import parse_master_keys
from callvault.wire.storageurl import StorageUrlWrong, parse_storage_url

PREFIX: Final = "CALLVAULT_"
POSTGRES: Final = ("postgresql", "postgres")
YES, NO = ("1", "yes", "true", "on"), ("0", "no", "false", "off")


def setting(parse: Callable[[str], Any], default: Any, about: str, *, secret: bool = False) -> Any:
    """A secret is never shown, and may be given in a file named by `<its name>_FILE`."""
    return field(default=default, repr=not secret, metadata={"parse": parse, "about": about, "secret": secret})


def _url(*schemes: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if urlsplit(text).scheme not in schemes or not (":/" in text or text.startswith("memory:")):
            raise ValueError(f"a URL that begins with {' or '.join(f'{scheme}://' for scheme in schemes)}")
        return text

    return parse


def _database(text: str) -> str:
    scheme, _, rest = text.partition("://")
    host = re.split("[/?]", rest.rpartition("@")[2])[0]
    hosts_are_sound = all(re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]*)(:[0-9]{1,5})?", each) for each in host.split(","))
    if not (rest[:1] == "/" and rest[1:] if scheme == "sqlite" else scheme in POSTGRES and hosts_are_sound):
        raise ValueError("a URL such as sqlite:////folder/vault.db or postgresql://user:password@host:5432/vault")
    return text


def _master_key(text: str) -> str:
    parse_master_keys(text)
    return text


def _address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/") or parts.query:
        raise ValueError("an address such as https://vault.example.com, without a path")
    return f"{parts.scheme}://{parts.netloc}"


def _number(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch("[0-9]{1,18}", text) or not least <= int(text) <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return int(text)

    return parse


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return text.lower()

    return parse


def _switch(text: str) -> bool:
    if text.lower() not in YES + NO:
        raise ValueError("yes or no")
    return text.lower() in YES


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(part.rstrip("/") for part in re.split(r"[\s,]+", text) if part)
    if not all(origin == "*" or re.fullmatch(r"https?://[^/\s]+", origin) for origin in origins):
        raise ValueError("origins such as https://app.example.com, separated by commas, or *")
    return origins


def _secrets(text: str) -> tuple[str, ...]:
    secrets = tuple(re.split(r"[\s,]+", text.strip()))
    if not all(len(secret) >= 32 for secret in secrets):
        raise ValueError("secrets of 32 characters or more, separated by commas, the one that signs first")
    return secrets


def _text(text: str) -> str:
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    # Every `setting` makes a dataclass field: no default is shared.
    data: Path = setting(Path, Path("callvault-data"), "the folder for all that is kept on this machine")  # noqa: RUF009
    database: str = setting(
        _database,
        "",
        "`sqlite:///…` or `postgresql://…`; else a file in the data folder",
        secret=True,
    )
    storage: str = setting(
        _url("file", "s3", "gs", "az", "memory"),
        "",
        "`file:///…`, `s3://bucket/prefix?region=…&endpoint=…`, `gs://bucket/prefix` or "
        "`az://container/prefix?account=…`; `public_endpoint=…` is where links are signed for; else the data folder",
    )
    storage_access_key_id: str = setting(_text, "", "who we are to an S3 store")
    storage_secret_access_key: str = setting(_text, "", "the secret to it", secret=True)
    storage_session_token: str = setting(_text, "", "S3's token of temporary credentials", secret=True)
    storage_service_account_key: str = setting(_text, "", "the JSON of a Google service account's key", secret=True)
    storage_account_key: str = setting(_text, "", "the key of an Azure storage account", secret=True)
    master_key: str = setting(
        _master_key,
        "",
        "64 hexadecimal digits; former ones behind it; else `master.key` in the data folder",
        secret=True,
    )
    link_secret: tuple[str, ...] = setting(
        _secrets,
        (),
        "what vault links are signed with, former ones behind it; else made of the master key",
        secret=True,
    )
    public_url: str = setting(_address, "", "where clients reach us, when it is not the host name that they used")
    host: str = setting(_text, "127.0.0.1", "the address to listen on")
    port: int = setting(_number(0, 65535), 8080, "the port to listen on; 0 for any free one")
    workers: bool = setting(_switch, True, "whether a server does the work in the background too; no is `--no-workers`")
    trusted_proxies: str = setting(
        _text, "127.0.0.1", "addresses whose X-Forwarded-For and X-Forwarded-Proto are believed; * for all"
    )
    cors_origins: tuple[str, ...] = setting(_origins, (), "origins whose pages may read our answers; * for all")
    requests_per_minute: int = setting(
        _number(0, 10**9), 60_000, "of one key, and of one address without a key, in each process; 0 for no limit"
    )
    body_max: int = setting(_number(1024, 2**30), 2**20, "the most bytes of a request that is no sound or file")
    link_seconds_max: int = setting(_number(1, 604_800), 86_400, "the longest life of a link in a new workspace")
    idle_complete_seconds: int = setting(
        _number(5, 86_400), 300, "after so long without a word a recording of a new workspace is complete"
    )
    private_webhooks: bool = setting(_switch, False, "whether webhooks may go to private and local addresses")
    metrics_token: str = setting(_text, "", "what Prometheus must present as a Bearer token", secret=True)
    log_format: str = setting(_one_of("auto", "json", "plain"), "auto", "auto is plain on a terminal, else json")
    log_level: str = setting(_one_of("debug", "info", "warning", "error"), "info", "the least level that is logged")
    access_log: bool = setting(_switch, True, "whether each request is a line in the log")

    secret_files: tuple[Path, ...] = ()
    """Where secrets were read from, for those who check that nobody else can."""

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.data.absolute() / 'callvault.db'}"

    @property
    def storage_url(self) -> str:
        return self.storage or f"file://{quote(str(self.data.absolute() / 'objects'))}"

    @property
    def storage_credentials(self) -> dict[str, str]:
        names = ("access_key_id", "secret_access_key", "session_token", "service_account_key", "account_key")
        given = {name: getattr(self, f"storage_{name}") for name in names}
        return {name: value for name, value in given.items() if value}

    @property
    def master_key_path(self) -> Path:
        """Where the master key is when the environment does not hold it."""
        return self.data / "master.key"

    @property
    def spool_path(self) -> Path:
        return self.data / "spool"


def load(environ: Mapping[str, str] | None = None, **given: Any) -> Settings:
    """The settings of the environment, with what was `given` on the command line before them (None is not given).

    `Misconfigured` with every mistake at once, a line each.
    """
    environ = os.environ if environ is None else environ
    known = {PREFIX + each.name.upper(): each for each in fields(Settings) if each.metadata}
    problems = list(_unknown(environ, known))
    values: dict[str, Any] = {}
    for name, each in known.items():
        try:
            text = _given(environ, name, each)
            if text:
                values[each.name] = each.metadata["parse"](text)
        except ValueError as mistake:
            shown = "" if each.metadata["secret"] else f", not '{environ.get(name, '')}'"
            problems.append(f"{name} must be {mistake}{shown}")
    values["secret_files"] = tuple(Path(environ[f"{name}_FILE"]) for name in known if environ.get(f"{name}_FILE"))
    settings = Settings(**values | {name: value for name, value in given.items() if value is not None})
    if not any(problem.startswith(f"{PREFIX}STORAGE must") for problem in problems):
        problems += _wrong_with_storage(settings)
    if problems:
        raise Misconfigured(problems="\n".join(problems))
    return settings


def _wrong_with_storage(settings: Settings) -> list[str]:
    try:
        parse_storage_url(settings.storage_url, settings.storage_credentials)
    except StorageUrlWrong as wrong:
        return [f"{PREFIX}STORAGE: {problem}" for problem in wrong.problems]
    return []


def reference() -> str:
    """All settings as a table in Markdown, for the reference page."""
    rows = ["| setting | default | what it is |", "| --- | --- | --- |"]
    for each in filter(lambda each: each.metadata, fields(Settings)):
        name = PREFIX + each.name.upper()
        shown = f"`{name}`, `{name}_FILE`" if each.metadata["secret"] else f"`{name}`"
        rows.append(f"| {shown} | {_shown(each.default)} | {each.metadata['about']} |")
    return "\n".join(rows) + "\n"


def _unknown(environ: Mapping[str, str], known: Mapping[str, "Field[Any]"]) -> Iterator[str]:
    names = set(known) | {f"{name}_FILE" for name, each in known.items() if each.metadata["secret"]}
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in names:
            near = get_close_matches(name.removeprefix(PREFIX), [known.removeprefix(PREFIX) for known in names], 1)
            hint = f": is {PREFIX}{near[0]} meant?" if near else "; see docs/reference/settings.md"
            yield f"{name} is no setting{hint}"


def _given(environ: Mapping[str, str], name: str, each: "Field[Any]") -> str:
    path = environ.get(f"{name}_FILE") if each.metadata["secret"] else None
    if not path:
        return environ.get(name, "").strip()
    if environ.get(name):
        raise ValueError(f"given once: {name}_FILE is set as well")
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"in a file that can be read: {path} cannot ({type(error).__name__})") from None


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    return f"`{default}`" if default not in ("", ()) else ""
