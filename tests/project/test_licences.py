"""The licence check refuses what it should: named texts and expressions."""

from __future__ import annotations

from email.message import Message
from pathlib import Path

import pytest

from tools.licences import fault_of, is_covered, locked, main, stated_licence


@pytest.mark.parametrize(
    ("package", "expression", "want"),
    [
        ("anyone", "MIT", True),
        ("anyone", "Apache-2.0 OR BSD-3-Clause", True),
        ("anyone", "GPL-3.0-only OR MIT", True),
        ("anyone", "MIT AND BSD-3-Clause", True),
        ("anyone", "MIT AND GPL-3.0-only", False),
        ("anyone", "(MIT OR ISC) AND GPL-3.0-only", False),
        ("anyone", "GPL-2.0-only WITH Classpath-exception-2.0", False),
        ("anyone", "GPL-3.0-or-later", False),
        ("anyone", "AGPL-3.0-only", False),
        ("psycopg", "LGPL-3.0-only", True),
        ("anyone", "LGPL-3.0-only", False),
        ("lmdb", "OLDAP-2.8", True),
        ("anyone", "OLDAP-2.8", False),
        ("anyone", "Our own licence", False),
    ],
)
def test_expression(package: str, expression: str, want: bool) -> None:
    assert is_covered(package, expression) is want


@pytest.mark.parametrize(
    ("headers", "want"),
    [
        ([("License-Expression", "MIT"), ("License", "GPL")], "MIT"),
        ([("License", "Apache 2.0")], "Apache-2.0"),
        ([("License", "see file"), ("Classifier", "License :: OSI Approved :: BSD License")], "BSD"),
        ([("License", "Some text\nof many lines")], "Some text"),
        ([("Classifier", "Programming Language :: Python")], ""),
    ],
)
def test_what_a_package_says(headers: list[tuple[str, str]], want: str) -> None:
    metadata = Message()
    for name, value in headers:
        metadata[name] = value
    assert stated_licence(metadata) == want  # type: ignore[arg-type]


def test_names_in_a_lock() -> None:
    assert locked("click==8.1 \\\n    --hash=sha256:00\n    # via salus\nh11==0.16\n") == ["click", "h11"]


def test_a_locked_package_that_is_not_installed_is_a_fault() -> None:
    assert (
        fault_of("no-such-package-of-salus") == "no-such-package-of-salus is locked but not installed: run `make setup`"
    )


def test_an_empty_lock_is_not_a_success(tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.write_text("", encoding="utf-8")
    assert main([str(empty)]) == 2
