"""`ledger` and `contracts` see no clock, no chance, no disk, no network, no logging (DESIGN section 3, L1).

The rings say which folders of ours they may import; here is what they may take from the standard library and from
others: an allow-list, so that a module nobody thought of is refused too.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.source_tree import imported_modules, parse, python_files, shown

PURE_FOLDERS = ("src/salus/ledger", "src/salus/contracts")
PURE_MODULES = {
    "__future__", "abc", "base64", "binascii", "bisect", "collections", "dataclasses", "enum", "functools", "hashlib",
    "heapq", "hmac", "itertools", "operator", "re", "struct", "types", "typing", "unicodedata",
    "msgspec", "salus",
}  # fmt: skip
IMPURE_CALLS = {
    "open", "print", "input", "eval", "exec", "compile", "__import__", "hash", "id", "breakpoint", "globals",
    "float", "complex",
}  # fmt: skip
ENDLESS = frozenset({"count", "cycle", "repeat"})
CRYPTO_MODULES = {"nacl", "cryptography", "salus"} | sys.stdlib_module_names

# `seal_to` draws inside the library (RFC 9180 Encap).
SOURCES_OF_CHANCE = frozenset({"urandom", "randombytes", "token_bytes", "generate", "seal_to"})


def import_faults(tree: ast.Module) -> list[str]:
    """Imports of a pure folder that are not on the allow-list."""
    return [
        f"{line}: imports {module}"
        for line, module in imported_modules(tree)
        if module.partition(".")[0] not in PURE_MODULES
    ]


def call_faults(tree: ast.Module) -> list[str]:
    """Built-in functions that reach outside, depend on the hash seed or on addresses, or make floats."""
    return [
        f"{node.lineno}: calls {node.func.id}()"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS
    ]


def float_faults(tree: ast.Module) -> list[str]:
    """Float constants and true division: integers only (STYLE 15)."""
    constants = [
        f"{node.lineno}: float {node.value!r}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, float | complex)
    ]
    divisions = [
        f"{node.lineno}: true division"
        for node in ast.walk(tree)
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div)
    ]
    return constants + divisions


def set_faults(tree: ast.Module) -> list[str]:
    """Loops over a set, whose order depends on the hash seed: one that stands there, or a name that was given one."""
    faults = []
    for scope in [tree, *[node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]]:
        names = {name for node in ast.walk(scope) for name in names_of_sets(node)}
        loops = [node for node in ast.walk(scope) if isinstance(node, ast.For | ast.comprehension)]
        over = [loop.iter for loop in loops if is_set(loop.iter, names)]
        over += [node.args[0] for node in ast.walk(scope) if isinstance(node, ast.Call) and keeps_order(node, names)]
        faults += [f"{each.lineno}: loops over a set" for each in over]
    return sorted(set(faults))


def names_of_sets(node: ast.AST) -> Iterator[str]:
    """Each name to which this statement gives a set."""
    if isinstance(node, ast.Assign) and is_set(node.value, set()):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        kind = node.annotation.value if isinstance(node.annotation, ast.Subscript) else node.annotation
        if isinstance(kind, ast.Name) and kind.id in {"set", "frozenset"}:
            yield node.target.id


def keeps_order(call: ast.Call, names: set[str]) -> bool:
    """Tell whether a call makes a sequence of a set in the set's own order."""
    is_sequence = isinstance(call.func, ast.Name) and call.func.id in {"list", "tuple", "iter", "enumerate", "zip"}
    return is_sequence and bool(call.args) and is_set(call.args[0], names)


def is_set(node: ast.expr, names: set[str]) -> bool:
    """A set that can be seen where it stands, or one of these names."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in {"set", "frozenset"}
    return isinstance(node, ast.Set | ast.SetComp) or (isinstance(node, ast.Name) and node.id in names)


def loop_faults(tree: ast.Module) -> list[str]:
    """Loops whose head says no end (L6)."""
    return [
        f"{node.lineno}: loops without an end in its head"
        for node in ast.walk(tree)
        if (isinstance(node, ast.While) and isinstance(node.test, ast.Constant))
        or (isinstance(node, ast.Import) and any(alias.name == "itertools" for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and node.module == "itertools" and set(names_used(node)) & ENDLESS)
    ]


def drawing_functions(trees: list[ast.Module]) -> set[str]:
    """The functions and methods that take chance from the operating system, directly or through one another."""
    functions = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    uses = {node.name: set(names_used(node)) for node in functions}
    drawing = set(SOURCES_OF_CHANCE)
    while found := {name for name, used in uses.items() if used & drawing} - drawing:
        drawing |= found
    return drawing


def names_used(tree: ast.AST) -> Iterator[str]:
    """Each name, attribute and imported name in a piece of code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.alias):
            yield node.name


