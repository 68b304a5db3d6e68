"""Change one thing in the code at a time and see whether a test notices.

Run: `python -m tools.mutate src/salus/contracts --tests tests/contracts --seconds 600`. Each mutant is one file of a
copy of the package; a mutant that no test kills is a survivor. What survives the tests of `--tests` meets those of
`--then`; `--each` draws so many mutants of each file. Survivors that cannot be killed stand, with the reason, in the
file given by `--explained`: a line for each, `path | line of code | change | reason`.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import Phase, settings

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "src"
PACKAGE = "salus"
HANGS_CPU_S = 180
HANGS_S = 1_200
"""A run of the tests that takes longer fails: by its own work, and by the clock, which other work also moves."""
FIRST_FAILURE = (Phase.explicit, Phase.generate)
"""Hypothesis is done with the first example that fails: nobody reads it, and a smaller one takes minutes to find."""
PRELOADED = ("cryptography.hazmat.primitives.hpke", "lmdb", "msgspec.inspect", "nacl.bindings")
"""Loaded once for each worker and not once for each mutant."""

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change: where, what, and as which node and which of its changes `changed` finds it."""

    path: str
    line: int
    code: str
    change: str
    node: int
    number: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.change}\n    {self.code}"

    @property
    def place(self) -> tuple[str, str, str]:
        """What an explanation names: it outlives lines that move."""
        return self.path, self.code, self.change


def main(arguments: Sequence[str]) -> int:
    """Print the survivors; the exit status is 1 if one is not explained, 2 if there was nothing to change."""
    options = parse(arguments)
    files = [path for each in options.sources for path in files_of(Path(each))]
    mutants = [mutant for path in files for mutant in drawn(list(mutants_of(path)), options)]
    if not mutants:
        print("error: nothing to change\nhint: name files or folders of Python code", file=sys.stderr)
        return 2
    explained = explanations(options.explained)
    random.Random(options.seed).shuffle(mutants)
    begun_s = time.monotonic()
    try:
        survivors, tried = judge(mutants, options, until_s=begun_s + options.seconds)
    except TestsFail as failure:
        print(f"error: {failure}\nhint: mend the tests first", file=sys.stderr)
        return 2
    per_file(files, survivors, tried)
    report(
        survivors, explained, tried=len(tried), total=len(mutants), took_s=time.monotonic() - begun_s, seed=options.seed
    )
    return 1 if any(mutant.place not in explained for mutant in survivors) else 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.mutate", description=__doc__)
    parser.add_argument("sources", nargs="+", help="files and folders to change, one place at a time")
    parser.add_argument("--tests", nargs="+", required=True, help="what pytest runs, the quickest first")
    parser.add_argument(
        "--then", nargs="+", default=[], help="what pytest runs on those that survive, one after the other"
    )
    parser.add_argument("--each", type=int, help="so many mutants of each file, drawn by the seed (default: all)")
    parser.add_argument("--seconds", type=float, default=600, help="begin no mutant after this time")
    parser.add_argument("--seed", type=int, default=1, help="order of the mutants")
    parser.add_argument("--workers", type=int, default=2, help="mutants at a time")
    parser.add_argument("--explained", type=Path, help="survivors that nobody can kill, with the reason")
    return parser.parse_args(arguments)


def files_of(source: Path) -> list[Path]:
    """A file, or the Python files of a folder."""
    return [source] if source.is_file() else sorted(source.rglob("*.py"))


def drawn(mutants: list[Mutant], options: argparse.Namespace) -> list[Mutant]:
    """Draw as many mutants of one file as are wanted; a larger `--each` draws the same and more."""
    random.Random(options.seed).shuffle(mutants)
    return mutants[: options.each]


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Every mutant of a file."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    shown = path.resolve().relative_to(ROOT).as_posix()
    tree = ast.parse(text)
    passed_over = set(map(id, not_behaviour(tree)))
    for place, node in enumerate(ast.walk(tree)):
        for number, change in enumerate([] if id(node) in passed_over else changes_of(node)):
            line: int = node.lineno  # type: ignore[attr-defined]  # whatever can be changed has a place
            yield Mutant(shown, line, lines[line - 1].strip(), change, place, number)


