"""What a network writes over the tables of the ledger of one key that it goes on with, and when it cannot."""

from collections.abc import Callable

import msgspec
import pytest

from salus.contracts import genesis as documents
from salus.contracts import membership
from salus.contracts.adoption import adoption_rows, awaiting_rows
from salus.contracts.genesis import (
    AdoptedLedger,
    AdoptingGenesis,
    FirstPolicy,
    FirstValidator,
    Founder,
    FounderKey,
    GenesisInvalid,
    check,
    decode_genesis,
)
from salus.contracts.membership import KeyUse, LedgerAccess
from salus.contracts.provisions import RoleClass
from salus.ledger.encoding import encode
from salus.ledger.identifiers import Digest, OrganisationId, PublicKey
from salus.ledger.readers import ReadOnce
from salus.ledger.state import STATE
from tests.contracts.network import BEGIN_S, Given, MemoryLedger, digest, first_rows, genesis, key
from tests.contracts.trees import TREES

PLAIN = genesis(Given())
NEW = OrganisationId("NW001")
NEW_SEAT = PublicKey(key("new consensus").public)
LATER_S = 500


def newcomer() -> Founder:
    """An organisation that was no member of the old ledger."""
    keys = (FounderKey(KeyUse.TRANSACTION, key("new transaction").public), FounderKey(KeyUse.CONSENSUS, NEW_SEAT))
    return Founder(NEW, "New", (RoleClass.CLINICAL,), LedgerAccess.VALIDATOR, "https://new.example", keys)


@pytest.fixture
def old() -> MemoryLedger:
    """The ledger of the tables, with a policy."""
    return MemoryLedger(first_rows(Given(policies={"": TREES["no-insurers"]})))


@pytest.fixture
def document(old: MemoryLedger) -> AdoptingGenesis:
    """A genesis in which four of the six members and a new one go on; the hospital and the new one sign blocks."""
    meta = old.machine.meta
    assert meta is not None
    hospital = msgspec.structs.replace(
        PLAIN.founders[0], access=LedgerAccess.VALIDATOR, endpoint="https://moved.example"
    )
    fields = msgspec.structs.asdict(PLAIN) | {
        "format": 2,
        "time_s": BEGIN_S + LATER_S,
        "founders": (hospital, *PLAIN.founders[1:5], newcomer()),
        "validators": (*PLAIN.validators, FirstValidator(NEW, NEW_SEAT, 20)),
    }
    adopted = AdoptedLedger(Digest(digest("old genesis")), 7, BEGIN_S, meta.tree_root, meta.log_size, meta.log_root)
    return AdoptingGenesis(**fields, adopted=adopted)


Change = Callable[[AdoptingGenesis], AdoptingGenesis]


def founders(*listed: Founder) -> Change:
    return lambda document: msgspec.structs.replace(document, founders=listed)


def first(**changes: object) -> Change:
    def change(document: AdoptingGenesis) -> AdoptingGenesis:
        changed = msgspec.structs.replace(document.founders[0], **changes)  # type: ignore[arg-type]
        return msgspec.structs.replace(document, founders=(changed, *document.founders[1:]))

    return change


def adopt(ledger: MemoryLedger, document: AdoptingGenesis) -> None:
    """Have the founders' changes written."""
    rows = adoption_rows(ReadOnce(ledger.store), document)
    ledger.store.write(ledger.machine.genesis(time_s=document.time_s, rows=rows, adopts=True).changes)


def test_what_the_founders_change(old: MemoryLedger, document: AdoptingGenesis) -> None:
    before = set(old.store.items(STATE))
    adopt(old, document)
    hospital = membership.require_organisation(old.store, OrganisationId("RX1"))
    assert (hospital.access, hospital.endpoint) == (LedgerAccess.VALIDATOR, "https://moved.example")
    assert hospital.joined_at_s == BEGIN_S
    assert membership.require_organisation(old.store, NEW).joined_at_s == BEGIN_S + LATER_S
    assert membership.current_key(old.store, NEW, KeyUse.CONSENSUS) == NEW_SEAT
    assert {code: seat.power for code, seat in membership.seats(ReadOnce(old.store)).items()} == {"RX1": 10, NEW: 20}
    # Of the rest nothing changed: the hospital's row, and of the new one its own, its seat, two keys and their owners.
    assert len(set(old.store.items(STATE)) - before) == 1 + 6
    assert len(before - set(old.store.items(STATE))) == 1
    meta = old.machine.meta
    assert meta is not None
    assert (meta.height, meta.time_s, meta.log_size) == (0, BEGIN_S + LATER_S, 0)


