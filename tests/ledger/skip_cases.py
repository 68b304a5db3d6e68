"""Proofs under a trust store whose validators have changed since: what holds, and what is refused at which step.

The expected steps stand here by hand, as in `proof_cases`; `python -m tests.ledger.proof_vectors` writes both files.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

from salus.crypto.hashing import sha256
from salus.ledger.bundles import FORMAT, ConsistencyBundle, OutcomeBundle
from salus.ledger.comet.commit import decode_signed_header, encode_signed_header
from salus.ledger.comet.types import CommitSig, SignedHeader, Validator
from salus.ledger.identifiers import Digest
from salus.ledger.proofs import AppState, LightBlock, SignedState, prove_consistency
from salus.ledger.verifier import TrustStore
from salus.ledger.verifier.store import STORE_FORMAT
from tests.ledger.proof_cases import Case, Refused
from tests.ledger.proof_world import NOW_S, Ledger, consensus_keys, toy_ledger, write_notes

replace = msgspec.structs.replace


@dataclass(frozen=True)
class Life:
    """A chain through changes of its validators, and a trust store of one of its headers.

    Args:
        states: signed states by name, and the validators of each: by number, out of eight.
    """

    ledger: Ledger
    store: TrustStore
    states: dict[str, SignedState]


@cache
def life(validators: int = 4) -> Life:
    """0123 sign; 0123 sign the trusted header, which announces 0124; 0124 the next; then 0145, 0567, 4567."""
    ledger, states = toy_ledger(validators=validators), {}
    states["begun"] = ledger.signed_state()
    write_notes(ledger, *range(9))
    ledger.rotate(7, *range(1, validators))
    states["retired"] = ledger.signed_state()
    ledger.rotate(*range(validators))
    states["earlier"] = ledger.signed_state()
    for name, numbers in (("trusted", (0, 1, 2, 4)), ("next", (0, 1, 2, 4))):
        # Its header announces others, so it is not `signed_state` that makes it.
        state = AppState(ledger.meta.tree_root, ledger.meta.log_size, ledger.meta.log_root)
        ledger.rotate(*numbers)
        block = ledger.light_block()
        states[name] = SignedState(state, block.header, block.validators)
    store = store_of(ledger, states["trusted"])
    for name, changed in (("one new", (0, 1, 2, 4)), ("half new", (0, 1, 4, 5)), ("three new", (0, 5, 6, 7))):
        ledger.rotate(*changed)
        states[name] = ledger.signed_state()
    ledger.rotate(4, 5, 6, 7)
    states["all new"] = ledger.signed_state()
    return Life(ledger, store, states)


def store_of(ledger: Ledger, trusted: SignedState) -> TrustStore:
    """Return a store that trusts a header, under the root of the first validators."""
    first = replace(ledger.trust(), validators=_named(ledger))
    return TrustStore(
        format=STORE_FORMAT,
        root=first,
        newest=block_of(trusted),
        followed_at_s=NOW_S - 60,
        source="north",
        witness="south",
        conflicts=(),
    )


def outcome(name: str, index: int = 3, which: Life | None = None) -> OutcomeBundle:
    """An outcome under the state of this name."""
    of = which or life()
    signed = of.states[name]
    return OutcomeBundle(FORMAT, signed, of.ledger.prove_outcome(index, signed.state))


def block_of(signed: SignedState | str) -> LightBlock:
    """Return the light block of a signed state, or of the one of this name."""
    state = life().states[signed] if isinstance(signed, str) else signed
    return LightBlock(state.header, state.validators)


def forked(name: str) -> OutcomeBundle:
    """An outcome under another state for the same height, which the same validators signed."""
    good, of = outcome(name), life()
    numbers = [_number(each.public_key) for each in good.signed.validators]
    state = AppState(good.signed.state.tree_root, good.signed.state.log_size, Digest(sha256(b"fork")))
    signed = _by(of, *numbers).sign_state(state, height=_height(name), time_s=_time_s(name))
    return replace(good, signed=signed)


def holding() -> list[Case]:
    """Return the proofs that hold."""
    of = life()
    names = {
        "the trusted header": "trusted",
        "an earlier header of the same validators": "earlier",
        "the next header, by the validators that were announced": "next",
        "further on, one validator of four new": "one new",
        "further on, half of the validators new": "half new",
    }
    grown = ConsistencyBundle(FORMAT, prove_consistency(of.ledger.rows, of.states["earlier"], of.states["half new"]))
    end_s = _time_s("trusted") + of.store.root.trusting_period_s
    return [
        *(Case(words, outcome(name), of.store) for words, name in names.items()),
        Case("two of the trusted voted, and three of four in all", _voted(outcome("one new"), absent=(0,)), of.store),
        Case("a log that grew while validators changed", grown, of.store),
        Case("on the last second of the trusted header's period", outcome("next"), of.store, now_s=end_s),
        Case("a header at the edge of the clock's drift", outcome("next"), of.store, now_s=_time_s("next") - 9),
    ]


def refused() -> list[Refused]:
    """Return the proofs that are refused, each for one reason."""
    return [*_out_of_time_or_turn(), *_by_others()]


def _case(name: str, step: int, bundle: OutcomeBundle, checklist: str = "skip", **change: Any) -> Refused:
    usual: dict[str, Any] = {"trust": life().store, "now_s": NOW_S}
    return Refused(name, bundle, **(usual | change), checklist=checklist, step=step)


def _forged(signed: SignedState) -> OutcomeBundle:
    return replace(outcome("half new"), signed=signed)


def _out_of_time_or_turn() -> list[Refused]:
    of = life()
    good = outcome("half new")
    state = good.signed.state

    trusted_height, end_s = _height("trusted"), _time_s("trusted") + of.store.root.trusting_period_s
    fork = AppState(state.tree_root, state.log_size, Digest(sha256(b"fork")))
    own = _by(of, 0, 1, 2, 3)
    announced, unannounced = _by(of, 0, 1, 2, 4), _by(of, 0, 1, 2, 5)
    late_s, early_s = _time_s("trusted") + 100, _time_s("trusted") - 100
    return [
        _case("the trusted header's period has ended", 1, good, now_s=end_s + 1),
        _case("the period has ended, and the header is earlier", 1, outcome("earlier"), now_s=end_s + 1),
        _case("no header", 2, _forged(replace(good.signed, header=b"")), "state"),
        _case(
            "a byte after the header", 2, _forged(replace(good.signed, header=good.signed.header + b"\x00")), "state"
        ),
        _case("another header for the trusted height", 2, _forged(own.sign_state(fork, height=trusted_height))),
        _case(
            "a later header that is not later",
            3,
            _forged(announced.sign_state(state, height=trusted_height + 5, time_s=early_s)),
        ),
        _case(
            "the next header, not later",
            3,
            _forged(announced.sign_state(state, height=trusted_height + 1, time_s=early_s)),
        ),
        _case(
            "an earlier header that is not earlier",
            3,
            _forged(own.sign_state(state, height=trusted_height - 1, time_s=late_s)),
        ),
        _case("a header from the future", 4, good, now_s=_time_s("half new") - 11),
        _case("the next header from the future", 4, outcome("next"), now_s=_time_s("next") - 11),
        _case("an earlier header from the future", 4, outcome("earlier"), now_s=_time_s("earlier") - 11),
        _case(
            "the next header by validators that were not announced",
            5,
            _forged(unannounced.sign_state(state, height=trusted_height + 1, time_s=late_s)),
        ),
        _case("an earlier header by validators that are retired", 5, outcome("retired")),
    ]


def _by_others() -> list[Refused]:
    of, three = life(), life(3)
    good = outcome("half new")
    state = good.signed.state
    late_s = _time_s("trusted") + 100
    return [
        _case("a header of another chain", 6, good, trust=_of_chain(of.store, "proofs-2")),
        _case(
            "other validators than it names", 6, _forged(replace(good.signed, validators=of.store.newest.validators))
        ),
        _case("validators in another order", 6, _forged(replace(good.signed, validators=good.signed.validators[::-1]))),
        _case("a validator left out", 6, _forged(replace(good.signed, validators=good.signed.validators[:3]))),
        _case("more power than is named", 6, _forged(_with_power(good.signed))),
        _case("no validators", 6, _forged(replace(good.signed, validators=()))),
        _case("the commit of another header", 6, _forged(_with_header(good.signed, outcome("one new").signed))),
        _case("three of four validators new", 7, outcome("three new")),
        _case("all validators new", 7, outcome("all new")),
        _case("a third of the trusted power, not more", 7, outcome("three new", which=three), trust=three.store),
        _case("half are still there, and one of them voted", 7, _voted(good, absent=_places(good, 0))),
        _case("a trusted vote that is not signed", 8, _voted(good, damaged=_places(good, 0)[0])),
        _case("a new validator's vote that is not signed", 8, _voted(good, damaged=_places(good, 5)[0])),
        _case("trust enough, and half of its own power", 8, _voted(good, absent=_places(good, 4, 5))),
        _case("an earlier header's vote that is not signed", 8, _voted(outcome("earlier"), damaged=1)),
        _case("the next header's vote that is not signed", 8, _voted(outcome("next"), damaged=3)),
        _case("a trusted key twice", 8, _forged(_by(of, 0, 1, 1, 4).sign_state(state, time_s=late_s))),
        _case("the state of another header", 6, _forged(replace(good.signed, state=of.states["begun"].state)), "state"),
        _case("another log size", 6, _forged(replace(good.signed, state=replace(state, log_size=8))), "state"),
    ]


def _by(of: Life, *numbers: int) -> Ledger:
    # The same chain in the hands of others; nothing is written.
    everybody = consensus_keys(8)
    return Ledger(of.ledger.machine, of.ledger.rows, [everybody[number] for number in numbers], of.ledger.headers)


def _named(ledger: Ledger) -> Any:
    first = Ledger(ledger.machine, ledger.rows, consensus_keys(len(ledger.keys)))
    return first.trust().validators


def _of_chain(store: TrustStore, chain: str) -> TrustStore:
    # The trusted header is of this other chain too, as it would be.
    trusted = store.signed_header()
    header = encode_signed_header(SignedHeader(replace(trusted.header, chain_id=chain), trusted.commit))
    return replace(store, root=replace(store.root, chain=chain), newest=replace(store.newest, header=header))


def _number(public_key: bytes) -> int:
    return [key.public for key in consensus_keys(8)].index(public_key)


def _height(name: str) -> int:
    return decode_signed_header(life().states[name].header).header.height


def _time_s(name: str) -> int:
    return decode_signed_header(life().states[name].header).header.time_ns // 10**9


def _places(bundle: OutcomeBundle, *numbers: int) -> tuple[int, ...]:
    keys = [key.public for key in consensus_keys(8)]
    places = [each.public_key for each in bundle.signed.validators]
    return tuple(places.index(keys[number]) for number in numbers)


def _voted(bundle: OutcomeBundle, *, absent: tuple[int, ...] = (), damaged: int = -1) -> OutcomeBundle:
    def vote(place: int, each: CommitSig) -> CommitSig:
        if place in absent:
            return CommitSig()
        return replace(each, signature=bytes(64)) if place == damaged else each

    signed = decode_signed_header(bundle.signed.header)
    votes = tuple(vote(place, each) for place, each in enumerate(signed.commit.signatures))
    header = encode_signed_header(SignedHeader(signed.header, replace(signed.commit, signatures=votes)))
    return replace(bundle, signed=replace(bundle.signed, header=header))


def _with_header(state: SignedState, other: SignedState) -> SignedState:
    own, others = decode_signed_header(state.header), decode_signed_header(other.header)
    header = replace(
        others.header, validators_hash=own.header.validators_hash, next_validators_hash=own.header.next_validators_hash
    )
    return replace(state, header=encode_signed_header(SignedHeader(header, own.commit)))


def _with_power(state: SignedState) -> SignedState:
    first, *others = state.validators
    return replace(state, validators=(Validator(first.public_key, 11), *others))
