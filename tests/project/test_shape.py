"""The shape of the code (STYLE 5, 6, 20): names that say nothing, wide excepts, long files, long functions."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tools.source_tree import CODE_FOLDERS, parse, python_files, shown

EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc"}
BROAD_EXCEPTIONS = {"Exception", "BaseException"}
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 65

FILES = python_files(*CODE_FOLDERS)


def wide_excepts(tree: ast.Module) -> list[str]:
    """Handlers that catch everything and do not pass it on: `raise` as their last statement makes it a clean-up."""
    handlers = [node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)]
    return [f"{node.lineno}: catches everything" for node in handlers if is_broad(node.type) and not re_raises(node)]


def is_broad(caught: ast.expr | None) -> bool:
    """`except:`, `except Exception`, or either in a tuple."""
    if isinstance(caught, ast.Tuple):
        return any(is_broad(each) for each in caught.elts)
    return caught is None or (isinstance(caught, ast.Name) and caught.id in BROAD_EXCEPTIONS)


def re_raises(handler: ast.ExceptHandler) -> bool:
    """The handler's last statement raises what was caught."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def long_functions(tree: ast.Module) -> list[str]:
    """Functions above the limit, counted from `def` to the last line without the decorators."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [
        f"{node.lineno}: {node.name} has {lines} lines"
        for node in functions
        if (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES_MAX
    ]


@pytest.mark.parametrize("path", FILES, ids=shown)
def test_file_keeps_the_shape(path: Path) -> None:
    tree = parse(path)
    assert wide_excepts(tree) == []
    assert long_functions(tree) == []
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= FILE_LINES_MAX


def test_no_module_has_a_name_that_says_nothing() -> None:
    named = [shown(path) for path in FILES if EMPTY_NAMES & {path.stem, *path.parent.parts[-4:]}]
    assert named == []


@pytest.mark.parametrize(
    "handler",
    ["except:", "except Exception:", "except BaseException as error:", "except (OSError, Exception):"],
)
def test_a_wide_except_is_found(handler: str) -> None:
    swallowing = f"try:\n    f()\n{handler}\n    pass\n"
    assert wide_excepts(ast.parse(swallowing)) == ["3: catches everything"]
    assert wide_excepts(ast.parse(swallowing.replace("pass", "raise"))) == []


def test_a_long_function_is_found() -> None:
    def body(lines: int) -> ast.Module:
        return ast.parse("def f():\n" + "    pass\n" * (lines - 1))

    assert long_functions(body(FUNCTION_LINES_MAX)) == []
    assert long_functions(body(FUNCTION_LINES_MAX + 1)) == [f"1: f has {FUNCTION_LINES_MAX + 1} lines"]