def changed(text: str, mutant: Mutant) -> str:
    """A file's text with one change in it."""
    assert text.splitlines()[mutant.line - 1].strip() == mutant.code, "the file is still what it was"
    tree = ast.parse(text)
    apply(tree, list(ast.walk(tree))[mutant.node], mutant.number)
    return ast.unparse(tree)


def not_behaviour(tree: ast.Module) -> Iterator[ast.AST]:
    """What is about types and words, not about behaviour: annotations, the options of a struct, text for people."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef():
                apart: list[ast.AST | None] = list(node.keywords)
            case ast.FunctionDef():
                apart = [node.returns]
            case ast.arg() | ast.AnnAssign():
                apart = [node.annotation]
            case ast.JoinedStr():
                apart = [node]
            case _:
                apart = []
        for each in filter(None, apart):
            yield from ast.walk(each)


def changes_of(node: ast.AST) -> list[str]:
    """What can be changed at a node, in words; `apply` does it by number."""
    match node:
        case ast.Compare(ops=ops):
            return [f"{symbol(op)} becomes {symbol(COMPARISONS[type(op)]())}" for op in ops if type(op) in COMPARISONS]
        case ast.BoolOp(op=op):
            return ["and becomes or" if isinstance(op, ast.And) else "or becomes and"]
        case ast.UnaryOp(op=ast.Not()):
            return ["not is dropped"]
        case ast.BinOp(op=op) if type(op) in ARITHMETIC:
            return [f"{symbol(op)} becomes {symbol(ARITHMETIC[type(op)]())}"]
        case ast.Raise():
            return ["raise is dropped"]
        case ast.Expr(value=ast.Call()):
            return ["call is dropped"]
        case ast.Constant(value=bool() as value):
            return [f"{value} becomes {not value}"]
        case ast.Constant(value=int() as value):
            return [f"{value} becomes {value + 1}"]
        case ast.IfExp() | ast.If():
            return ["condition is turned round"]
    return []


def symbol(op: ast.AST) -> str:
    """An operator as it is written."""
    name = type(op).__name__
    return {
        "Lt": "<", "LtE": "<=", "Gt": ">", "GtE": ">=", "Eq": "==", "NotEq": "!=", "Is": "is", "IsNot": "is not",
        "In": "in", "NotIn": "not in", "Add": "+", "Sub": "-", "Mult": "*", "FloorDiv": "//", "BitOr": "|",
        "BitAnd": "&",
    }[name]  # fmt: skip


def apply(tree: ast.Module, node: ast.AST, number: int) -> None:
    """Make the change of `changes_of` with this number."""
    match node:
        case ast.Compare():
            place = [index for index, op in enumerate(node.ops) if type(op) in COMPARISONS][number]
            node.ops[place] = COMPARISONS[type(node.ops[place])]()
        case ast.BoolOp():
            node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        case ast.UnaryOp():
            replace(tree, node, node.operand)
        case ast.BinOp():
            node.op = ARITHMETIC[type(node.op)]()
        case ast.Raise() | ast.Expr():
            replace(tree, node, ast.copy_location(ast.Pass(), node))
        case ast.Constant(value=bool()):
            node.value = not node.value
        case ast.Constant(value=int() as value):
            node.value = value + 1
        case ast.IfExp() | ast.If():
            node.test = ast.copy_location(ast.UnaryOp(ast.Not(), node.test), node.test)
    ast.fix_missing_locations(tree)


def replace(tree: ast.Module, old: ast.AST, new: ast.AST) -> None:
    """Put one node in the place of another."""

    class Replacer(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            return new if node is old else self.generic_visit(node)

    Replacer().visit(tree)


def judge(
    mutants: Sequence[Mutant], options: argparse.Namespace, *, until_s: float
) -> tuple[list[Mutant], list[Mutant]]:
    """Run the tests on each mutant until the time is up; return the survivors and those that were tried."""
    survivors, tried = [], []
    with tempfile.TemporaryDirectory(prefix="mutants-") as place:
        start = (Path(place), (tuple(options.tests), *((each,) for each in options.then)), until_s)
        with multiprocessing.get_context("spawn").Pool(options.workers, open_bench, start) as pool:
            for mutant, lived in zip(mutants, pool.imap(survives, mutants), strict=True):
                if lived is not None:
                    tried.append(mutant)
                if lived:
                    print(f"survived: {mutant}", flush=True)
                    survivors.append(mutant)
    return survivors, tried


@dataclass(frozen=True)
class Bench:
    """What one worker has: its own copy of the package, and groups of tests; none is begun after `until_s`."""

    folder: Path
    groups: tuple[tuple[str, ...], ...]
    until_s: float
    sound: set[tuple[str, ...]] = field(default_factory=set)


class TestsFail(Exception):
    """The tests fail on what nobody has changed, so they say nothing of a mutant."""


BENCH: list[Bench] = []


def open_bench(place: Path, groups: tuple[tuple[str, ...], ...], until_s: float) -> None:
    """Make a worker's copy, without byte code, and load what every run of the tests needs."""
    sys.dont_write_bytecode = False  # compiled once, not once for each mutant
    settings.register_profile("mutants", phases=FIRST_FAILURE, database=None)
    settings.load_profile("mutants")
    folder = place / str(os.getpid())
    shutil.copytree(SOURCES / PACKAGE, folder / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
    for module in PRELOADED:
        importlib.import_module(module)
    BENCH.append(Bench(folder, groups, until_s))


def survives(mutant: Mutant) -> bool | None:
    """Whether all groups of tests pass on a mutant; None when the time was up before.

    Raises:
        TestsFail: a group fails on the unchanged copy, too; it is asked once, when the group is first wanted.
    """
    (bench,) = BENCH
    if time.monotonic() >= bench.until_s:
        return None
    target = bench.folder / Path(mutant.path).relative_to("src")
    original = target.read_text(encoding="utf-8")
    for tests in bench.groups:
        if tests not in bench.sound and run(bench, tests) != 0:
            raise TestsFail(f"{' '.join(tests)}: fails without any change")
        bench.sound.add(tests)
        write(target, changed(original, mutant))
        try:
            if run(bench, tests) != 0:
                return False
        finally:
            write(target, original)
    return True


def write(target: Path, text: str) -> None:
    """Write a module and forget its byte code, which knows its source only by size and second."""
    target.write_text(text, encoding="utf-8")
    for stale in (target.parent / "__pycache__").glob(f"{target.stem}.*.pyc"):
        stale.unlink()


def run(bench: Bench, tests: Sequence[str]) -> int:
    """Run pytest with the copy in front, in a child that has everything loaded but the copy; one that hangs fails."""
    child = os.fork()
    if child == 0:
        signal.alarm(HANGS_S)
        resource.setrlimit(resource.RLIMIT_CPU, (HANGS_CPU_S, HANGS_CPU_S))
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        os.chdir(ROOT)
        sys.path.insert(0, str(bench.folder))
        os._exit(int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-m", "not long", *tests])))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def explanations(path: Path | None) -> set[tuple[str, str, str]]:
    """What the file of explanations names: path, line of code, change."""
    if path is None:
        return set()
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    parts = [[part.strip() for part in line.split(" | ")] for line in lines]
    return {(part[0], part[1], part[2]) for part in parts}


def per_file(files: Sequence[Path], survivors: Sequence[Mutant], tried: Sequence[Mutant]) -> None:
    """Print for each file how many mutants there are, were tried, were killed, and survived."""
    of, lived = Counter(mutant.path for mutant in tried), Counter(mutant.path for mutant in survivors)
    print("mutants  tried  killed  survived  file")
    for path in files:
        name = path.resolve().relative_to(ROOT).as_posix()
        total = sum(1 for _ in mutants_of(path))
        if total:
            print(f"{total:7}  {of[name]:5}  {of[name] - lived[name]:6}  {lived[name]:8}  {name}")


def report(
    survivors: Sequence[Mutant],
    explained: set[tuple[str, str, str]],
    *,
    tried: int,
    total: int,
    took_s: float,
    seed: int,
) -> None:
    """Print which survivors nobody has explained, and the count."""
    for mutant in sorted(survivors, key=lambda each: (each.path, each.line)):
        if mutant.place not in explained:
            print(f"not explained: {mutant}")
    killed = tried - len(survivors)
    print(
        f"mutants: {tried} of {total} tried in {took_s:.0f} s (seed {seed}), {killed} killed, {len(survivors)} survived"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