def purity_faults(tree: ast.Module) -> list[str]:
    """Everything that a pure folder must not hold."""
    return import_faults(tree) + call_faults(tree) + float_faults(tree) + set_faults(tree) + loop_faults(tree)


DRAWING = drawing_functions([parse(path) for path in python_files("src/salus/crypto")])


def pure_files() -> list[Path]:
    """The files under the rule."""
    return python_files(*PURE_FOLDERS)


@pytest.mark.promise("L1")
@pytest.mark.parametrize("path", pure_files(), ids=shown)
def test_ledger_and_contracts_are_pure(path: Path) -> None:
    assert purity_faults(parse(path)) == []


def test_there_is_something_to_check() -> None:
    assert any("ledger" in shown(path) for path in pure_files())


@pytest.mark.promise("L1")
@pytest.mark.parametrize("path", pure_files(), ids=shown)
def test_ledger_and_contracts_draw_no_key_from_crypto(path: Path) -> None:
    assert set(names_used(parse(path))) & DRAWING == set()


def test_functions_that_draw_are_found_through_others() -> None:
    code = "def key(): return os.urandom(32)\ndef wrap(k): return key() + k\ndef digest(b): return sha256(b)\n"
    assert drawing_functions([ast.parse(code)]) - SOURCES_OF_CHANCE == {"key", "wrap"}
    assert "generate" in DRAWING


@pytest.mark.parametrize(
    ("code", "want"),
    [
        ("import time", "1: imports time"),
        ("from datetime import datetime", "1: imports datetime"),
        ("def f():\n    import random", "2: imports random"),
        ("import os.path", "1: imports os.path"),
        ("import logging", "1: imports logging"),
        ("import structlog", "1: imports structlog"),
        ("import lmdb", "1: imports lmdb"),
        ("import nacl.bindings", "1: imports nacl.bindings"),
        ("open('x')", "1: calls open()"),
        ("key = hash(b'x')", "1: calls hash()"),
        ("x = 0.5", "1: float 0.5"),
        ("x = a / b", "1: true division"),
        ("x /= 2", "1: true division"),
        ("for x in {1, 2}:\n    pass", "1: loops over a set"),
        ("y = [x for x in set(names)]", "1: loops over a set"),
        ("names = {1, 2}\ny = [x for x in names]", "2: loops over a set"),
        ("def f():\n    names: set[int] = g()\n    for x in names:\n        pass", "3: loops over a set"),
        ("y = tuple({1, 2})", "1: loops over a set"),
        ("while True:\n    pass", "1: loops without an end in its head"),
        ("from itertools import count", "1: loops without an end in its head"),
        ("import itertools", "1: loops without an end in its head"),
        ("import locale", "1: imports locale"),
    ],
)
def test_a_planted_fault_is_found(code: str, want: str) -> None:
    assert want in purity_faults(ast.parse(code))


@pytest.mark.parametrize(
    "code",
    ["import msgspec", "x = a // b", "for x in sorted({1, 2}):\n    pass", "x = 1 in {1}", "y = {2}\nz = sorted(y)"],
)
def test_what_is_allowed_passes(code: str) -> None:
    assert purity_faults(ast.parse(code)) == []


def test_crypto_imports_only_the_standard_library_and_two_packages() -> None:
    faults = [
        f"{shown(path)}:{line}: imports {module}"
        for path in python_files("src/salus/crypto")
        for line, module in imported_modules(parse(path))
        if module.partition(".")[0] not in CRYPTO_MODULES
    ]
    assert faults == []


def test_only_crypto_imports_pynacl() -> None:
    faults = [
        f"{shown(path)}:{line}"
        for path in python_files("src")
        if "salus/crypto/" not in shown(path)
        for line, module in imported_modules(parse(path))
        if module.partition(".")[0] == "nacl"
    ]
    assert faults == []
