"""Judge: hear who asks under which permit, and put every record in scope to the rules (R1, R3, R4).

Nothing here lets anything out; `release` and `own_care` do, and only what was judged to go.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec

from salus.contracts import access, consent, decision, patients, records, residuals
from salus.contracts.access import Basis, Permit, PermitDead
from salus.contracts.decision import RecordDecision
from salus.contracts.evidence import is_asked_for
from salus.contracts.record_metadata import record_of
from salus.contracts.residuals import RequestResidual, ResidualInvalid
from salus.crypto.hashing import sha256
from salus.engines.base import Unavailable
from salus.ledger.encoding import EncodingInvalid
from salus.ledger.entries import PlacedEntry, entry_hash
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import OrganisationId, PermitId, PublicKey
from salus.ledger.machine import Meta, read_leaf, read_meta
from salus.ledger.outcomes import decode_leaf
from salus.ledger.state import Reader
from salus.node import documents, people
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.exchange import PartAsk
from salus.node.services import choices, delegations
from salus.node.services.choices import HeldRules
from salus.node.services.deliveries import SECRET_BYTES
from salus.node.services.deposit import METADATA, placed_entries, placed_versions
from salus.node.services.identify import Identified, identify
from salus.vault.rows import RecordKey
from salus.vault.vault import AtHand, Record


@dataclass(frozen=True)
class Judged:
    """A record in scope, what the rules say of it, and what opens it where they let it go, after its receipt."""

    placed: PlacedEntry
    record: Record
    decision: RecordDecision
    let_out: Callable[[], Iterator[bytes]] = field(repr=False)


@dataclass(frozen=True)
class Judgement:
    """What the rules say of every record in scope.

    Args:
        registered_count: sizes of the batches with what was registered when the permit was given, added up: what every
            member sees on the ledger, whatever is asked for and withheld.
    """

    records: list[Judged]
    registered_count: int


@dataclass(frozen=True)
class Hearing:
    """A request that was checked: on which permit, with which residual, by whom, under which rules."""

    permit: PermitId
    terms: Permit
    residual: RequestResidual
    committed: CommittedFields
    who: Identified
    held: HeldRules
    choice_versions: tuple[int, tuple[bytes, ...]]


def hear(node: Node, reader: Reader, sender: OrganisationId, ask: PartAsk) -> Hearing:
    """Check who asks, under which permit, with what residual; return what judging needs. Raises Refused."""
    terms = require_live(node, reader, ask.permit, sender)
    if sha256(ask.reader_key) != terms.reader_key:
        raise Refused(Refusal.READER_KEY_UNFIT, "expected the reader key whose hash the permit holds")
    return hear_residual(node, reader, ask.permit, terms, ask.residual)


def hear_again(node: Node, reader: Reader, permit: PermitId, sender: OrganisationId) -> Permit:
    """Check permit and person once more, by the request that was kept when it was heard (R3). Raises Refused."""
    terms = require_live(node, reader, permit, sender)
    kept = documents.find(node.vault, Kind.REQUEST, permit)
    if kept is None:
        raise Refused(Refusal.PART_UNKNOWN, "expected a part that was offered: ask for it first")
    residual = residuals.request_residual(choices.RESIDUAL.decode(kept))
    who = identify(reader, terms, residual, time_s=now_s(node, reader))
    _check_delegate(node, reader, terms, residual, who)
    return terms


def hear_residual(node: Node, reader: Reader, permit: PermitId, terms: Permit, committed: CommittedFields) -> Hearing:
    """Check who exactly asks, and gather the rules; return what judging needs.

    Raises:
        Refused: RESIDUAL_UNFIT, what `identify` and `delegations` say, TOO_MANY emergencies of one person, or
            RULES_MISSING, which own staff's care is spared.
    """
    if len(committed.secret) != SECRET_BYTES or committed.root() != terms.residual:
        raise Refused(Refusal.RESIDUAL_UNFIT, "expected the residual that the request committed to")
    try:
        residual = residuals.request_residual(committed)
    except (EncodingInvalid, ResidualInvalid) as error:
        raise Refused(Refusal.RESIDUAL_UNFIT, f"the residual is not well formed: {error}") from error
    who = identify(reader, terms, residual, time_s=now_s(node, reader))
    _check_delegate(node, reader, terms, residual, who)
    if terms.basis is Basis.EMERGENCY and terms.requester != node.organisation:  # own ones are counted when they ask
        people.require_emergency_room(node, residual.certificate, name=permit, pseudonym=terms.pseudonym)
    held = choices.rules_for(node, reader, terms.pseudonym, ticket=terms.ticket)
    if held.missing and not decision.may_lack_rules(terms):
        words = "the rules of a choice or ticket are not held here, or do not open its commitment: deliver them again"
        raise Refused(Refusal.RULES_MISSING, words)
    current = consent.choices(reader, terms.pseudonym)
    commitments = tuple(bytes(choice.commitment) for choice in current.choices)
    return Hearing(permit, terms, residual, committed, who, held, (current.version, commitments))


def _check_delegate(node: Node, reader: Reader, terms: Permit, residual: RequestResidual, who: Identified) -> None:
    key, classes = PublicKey(who.certificate), residual.scope.classes
    if delegations.is_delegate(reader, terms.pseudonym, key):
        now = now_s(node, reader)
        delegations.require_may_read(node, reader, terms.pseudonym, key, classes=classes, time_s=now)


def require_live(node: Node, reader: Reader, permit: PermitId, sender: OrganisationId) -> Permit:
    """Return a permit that is live at this moment, for this requester and this custodian. Raises Refused."""
    try:
        terms = access.require_live(reader, permit, time_s=now_s(node, reader))
    except PermitDead as error:
        raise Refused(Refusal.PERMIT_DEAD, str(error)) from error
    if terms.requester != sender:
        raise Refused(Refusal.NOT_THE_REQUESTER, f"the permit is for {terms.requester}, came {sender}")
    if terms.custodian != node.organisation:
        raise Refused(Refusal.NOT_THE_CUSTODIAN, f"the permit is for records at {terms.custodian}")
    patients.require_custodian(reader, terms.pseudonym, node.organisation)
    return terms


def now_s(node: Node, reader: Reader) -> int:
    """Return the later of block time and local clock: neither a slow clock nor a slow chain prolongs a permit (R3)."""
    return max(node.clock(), _meta(reader).time_s)


def height_of(reader: Reader) -> int:
    """Return the height of the state that is read."""
    return _meta(reader).height


def _meta(reader: Reader) -> Meta:
    meta = read_meta(reader)
    assert meta is not None, "a node reads a ledger that has begun"
    return meta


def wait_for_height(node: Node, height: int) -> None:
    """Wait until this node's state has a height, at most 2 s (DESIGN §4). Raises NotNow."""
    try:
        reached = node.engine.wait_for(height)
    except Unavailable as error:
        raise NotNow(f"the ledger does not answer ({error}): try later") from error
    if reached < height:
        raise NotNow(f"this node has height {reached}, expected {height}: try again")


