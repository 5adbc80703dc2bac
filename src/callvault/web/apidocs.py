"""An OpenAPI document as a page for people: plain HTML, without a script or a stranger's server."""

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any, Final

DEEP: Final = 4
"""So many schemas within schemas are unfolded."""
STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1rem;color:#1a1a1a;background:#fff}
nav{columns:20rem;font-size:.85rem;margin-bottom:1rem}nav a{display:flex}a{color:#0b57d0;text-decoration:none}
section{border-top:1px solid #ddd;padding:.5rem 0}h2{font-size:1rem;margin:.5rem 0}
code,h2{font-family:ui-monospace,monospace}b.m{display:inline-block;min-width:4.8rem}
nav a,h2,td:last-child{overflow-wrap:anywhere}
table{border-collapse:collapse;font-size:.9rem;width:100%}
td,th{border-bottom:1px solid #eee;padding:.2rem .5rem .2rem 0;text-align:left;vertical-align:top}
ul{margin:.2rem 0;padding-left:1.2rem}small{color:#555}
@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}a{color:#8ab4f8}section,td,th{border-color:#333}
small{color:#aaa}}
""".strip()
POLICY: Final = (
    "default-src 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
)
"""The content security policy of the page."""

Json = Mapping[str, Any]


def page(document: Json, others: Iterable[str]) -> str:
    info = document["info"]
    operations = [
        (path, method, operation) for path, item in document["paths"].items() for method, operation in item.items()
    ]
    links = "".join(f'<a href="#{_anchor(m, p)}"><b class="m">{m.upper()}</b>{escape(p)}</a>' for p, m, _ in operations)
    rest = " · ".join(f'<a href="/docs/{escape(name)}">{escape(name)}</a>' for name in others)
    body = "".join(_operation(document, *each) for each in operations)
    title, about = escape(info["title"]), escape(info.get("description", ""))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}: API</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        f"<p><small>{rest}</small></p><h1>{title}</h1><p>{about}</p><p>{_key(document)}</p>"
        f"<nav>{links}</nav>{body}</body></html>"
    )


def _key(document: Json) -> str:
    scheme = next(iter(document["components"]["securitySchemes"].values()))
    header = f"{scheme['name']}: <key>" if scheme["type"] == "apiKey" else "Authorization: Bearer <key>"
    return f"Requests carry a key: <code>{escape(header)}</code>."


def _operation(document: Json, path: str, method: str, operation: Json) -> str:
    scopes = " or ".join(operation.get("x-scopes", ()))
    who = f"scope {scopes}" if scopes else "any key" if operation.get("security") else "no key"
    return (
        f'<section id="{_anchor(method, path)}"><h2><b class="m">{method.upper()}</b>{escape(path)}</h2>'
        f"<p>{escape(operation.get('summary', ''))} <small>({escape(who)})</small></p>"
        f"{_paragraphs(operation.get('description', ''))}"
        f"{_parameters(operation.get('parameters', ()))}"
        f"{_body(document, operation.get('requestBody'))}"
        f"{_responses(document, operation['responses'])}</section>"
    )


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{escape(part)}</p>" for part in text.split("\n\n") if part.strip())


def _parameters(parameters: Iterable[Json]) -> str:
    rows = [
        f"<tr><td><code>{escape(each['name'])}</code><td>{escape(each['in'])}"
        f"<td>{escape(_kind(each.get('schema', {})))}{' required' if each.get('required') else ''}"
        f"<td>{escape(each.get('description', ''))}"
        for each in parameters
    ]
    return f"<table>{''.join(rows)}</table>" if rows else ""


def _body(document: Json, body: Json | None) -> str:
    if not body:
        return ""
    return "".join(
        f"<p><small>body, {escape(media)}</small></p>{_schema(document, told.get('schema', {}))}"
        for media, told in body.get("content", {}).items()
    )


def _responses(document: Json, responses: Json) -> str:
    rows = []
    for status, told in responses.items():
        contents = "".join(
            f"<small>{escape(media)}</small>{_schema(document, content.get('schema', {}))}"
            for media, content in told.get("content", {}).items()
        )
        rows.append(f"<tr><td>{escape(str(status))}<td>{escape(told.get('description', ''))} {contents}")
    return f"<table>{''.join(rows)}</table>"


def _schema(document: Json, schema: Json, depth: int = 0) -> str:
    if depth == DEEP:
        return ""
    items = "".join(
        f"<li><code>{escape(name)}</code> <small>{escape(_kind(each))}</small> {escape(each.get('description', ''))}"
        f"{_schema(document, each, depth + 1)}"
        for name, each in _properties(document, schema)
    )
    return f"<ul>{items}</ul>" if items else ""


def _properties(document: Json, schema: Json, depth: int = 0) -> Iterator[tuple[str, Json]]:
    """Of an object, of what a list is of, or of what it may be one of; a schema may hold itself."""
    if depth > DEEP:
        return
    if "$ref" in schema:
        schema = document["components"].get("schemas", {}).get(schema["$ref"].rpartition("/")[2], {})
    yield from schema.get("properties", {}).items()
    within = [schema["items"]] if isinstance(schema.get("items"), Mapping) else []
    for each in (*within, *schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from _properties(document, each, depth + 1)


def _kind(schema: Json) -> str:
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "enum" in schema or "const" in schema:
        return " | ".join(str(value) for value in schema.get("enum", [schema.get("const")]))
    several = schema.get("anyOf") or schema.get("oneOf")
    if several:
        return " or ".join(_kind(each) for each in several)
    kind = str(schema.get("type", "anything"))
    return f"list of {_kind(schema.get('items', {}))}" if kind == "array" else schema.get("format", kind)


def _anchor(method: str, path: str) -> str:
    return escape(f"{method}-{path.strip('/').replace('/', '-')}")
