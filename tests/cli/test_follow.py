"""salus follow and salus verify: a trust store is begun, moves on, is confirmed, and keeps what is in conflict."""

import json
import time
from pathlib import Path

import msgspec
import pytest

from salus.cli.header_sources import _CometBFT, open_source
from salus.engines.base import SealedHeight
from salus.ledger.bundles import encode_bundle
from salus.ledger.comet.types import SignedHeader
from salus.ledger.verifier import VerificationFailed
from salus.sdk.following import HeaderAbsent, bring_up_to_date
from salus.sdk.trust_file import read_trust, write_store, write_trust
from salus.sdk.verify import verify_file
from tests.cli.conftest import North, Run, assert_fails
from tests.ledger import skip_cases
from tests.ledger.proof_world import NOW_S
from tests.sdk import receipt_vectors

pytestmark = pytest.mark.promise("L3", "L5")

BLOCK_2_S = 30
TRY_LATER = 3
YEARS_S = 20 * 365 * 86_400
LIFE = skip_cases.life()
ROOT = msgspec.structs.replace(LIFE.store.root, trusting_period_s=YEARS_S)
replace = msgspec.structs.replace


def proof(folder: Path, name: str) -> Path:
    """A proof under one of the states of the chain whose validators change."""
    path = folder / f"{name.replace(' ', '-')}.salus-proof"
    path.write_bytes(encode_bundle(skip_cases.outcome(name)))
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_trust(tmp_path / "trust.json", ROOT)
    return tmp_path / "trust.json"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of the trusted header; its root does not expire while the tests are of use."""
    write_store(tmp_path / "store.json", replace(LIFE.store, root=ROOT))
    return tmp_path / "store.json"


def test_a_store_begins_with_a_header_of_the_roots_validators(run: Run, tmp_path: Path, root: Path) -> None:
    begun = tmp_path / "new.json"
    result = run("follow", begun, "--trust", root, "--source", proof(tmp_path, "earlier"))
    assert (result.status, result.err) == (0, "")
    assert "Trusted: 4 validators with 40 votes together: " in result.out
    assert "Nobody else was asked" in result.out
    assert run("verify", proof(tmp_path, "earlier"), "--trust", begun).status == 0


def test_verify_skips_to_a_newer_header_and_says_who_is_trusted(run: Run, tmp_path: Path, store: Path) -> None:
    result = run("verify", proof(tmp_path, "half new"), "--trust", store)
    assert (result.status, result.err) == (0, "")
    assert "Signed by 4 validators (" in result.out
    assert "Trusted: 4 validators with 40 votes together: " in result.out
    assert "south has the same header as north." in result.out
    assert run("verify", proof(tmp_path, "half new"), "--trust", store, "--json").facts["trusted"]


def test_verify_says_what_to_do_when_too_much_has_changed(run: Run, tmp_path: Path, store: Path) -> None:
    far = proof(tmp_path, "all new")
    assert_fails(
        run("verify", far, "--trust", store),
        1,
        error="skip check, step 7",
        hint="bring the trust store up to date with salus follow",
    )
    for name in ("half new", "three new"):
        assert_moved(run, store, proof(tmp_path, name))
    assert run("verify", far, "--trust", store).status == 0


def assert_moved(run: Run, store: Path, source: Path) -> None:
    result = run("follow", store, "--source", source, "--json")
    assert result.status == 0, result
    assert result.facts["height"] > result.facts["height_before"]


def test_a_witness_confirms(run: Run, tmp_path: Path, store: Path) -> None:
    source = proof(tmp_path, "half new")
    other = tmp_path / "theirs.json"
    friend = replace(LIFE.store, root=ROOT, newest=skip_cases.block_of("half new"))
    write_store(other, friend)
    result = run("follow", store, "--source", source, "--witness", other, "--json")
    assert result.status == 0
    assert (result.facts["witness"], result.facts["conflicts"]) == ("theirs.json", 0)


def test_a_conflict_is_kept_and_shown_until_the_store_is_thrown_away(run: Run, tmp_path: Path, store: Path) -> None:
    source, liar = proof(tmp_path, "half new"), tmp_path / "liar.salus-proof"
    liar.write_bytes(encode_bundle(skip_cases.forked("half new")))
    before = store.read_bytes()
    result = run("follow", store, "--source", source, "--witness", liar)
    assert result.status == 1
    assert "The trust store stays at block" in result.out
    assert "two headers follow from what is trusted" in result.out
    assert result.err.splitlines()[0].startswith("error: source and witness have different headers for block ")
    assert store.read_bytes() != before
    again = run("follow", store, "--source", source, "--witness", liar, "--json")
    assert (again.status, again.facts["conflicts"], again.facts["height_before"]) == (1, 1, again.facts["height"])
    moved = run("follow", store, "--source", source)
    assert moved.status == 0
    assert "Conflict at block" in moved.out
    assert "Conflict at block" in run("verify", source, "--trust", store).out


FAILS = {
    "no store and no root": (("new.json",), 2, "there is no trust store", "begin one with --trust"),
    "a root for a store that is there": (("store.json", "--trust", "trust.json"), 2, "is there already", "leave"),
    "a height that nobody has": (("store.json", "--height", "999"), 3, "has no header of block 999", "name one"),
    "one source twice": (("store.json", "--witness", "next.salus-proof"), 2, "somebody else", "name a second"),
    "a root as the source": (("store.json", "--source", "trust.json"), 3, "a trust root has no header", "name a proof"),
}


@pytest.mark.parametrize("name", FAILS)
def test_says_what_is_wrong_and_what_to_do(run: Run, tmp_path: Path, root: Path, store: Path, name: str) -> None:
    words, status, error, hint = FAILS[name]
    assert root.parent == store.parent == tmp_path
    arguments = [tmp_path / word if "." in word else word for word in words]
    source = proof(tmp_path, "next")
    if "--source" not in arguments:
        arguments += ["--source", source]
    assert_fails(run("follow", *arguments), status, error=error, hint=hint)


def test_a_source_that_lies_leaves_the_store_as_it_was(run: Run, tmp_path: Path, store: Path) -> None:
    bad = tmp_path / "bad.salus-proof"
    unsigned = next(each.bundle for each in skip_cases.refused() if "new validator's vote" in each.name)
    bad.write_bytes(encode_bundle(unsigned))
    before = store.read_bytes()
    assert_fails(run("follow", store, "--source", bad), 1, error="skip check, step 8", hint="ask again")
    assert store.read_bytes() == before
    bad.write_bytes(b"nothing")
    assert_fails(run("follow", store, "--source", bad), 1, error="bundle check, step 0", hint="fetch")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["bad.salus-proof", "store.json"]


def test_a_receipt_is_checked_under_a_store_as_under_its_root() -> None:
    path = receipt_vectors.FOLDER / "four-validators.salus-receipt"
    golden = json.loads((receipt_vectors.FOLDER / "verdicts.json").read_bytes())[path.name]
    root = read_trust(receipt_vectors.FOLDER / golden["trust"])
    with open_source(path) as source:
        store = bring_up_to_date(root, source, None, height=0, now_s=golden["now_s"]).store
    verdict = verify_file(path.read_bytes(), store, now_s=golden["now_s"])
    assert list(verdict.lines) == golden["lines"]
    others = msgspec.structs.replace(LIFE.store, root=replace(ROOT, chain=store.chain))
    with pytest.raises(VerificationFailed, match=r"^skip check, step "):
        verify_file(path.read_bytes(), others, now_s=golden["now_s"])


# Other sources


def test_follows_the_ledger_of_a_running_node(run: Run, tmp_path: Path, north: North) -> None:
    store, trust = tmp_path / "store.json", north.folder / "trust.json"
    begin = ("follow", store, "--trust", trust, "--source", north.hospital, "--height", 2, "--json")
    end_s = time.monotonic() + BLOCK_2_S
    while (first := run(*begin)).status == TRY_LATER and time.monotonic() < end_s:
        time.sleep(0.1)  # the ledger has just begun
    assert (first.status, first.facts["height"], len(first.facts["validators"])) == (0, 2, 1)
    theirs = tmp_path / "theirs.json"
    theirs.write_bytes(store.read_bytes())
    mine = tmp_path / "mine.json"
    second = run("follow", mine, "--trust", trust, "--source", north.folder, "--witness", theirs)
    assert second.status == 0
    assert "Embedded ledger: trust is one key" in second.out
    assert "theirs.json has the same header as" in second.out


class FakeNode:
    """Answers as a CometBFT node does, with the chain whose validators change."""

    def earliest_height(self) -> int:
        return 1

    def signed_headers(self, heights: list[int]) -> list[SignedHeader | None]:
        return [LIFE.ledger.headers.get(height) for height in heights]

    def sealed_headers(self, heights: list[int], _known: object) -> list[SealedHeight]:
        return [SealedHeight(LIFE.ledger.headers[each], LIFE.ledger.sets[each]) for each in heights]


def test_follows_a_cometbft_node_by_bisection() -> None:
    source = _CometBFT("rpc.sock", FakeNode())  # type: ignore[arg-type]
    newest = LIFE.ledger.meta.height
    assert source.heights() == (1, newest)
    got = bring_up_to_date(LIFE.store, source, None, height=0, now_s=NOW_S)
    assert got.store.signed_header().header.height == newest
    assert len(got.heights) > 2
    assert got.store.source == "rpc.sock"


def test_an_address_is_one_of_a_member(run: Run, tmp_path: Path, store: Path) -> None:
    for wrong in ("http://", "http://a", "http://a:1/x", "http://a b:1", "http://u@a:1"):
        assert_fails(run("follow", store, "--source", wrong), 2, error="expected http://host:port", hint="salus follow")
    away = "http://127.0.0.1:1"
    assert_fails(run("follow", store, "--source", away), TRY_LATER, error=f"does not answer on {away}", hint="it is")
    twice = run("follow", store, "--source", away, "--witness", away)
    assert_fails(twice, 2, error="came the source", hint="second source")


def test_a_file_has_what_is_in_it(tmp_path: Path) -> None:
    with open_source(proof(tmp_path, "next")) as source:
        lowest, newest = source.heights()
        assert lowest == newest
        assert source.light_block(newest + 1) is None
        with pytest.raises(HeaderAbsent, match="has no header of block"):
            bring_up_to_date(LIFE.store, source, None, height=newest + 1, now_s=NOW_S)