def judge(node: Node, reader: Reader, hearing: Hearing) -> Judgement:
    """Put every record in scope to the whole rules."""
    registered = _registered(node, reader, hearing.terms)
    placed = _in_scope(reader, hearing.terms, registered)
    stored = [
        AtHand(each, partial(node.vault.open, each.record_id, each.version))
        for each in node.vault.record_many(_keys(placed))
    ]
    judged = _put_to_rules(node, reader, hearing, placed, stored)
    sizes = {each.batch_root: each.batch_size for each in registered}
    return Judgement(judged, sum(sizes.values()))


def judge_versions(node: Node, reader: Reader, hearing: Hearing, versions: Sequence[RecordKey]) -> Judgement:
    """Put these record versions to the whole rules, in this order; what is unknown here, or erased, is passed over.

    Raises:
        Refused: PERMIT_DEAD when one was registered after the permit was given: ask for a new one.
    """
    with node.vault.database.reading():
        known = placed_versions(node, hearing.terms.pseudonym, versions)
        placed = [each for each in known if not _is_erased(reader, hearing.terms, each)]
        stored = node.vault.at_hand(_keys(placed))
    if any(_registered_at_s(reader, hearing.terms, each) > hearing.terms.from_s for each in placed):
        raise Refused(Refusal.PERMIT_DEAD, "a record is newer than the permit: ask for a new one")
    judged = _put_to_rules(node, reader, hearing, placed, stored)
    return Judgement(judged, len(judged))


def _keys(placed: Sequence[PlacedEntry]) -> list[RecordKey]:
    return [(each.entry.record, each.entry.version) for each in placed]


def _put_to_rules(
    node: Node, reader: Reader, hearing: Hearing, placed: Sequence[PlacedEntry], stored: Sequence[AtHand]
) -> list[Judged]:
    request = msgspec.structs.replace(
        access.open_request(hearing.terms, time_s=now_s(node, reader)), person=bytes(hearing.who.certificate)
    )
    judged = []
    for each, here in zip(placed, stored, strict=True):
        metadata: CommittedFields = METADATA.decode(here.record.metadata)
        facts = record_of(each.entry.record, metadata.values)
        if is_asked_for(hearing.residual.scope, facts):
            said = decision.decide(hearing.terms, hearing.held.rules, request, facts)
            judged.append(Judged(each, here.record, said, here.open))
    return judged


def _is_erased(reader: Reader, terms: Permit, placed: PlacedEntry) -> bool:
    return bool(records.entry_mark(reader, terms.pseudonym, entry_hash(placed.entry)).erased_at_s)


def _registered(node: Node, reader: Reader, terms: Permit) -> list[PlacedEntry]:
    """Every record version that was registered when the permit was given."""
    known = placed_entries(node, terms.pseudonym)
    return [each for each in known if _registered_at_s(reader, terms, each) <= terms.from_s]


def _in_scope(reader: Reader, terms: Permit, registered: list[PlacedEntry]) -> list[PlacedEntry]:
    """The newest version of every record, less what was erased."""
    newest: dict[bytes, PlacedEntry] = {}
    for placed in registered:
        if not _is_erased(reader, terms, placed):
            newest[placed.entry.record] = placed
    return [newest[record] for record in sorted(newest)]


def _registered_at_s(reader: Reader, terms: Permit, placed: PlacedEntry) -> int:
    batch = records.batch(reader, terms.pseudonym, placed.batch_root)
    leaf = read_leaf(reader, batch.leaf) if batch is not None else None
    return decode_leaf(leaf).time_s if leaf is not None else terms.from_s + 1
