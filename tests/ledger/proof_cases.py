"""The cases of the golden file of proofs: what holds, and what is refused at which step of which checklist.

The expected steps stand here by hand; `python -m tests.ledger.proof_vectors` writes the file from them, once for a new
format and never to make a failing test pass.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import msgspec

from salus.crypto.hashing import leaf_hash, sha256
from salus.ledger.bundles import (
    FORMAT,
    Bundle,
    ConsistencyBundle,
    HistoryBundle,
    OutcomeBundle,
    RowBundle,
)
from salus.ledger.comet.commit import decode_signed_header, encode_signed_header
from salus.ledger.comet.types import CommitSig, SignedHeader, Validator
from salus.ledger.encoding import encode
from salus.ledger.identifiers import Digest, OrganisationId, Pseudonym, PublicKey
from salus.ledger.log import Log
from salus.ledger.machine import HISTORY, NO_HISTORY, next_history
from salus.ledger.proofs import (
    AppState,
    HistoryProof,
    SignedState,
    StateProof,
    prove_consistency,
)
from salus.ledger.tree import Tree
from salus.ledger.tree_proof import EMPTY
from salus.ledger.verifier import Trust, TrustedValidator, TrustRoot
from tests.ledger.proof_world import (
    NOTES,
    NOW_S,
    Ledger,
    consensus_keys,
    toy_ledger,
    visits,
    write_notes,
)
from tests.ledger.tree_by_definition import MemoryRows

ANN, BOB, NOBODY = (Pseudonym(bytes([number]) * 16) for number in (1, 2, 3))
replace = msgspec.structs.replace


@dataclass(frozen=True)
class Case:
    """A bundle, the trust root and the moment at which it is checked."""

    name: str
    bundle: Bundle
    trust: Trust
    now_s: int = NOW_S


@dataclass(frozen=True)
class Refused(Case):
    """A case that is refused at this step."""

    checklist: str = field(kw_only=True)
    step: int = field(kw_only=True)


@cache
def four() -> Ledger:
    """Four validators, forty rows, five events of Ann, two of Bob."""
    ledger = toy_ledger(validators=4)
    begun(ledger)
    write_notes(ledger, *range(40))
    visits(ledger, ANN, 1, 2, 3)
    visits(ledger, BOB, 5, 7)
    early(ledger)
    visits(ledger, ANN, 4, 7)
    signed(ledger)
    return ledger


@cache
def one() -> Ledger:
    """An embedded ledger: one row, one event."""
    ledger = toy_ledger()
    write_notes(ledger, 1)
    visits(ledger, ANN, 1)
    signed(ledger)
    return ledger


_STATES: dict[tuple[int, str], SignedState] = {}


def _state(ledger: Ledger, name: str) -> SignedState:
    if (id(ledger), name) not in _STATES:
        _STATES[(id(ledger), name)] = ledger.signed_state()
    return _STATES[(id(ledger), name)]


def begun(ledger: Ledger) -> SignedState:
    """The state before the first outcome."""
    return _state(ledger, "begun")


def early(ledger: Ledger) -> SignedState:
    """A state half way."""
    return _state(ledger, "early")


def signed(ledger: Ledger) -> SignedState:
    """The last state."""
    return _state(ledger, "signed")


def outcome(index: int, ledger: Ledger | None = None) -> OutcomeBundle:
    made = ledger or four()
    return OutcomeBundle(FORMAT, signed(made), made.prove_outcome(index, signed(made).state))


def row(number: int) -> RowBundle:
    return RowBundle(FORMAT, signed(four()), four().prove_row(NOTES.key(number)))


def history(pseudonym: Pseudonym) -> HistoryBundle:
    return HistoryBundle(FORMAT, signed(four()), four().prove_history(pseudonym), (), ())


def consistency(old: SignedState, new: SignedState) -> ConsistencyBundle:
    return ConsistencyBundle(FORMAT, prove_consistency(four().rows, old, new))


def holding() -> list[Case]:
    """Return the bundles that hold."""
    ledger, trust = four(), four().trust()
    bundles: dict[str, Bundle] = {
        "the first outcome": outcome(0),
        "an outcome in the middle": outcome(21),
        "the last outcome": outcome(46),
        "a row": row(31),
        "no row, an empty place": row(next(number for number in range(40, 999) if not _shows_other(row(number)))),
        "no row, another's leaf in its place": row(
            next(number for number in range(40, 999) if _shows_other(row(number)))
        ),
        "a history": history(ANN),
        "a history with one denied event": history(BOB),
        "a history of nobody": history(NOBODY),
        "a log that grew": consistency(early(ledger), signed(ledger)),
        "a log that stayed": consistency(signed(ledger), signed(ledger)),
        "a log that began empty": consistency(begun(ledger), signed(ledger)),
    }
    cases = [Case(name, bundle, trust) for name, bundle in bundles.items()]
    shuffled = replace(trust, validators=trust.validators[::-1])
    one_absent = _with_votes(signed(ledger), absent=(3,))
    return [
        *cases,
        Case("under an embedded ledger's key", outcome(1, one()), one().trust()),
        Case("validators in another order in the trust file", outcome(0), shuffled),
        Case("three of four validators signed", replace(outcome(0), signed=one_absent), trust),
        Case("on the last second of the trusting period", outcome(0), trust, now_s=_end(trust) - 1),
        Case("a header at the edge of the clock's drift", outcome(0), trust, now_s=_header_s(outcome(0)) - 9),
    ]


def refused() -> list[Refused]:
    """Return the bundles that are refused, each for one reason."""
    return [*_states(), *_outcomes(), *_rows(), *_histories(), *_consistencies()]


def _states() -> list[Refused]:
    trust, good = four().trust(), outcome(0)
    stranger = TrustRoot(
        **{
            **{name: getattr(trust, name) for name in trust.__struct_fields__},
            "validators": (
                *trust.validators[:3],
                TrustedValidator(OrganisationId("XX9"), PublicKey(consensus_keys(9)[8].public), 10),
            ),
        }
    )

    def case(name: str, step: int, bundle: Bundle = good, trusted: TrustRoot = trust, now_s: int = NOW_S) -> Refused:
        return Refused(name, bundle, trusted, now_s, checklist="state", step=step)

    def of(change: SignedState) -> Bundle:
        return replace(good, signed=change)

    state = good.signed.state
    return [
        case("the trusting period has ended", 1, now_s=_end(trust)),
        case("no header", 2, of(replace(good.signed, header=b""))),
        case("a byte after the header", 2, of(replace(good.signed, header=good.signed.header + b"\x00"))),
        case("a validator that is not trusted", 3, trusted=stranger),
        case("validators in another order", 3, of(replace(good.signed, validators=good.signed.validators[::-1]))),
        case("a validator left out", 3, of(replace(good.signed, validators=good.signed.validators[:3]))),
        case("more power than is trusted", 3, of(_with_power(good.signed))),
        case("a header of another chain", 4, trusted=replace(trust, chain="proofs-2")),
        case("a header of other validators", 4, _claimed_by(stranger), stranger),
        case("a signature changed", 4, of(_with_votes(good.signed, damaged=2))),
        case("two of four validators signed", 4, of(_with_votes(good.signed, absent=(2, 3)))),
        case("no validator signed", 4, of(_with_votes(good.signed, absent=(0, 1, 2, 3)))),
        case("the commit of another header", 4, of(_with_header(good.signed, early(four())))),
        case("a header from the future", 5, now_s=_header_s(good) - 11),
        case("another log size", 6, of(replace(good.signed, state=replace(state, log_size=state.log_size + 1)))),
        case("another tree root", 6, of(replace(good.signed, state=replace(state, tree_root=Digest(bytes(32)))))),
        case("the state of another height", 6, of(replace(good.signed, state=early(four()).state))),
    ]


def _outcomes() -> list[Refused]:
    good = outcome(21)
    proof, trust = good.outcome, four().trust()
    lone = AppState(Digest(EMPTY), 1, Digest(leaf_hash(b"\x00")))
    no_leaf = OutcomeBundle(FORMAT, four().sign_state(lone), replace(proof, leaf=b"\x00", index=0, path=()))

    def case(name: str, step: int, **change: object) -> Refused:
        return Refused(name, replace(good, outcome=replace(proof, **change)), trust, checklist="outcome", step=step)

    return [
        case("an index beyond the log", 1, index=47),
        case("another index", 2, index=20),
        case("a changed outcome", 2, leaf=proof.leaf[:-1] + b"\x09"),
        case("a changed path", 2, path=(Digest(sha256(b"")), *proof.path[1:])),
        case("a path too short", 2, path=proof.path[:-1]),
        case("a path too long", 2, path=(*proof.path, Digest(bytes(32)))),
        case("an inner node as a leaf", 2, leaf=proof.path[0] + proof.path[1], path=proof.path[1:]),
        Refused("in the log, but no leaf", no_leaf, trust, checklist="outcome", step=3),
    ]


def _rows() -> list[Refused]:
    trust, present, absent = four().trust(), row(31), row(40)

    def case(name: str, step: int, good: RowBundle, **change: object) -> Refused:
        return Refused(name, replace(good, row=replace(good.row, **change)), trust, checklist="row", step=step)

    return [
        case("a changed row", 1, present, row=encode([32])),
        case("another key", 1, present, key=NOTES.key(30)),
        case("another row's proof", 1, present, proof=row(30).row.proof),
        case("a row that is not there", 1, absent, row=encode([40])),
        case("a row said to be absent", 2, present, row=b""),
        case("another key said to be absent", 2, absent, key=NOTES.key(31)),
        case("an absence under another's proof", 2, absent, proof=present.row.proof),
    ]


def _histories() -> list[Refused]:
    trust, good = four().trust(), history(ANN)
    leaves = good.history.leaves

    def case(name: str, step: int, checklist: str = "history", **change: object) -> Refused:
        proof = replace(good.history, **change)
        return Refused(name, replace(good, history=proof), trust, checklist=checklist, step=step)

    return [
        case("the row of another pseudonym", 1, row=history(BOB).history.row),
        case("another pseudonym", 1, pseudonym=BOB),
        case("a row that is not in the state", 1, "row", row=replace(good.history.row, row=encode([4, bytes(32)]))),
        case("a row said to be absent, for no events", 2, "row", row=replace(good.history.row, row=b""), leaves=()),
        Refused("a row that is no history", _odd_history(b"\x00", ()), trust, checklist="history", step=2),
        case("one event left out", 3, leaves=leaves[:1] + leaves[2:]),
        case("the newest event left out", 3, leaves=leaves[:-1]),
        case("all events left out", 3, leaves=()),
        case("one event twice", 3, leaves=(*leaves, leaves[-1])),
        case("one event twice in the place of another", 4, leaves=(leaves[0], *leaves[:1], *leaves[2:])),
        case("two events exchanged", 4, leaves=(leaves[1], leaves[0], *leaves[2:])),
        case("an event of somebody else in the place of one", 4, leaves=(*leaves[:4], history(BOB).history.leaves[0])),
        case("an event changed", 4, leaves=(leaves[0][:-1] + b"\x09", *leaves[1:])),
        Refused("an event that is no leaf", _odd_history(b"", (b"\x00",)), trust, checklist="history", step=5),
    ]


def _consistencies() -> list[Refused]:
    trust, ledger = four().trust(), four()
    old, new = early(ledger), signed(ledger)
    good = consistency(old, new)
    fork = AppState(old.state.tree_root, old.state.log_size, Digest(sha256(b"fork")))
    shrunk = AppState(old.state.tree_root, 3, Digest(Log(_LogRows(ledger), new.state.log_size).root_at(3)))
    height = decode_signed_header(old.header).header.height

    def case(name: str, step: int, checklist: str = "consistency", **change: object) -> Refused:
        proof = replace(good.consistency, **change)
        return Refused(name, ConsistencyBundle(FORMAT, proof), trust, checklist=checklist, step=step)

    path = good.consistency.path
    return [
        case("an older state that is not signed", 6, "state", old=replace(old, state=new.state)),
        case("a newer state that is not signed", 6, "state", new=replace(new, state=old.state)),
        case("the newer state first", 2, old=new, new=old),
        case("two states for one height", 3, new=ledger.sign_state(fork, height=height), path=()),
        case("a log that lost outcomes", 3, new=ledger.sign_state(shrunk), path=()),
        case("a log that was written anew", 4, old=ledger.sign_state(fork, height=height)),
        case("a path changed", 4, path=(Digest(bytes(32)), *path[1:])),
        case("a path too short", 4, path=path[:-1]),
        case("no path", 4, path=()),
        case("a path from an empty log", 4, old=begun(ledger), path=path[:1]),
        case("one log twice, with a path", 4, old=new, path=path[:1]),
    ]


class _LogRows:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def get(self, key: bytes) -> bytes | None:
        return self._ledger.rows.get("log", key)


def _odd_history(stated: bytes, leaves: tuple[bytes, ...]) -> HistoryBundle:
    # A state that no machine makes, signed by validators that break the rules.
    running = NO_HISTORY
    for leaf in leaves:
        running = next_history(running, leaf_hash(leaf))
    key, value = HISTORY.key(ANN), stated or encode(running)
    rows = MemoryRows()
    tree = Tree(rows)
    rows.take(tree.update({key: value}))
    state = AppState(Digest(tree.root), 0, Digest(sha256(b"")))
    proof = HistoryProof(ANN, StateProof(key, value, tree.prove(key)), leaves)
    return HistoryBundle(FORMAT, four().sign_state(state), proof, (), ())


def _shows_other(bundle: RowBundle) -> bool:
    return bool(bundle.row.proof.other)


def _end(trust: TrustRoot) -> int:
    return trust.trusted_at_s + trust.trusting_period_s


def _header_s(bundle: OutcomeBundle) -> int:
    return decode_signed_header(bundle.signed.header).header.time_ns // 10**9


def _changed(state: SignedState, change: Callable[[SignedHeader], SignedHeader]) -> SignedState:
    return replace(state, header=encode_signed_header(change(decode_signed_header(state.header))))


def _with_votes(state: SignedState, *, absent: tuple[int, ...] = (), damaged: int = -1) -> SignedState:
    def vote(place: int, each: CommitSig) -> CommitSig:
        if place in absent:
            return CommitSig()
        if place == damaged:
            return replace(each, signature=bytes([each.signature[0] ^ 1]) + each.signature[1:])
        return each

    def change(header: SignedHeader) -> SignedHeader:
        votes = tuple(vote(place, each) for place, each in enumerate(header.commit.signatures))
        return SignedHeader(header.header, replace(header.commit, signatures=votes))

    return _changed(state, change)


def _with_header(state: SignedState, other: SignedState) -> SignedState:
    return _changed(state, lambda header: SignedHeader(decode_signed_header(other.header).header, header.commit))


def _with_power(state: SignedState) -> SignedState:
    first, *others = state.validators
    return replace(state, validators=(Validator(first.public_key, 11), *others))


def _claimed_by(trust: TrustRoot) -> OutcomeBundle:
    # What the trusted four signed, said to be signed by others.
    return replace(outcome(0), signed=replace(signed(four()), validators=trust.validator_set()))
