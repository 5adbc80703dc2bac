"""The documents, for programs and for people."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from callvault.web.apidocs import page
from callvault.web.app import all_parts
from callvault.web.openapi import document
from callvault.web.options import Options
from tests.unit.web import sample
from tests.webhouse import webhouse

DOCUMENTED = {part.name: part for part in all_parts() if part.documented}


class Seen(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str | None] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self.tags.add(tag)
        if tag == "section":
            self.ids.append(told.get("id"))
        if tag == "a":
            self.links.append(str(told.get("href")))


async def test_every_part_has_its_document_and_its_page() -> None:
    async with webhouse(Options(version="1.2.3"), [sample.PART]) as house:
        assert (await house.client.get("/openapi")).json() == {"sample": "/openapi/sample.json"}
        told = (await house.client.get("/openapi/sample.json")).json()
        assert told["info"]["version"] == "1.2.3"
        assert (await house.client.get("/docs")).headers["location"] == "/docs/sample"
        shown = await house.client.get("/docs/sample")
        assert shown.headers["content-type"] == "text/html; charset=utf-8"
        assert "/sample/hot/{name}.json" in shown.text
        for path in ("/openapi/nothing.json", "/docs/nothing"):
            assert (await house.client.get(path)).status_code == 404


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_document_tells_what_the_front_may_answer_to_any_operation(name: str) -> None:
    for path, operations in document(DOCUMENTED[name], "1")["paths"].items():
        for method, operation in operations.items():
            told = operation["responses"].keys()
            assert "default" in told or {"413", "429", "503"} <= told, (method, path)


@pytest.mark.parametrize("name", ["native", "vapi", "osvi", "dotdo"])
def test_no_document_tells_of_a_form_that_its_errors_do_not_have(name: str) -> None:
    assert "HTTPValidationError" not in document(DOCUMENTED[name], "1")["components"]["schemas"]


@pytest.mark.parametrize("name", DOCUMENTED)
def test_what_is_taken_when_nothing_is_said_could_be_said(name: str) -> None:
    told = document(DOCUMENTED[name], "1")
    for place, schema in defaulted(told):
        within = {**schema, "components": told["components"]}
        assert Draft202012Validator(within).is_valid(schema["default"]), (place, schema)


def defaulted(node: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """The schemas that tell a default, and where they stand."""
    if isinstance(node, dict) and "default" in node and not place.endswith(("/properties", "/responses")):
        yield place, node
    for name, each in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from defaulted(each, f"{place}/{name}")


async def test_a_page_needs_nothing_but_its_own_style() -> None:
    async with webhouse(Options(), [sample.PART]) as house:
        shown = await house.client.get("/docs/sample")
    policy = shown.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; frame-ancestors 'none'; style-src 'sha256-")
    assert not {"script", "link", "img", "iframe"} & Seen(shown.text).tags


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_page_tells_every_operation_and_leads_to_it(name: str) -> None:
    told = document(DOCUMENTED[name], "1")
    seen = Seen(page(told, ["other"]))
    operations = sum(len(item) for item in told["paths"].values())
    assert len(seen.ids) == len(set(seen.ids)) == operations
    assert [link for link in seen.links if link.startswith("#")] == [f"#{each}" for each in seen.ids]
    assert "/docs/other" in seen.links


def test_what_a_document_says_cannot_become_markup() -> None:
    told = document(sample.PART, "1")
    told["info"]["title"] = "<script>alert(1)</script>"
    told["paths"]["/sample/facts"]["get"]["summary"] = "<img src=x>"
    shown = page(told, [])
    assert "script" not in Seen(shown).tags
    assert "img" not in Seen(shown).tags
    assert re.search("&lt;script&gt;", shown)


def test_a_schema_that_holds_itself_ends() -> None:
    told = document(sample.PART, "1")
    told["components"]["schemas"]["Loop"] = {
        "properties": {"next": {"$ref": "#/components/schemas/Loop"}},
        "anyOf": [{"$ref": "#/components/schemas/Loop"}],
    }
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Loop"}}}
    told["paths"]["/sample/facts"]["get"]["responses"]["200"]["content"] = content
    assert page(told, []).count("<code>next</code>") < 2_000
