"""The house rules that no linter knows: sizes, names, and the few places where everything may be caught."""

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "callvault"
FORBIDDEN_NAMES = {"utils", "helpers", "common", "base", "core", "misc", "manager", "impl"}
CATCH_ALL = {"worker/loop.py", "web/app.py", "adapters/webhooks/sender.py"}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        yield str(path.relative_to(SOURCE)), ast.parse(path.read_text())


def functions() -> Iterator[tuple[str, int]]:
    for name, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{name}:{node.lineno} {node.name}", (node.end_lineno or 0) - node.lineno + 1


def test_no_function_is_over_40_lines() -> None:
    assert [where for where, lines in functions() if lines > 40] == []


def test_functions_are_short_as_a_rule() -> None:
    lengths = sorted(lines for _, lines in functions())
    assert statistics.median(lengths) <= 8
    assert lengths[len(lengths) * 9 // 10] <= 25


def test_no_module_is_over_400_lines() -> None:
    sizes = {str(path.relative_to(SOURCE)): len(path.read_text().splitlines()) for path in SOURCE.rglob("*.py")}
    assert {name: lines for name, lines in sizes.items() if lines > 400} == {}


def test_a_module_opens_with_a_sentence_on_what_it_is_for() -> None:
    empty_markers = {name for name, tree in modules() if name.endswith("__init__.py") and not tree.body}
    assert [name for name, tree in modules() if name not in empty_markers and not ast.get_docstring(tree)] == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    parts = {part.removesuffix(".py") for name, _ in modules() for part in name.split("/")}
    assert parts & FORBIDDEN_NAMES == set()


def test_everything_is_caught_in_three_places_at_most() -> None:
    catching = set()
    for name, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler) and (
                node.type is None or getattr(node.type, "id", "") in {"Exception", "BaseException"}
            ):
                catching.add(name)
    assert catching <= CATCH_ALL


def test_only_settings_reads_the_environment() -> None:
    reading = {
        name
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
    }
    assert reading <= {"settings.py"}


def test_no_registry_host_is_written_down() -> None:
    locks = list((SOURCE.parents[1] / "locks").glob("*.txt"))
    assert locks and not any("://" in lock.read_text() for lock in locks)