def test_who_signed_before_and_does_no_more_observes(document: AdoptingGenesis) -> None:
    practice = document.founders[1]
    seat = PublicKey(key("practice/consensus").public)
    signs = msgspec.structs.replace(practice, keys=(*practice.keys, FounderKey(KeyUse.CONSENSUS, seat)))
    own_key = (practice.organisation, KeyUse.CONSENSUS)
    rows = [*first_rows(Given()), (membership.CONTRACT, membership.KEYS, own_key, membership.Keys(seat, ()))]
    hospital = msgspec.structs.replace(rows[1][3], access=LedgerAccess.VALIDATOR)
    rows.append((membership.CONTRACT, membership.ORGANISATIONS, OrganisationId("RX1"), hospital))
    ledger = MemoryLedger(rows)
    assert membership.require_organisation(ledger.store, OrganisationId("RX1")).name == "Hospital"
    seats = (FirstValidator(practice.organisation, seat, 1), FirstValidator(NEW, NEW_SEAT, 1))
    listed = (signs, *document.founders[2:5], newcomer(), PLAIN.founders[5])
    adopt(ledger, msgspec.structs.replace(document, founders=listed, validators=seats))
    assert membership.require_organisation(ledger.store, OrganisationId("RX1")).access is LedgerAccess.OBSERVER
    assert set(membership.seats(ReadOnce(ledger.store))) == {practice.organisation, NEW}


REFUSED: dict[str, tuple[Change, str]] = {
    "other limits": (
        lambda document: msgspec.structs.replace(
            document, network=msgspec.structs.replace(document.network, permit_s_max=1)
        ),
        "limits of the ledger",
    ),
    "two thirds and no more": (
        lambda document: founders(*document.founders[:4], newcomer())(document),
        "more than two thirds of the 6 members",
    ),
    "another kind": (first(role_classes=(RoleClass.PHARMACY,)), "the kind that RX1 has"),
    "another key": (
        first(keys=(FounderKey(KeyUse.TRANSACTION, key("other").public), *PLAIN.founders[0].keys[1:])),
        "the TRANSACTION key that RX1 has",
    ),
    "a key for another use": (
        first(keys=(*PLAIN.founders[0].keys, FounderKey(KeyUse.TICKET, key("other").public))),
        "the TICKET key that RX1 has",
    ),
    "more than a third with the old key": (
        lambda document: msgspec.structs.replace(
            document, validators=(*PLAIN.validators, FirstValidator(NEW, NEW_SEAT, 19))
        ),
        "at most a third of the power with the old ledger's key, came 10 of 29",
    ),
    "a new member with an old key": (
        lambda document: founders(
            *document.founders[:5],
            msgspec.structs.replace(newcomer(), keys=(PLAIN.founders[1].keys[0], newcomer().keys[1])),
        )(document),
        "a new member with new keys",
    ),
}


@pytest.mark.promise("L7")
@pytest.mark.parametrize(("change", "words"), REFUSED.values(), ids=REFUSED)
def test_founders_that_cannot_go_on(old: MemoryLedger, document: AdoptingGenesis, change: Change, words: str) -> None:
    assert adoption_rows(ReadOnce(old.store), document)
    with pytest.raises(GenesisInvalid, match=words):
        adoption_rows(ReadOnce(old.store), change(document))


def test_who_was_removed_is_no_new_member(old: MemoryLedger, document: AdoptingGenesis) -> None:
    rows = [*first_rows(Given())]
    rows.append((membership.CONTRACT, membership.KEYS, (NEW, KeyUse.TRANSACTION), membership.Keys(b"", ())))
    with pytest.raises(GenesisInvalid, match="a new member with new keys"):
        adoption_rows(ReadOnce(MemoryLedger(rows).store), document)


UNFIT: dict[str, tuple[Change, str]] = {
    "format 1": (lambda document: msgspec.structs.replace(document, format=1), "format 2, came 1"),
    "one validator": (
        lambda document: msgspec.structs.replace(document, validators=document.validators[:1]),
        "two validators at least",
    ),
    "a policy": (
        lambda document: msgspec.structs.replace(document, policies=(FirstPolicy("", (TREES["no-insurers"],)),)),
        "no policies",
    ),
    "before the last block": (lambda document: msgspec.structs.replace(document, time_s=BEGIN_S - 1), "after the last"),
}


@pytest.mark.parametrize(("change", "words"), UNFIT.values(), ids=UNFIT)
def test_a_document_that_does_not_fit(document: AdoptingGenesis, change: Change, words: str) -> None:
    check(document)
    with pytest.raises(GenesisInvalid, match=words):
        decode_genesis(encode(change(document)))


def test_a_document_is_read_back_and_its_hash_covers_the_old_roots(document: AdoptingGenesis) -> None:
    assert decode_genesis(encode(document)) == document
    other = msgspec.structs.replace(document.adopted, log_root=Digest(digest("another log")))
    changed = msgspec.structs.replace(document, adopted=other)
    assert documents.genesis_hash(changed) != documents.genesis_hash(document)
    assert isinstance(decode_genesis(encode(PLAIN)), documents.Genesis)
    assert not isinstance(decode_genesis(encode(PLAIN)), AdoptingGenesis)


def test_until_the_tables_are_here_nobody_is_a_member(document: AdoptingGenesis) -> None:
    ledger = MemoryLedger(awaiting_rows(document))
    assert membership.members(ReadOnce(ledger.store)) == ()
    assert membership.next_rules_version(ledger.store) == 1
