"""The revisions of the schema that this program knows, by the names of its migrations."""

from importlib.resources import files

from callvault.domain.errors import Misconfigured, StoreTooNew


def known() -> list[str]:
    """In order."""
    scripts = (files("callvault.adapters.store") / "migrations" / "versions").iterdir()
    return sorted(script.name[1:5] for script in scripts if script.name.startswith("v") and script.name.endswith(".py"))


def verify(revision: str | None) -> None:
    """Returns when a database at the revision fits this program."""
    if revision is not None and revision not in known():
        raise StoreTooNew(revision=revision)
    if revision != known()[-1]:
        raise Misconfigured(problems=f"the database is at revision {revision or 'none'}: run 'callvault migrate'")
