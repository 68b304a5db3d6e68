"""Own care: a custodian opens its own records for its own staff, judged and receipted like every other path (R4).

The receipt is one-sided, and says so. While the ledger is out of reach, direct care of the custodian's own patients
goes on, marked *continuity*; its receipts are anchored when the ledger is back (R3).
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from salus.contracts import access, patients, provisions, records
from salus.contracts.access import Basis, Permit
from salus.contracts.evidence import continuity_permit
from salus.contracts.membership import KeyUse
from salus.contracts.provisions import Request
from salus.contracts.residuals import RequestResidual, commit_request
from salus.contracts.tickets import is_direct_care
from salus.crypto.sealing import new_key
from salus.ledger import receipts
from salus.ledger.encoding import encode, in_nfc
from salus.ledger.entries import PlacedEntry
from salus.ledger.identifiers import Digest, PermitId, PublicKey
from salus.ledger.receipts import Delivery, Receipt, Standing
from salus.ledger.state import Reader
from salus.node.assemble import Node
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.journal import PartKey, State
from salus.node.people import OpenSession
from salus.node.projections import permits
from salus.node.services.judge import Hearing, Judgement, hear_residual, judge, now_s, require_live
from salus.node.services.release import Draft, How, draft_parts, keep_request
from salus.node.services.request import Denied, Wish, request


@dataclass(frozen=True)
class Opened:
    """A record that was opened for the custodian's own staff, and under which permit."""

    permit: PermitId
    placed: PlacedEntry
    content: bytes = field(repr=False)


def open_for_own_staff(node: Node, session: OpenSession, wish: Wish) -> Denied | Iterator[Opened]:
    """Open records of an own patient; Denied with the ledger's reason.

    1. Ask the ledger as everybody does; while it is out of reach, go on with the state there is, for direct care only.
    2. Judge every record in scope by the same rules.
    3. Write the receipt and log it, durably; then open.

    Raises:
        Refused: the person, the session or the rules do not fit; or what the ledger says.
        NotNow: the ledger is out of reach and this is not direct care.
    """
    try:
        node.require_fresh()
    except NotNow:
        if not is_own_direct_care(node, wish):
            raise
        with node.engine.snapshot() as reader:
            hearing = hear_in_continuity(node, reader, session, wish)  # 1
            return _open(node, reader, hearing, Standing.CONTINUITY)
    granted = request(node, session, wish)  # 1
    if isinstance(granted, Denied):
        return granted
    with node.engine.snapshot() as reader:
        terms = require_live(node, reader, granted.permit, node.organisation)
        hearing = hear_residual(node, reader, granted.permit, terms, granted.residual)
        return _open(node, reader, hearing, Standing.LEDGER)


def _open(node: Node, reader: Reader, hearing: Hearing, standing: Standing) -> Iterator[Opened]:
    keep_request(node, hearing.permit, hearing.terms.pseudonym, hearing.committed)
    return open_judged(node, reader, hearing, judge(node, reader, hearing), standing)  # 2


def open_judged(
    node: Node,
    reader: Reader,
    hearing: Hearing,
    judgement: Judgement,
    standing: Standing,
    *,
    reserve: Callable[[int], int] = lambda _count: 1,
) -> Iterator[Opened]:
    """Write the receipts of what was judged, and open what may go; each part's receipt is logged before its records.

    The request of the permit is kept before.

    Args:
        reserve: as for `draft_parts`.
    """
    if standing is Standing.CONTINUITY:
        permits.add_continuity(node, hearing.permit, hearing.terms)
    how = How(provisions.day_of(now_s(node, reader)), node.clock(), standing, Delivery.TLS)
    drafts = draft_parts(node, hearing, judgement, reader_key=b"", how=how, reserve=reserve)
    return _each_part(node, hearing, drafts)


def _each_part(node: Node, hearing: Hearing, drafts: Sequence[Draft]) -> Iterator[Opened]:
    for draft in drafts:
        statement = draft.document.statement
        receipt = Receipt(statement, receipts.sign_as_custodian(statement, node.signing(KeyUse.RECEIPT)), b"")
        key = PartKey(hearing.permit, statement.part)
        node.custodian_journal.log(
            key,
            encode(receipt),
            pseudonym=hearing.terms.pseudonym,
            at_s=node.clock(),
            kept=encode(draft.document),
        )  # 3
        for each in draft.released:
            yield Opened(hearing.permit, each.placed, b"".join(each.let_out()))
        node.custodian_journal.note(key, State.SENT, at_s=node.clock())


def is_own_direct_care(node: Node, wish: Wish) -> bool:
    """Tell whether a wish is direct care of own patients, which goes on without the ledger (R3).

    Who shows a ticket is somebody else: whether it is still in force only the ledger says.
    """
    asked = Request(node.organisation, wish.role_class, wish.purpose, wish.verb, day=0)
    return wish.ticket is None and wish.custodian == node.organisation and is_direct_care(asked)


def hear_in_continuity(node: Node, reader: Reader, session: OpenSession, wish: Wish) -> Hearing:
    """Return the hearing of a wish while the ledger is out of reach; nothing of it is committed yet.

    Raises:
        Refused: the relationship is not here, or was erased; or who asks does not fit.
    """
    patients.require_custodian(reader, wish.pseudonym, node.organisation)
    if records.is_erased(reader, wish.pseudonym):
        raise Refused(Refusal.PATIENT_UNKNOWN, "the relationship was erased: nothing is left to open")
    residual = RequestResidual(
        request=secrets.token_bytes(16),
        scope=wish.scope,
        certificate=session.certificate,
        session=session.certified,
        justification=in_nfc(wish.justification),
    )
    committed = commit_request(residual, secret=new_key())
    permit = continuity_permit(residual.request)
    return hear_residual(node, reader, permit, _terms(node, reader, session, wish, committed.root()), committed)


def _terms(node: Node, reader: Reader, session: OpenSession, wish: Wish, residual: Digest) -> Permit:
    time_s = now_s(node, reader)
    current = access.versions(reader, wish.pseudonym, node.organisation)
    return Permit(
        pseudonym=wish.pseudonym,
        custodian=node.organisation,
        requester=node.organisation,
        role_class=wish.role_class,
        purpose=wish.purpose,
        verb=wish.verb,
        from_s=time_s,
        until_s=time_s + wish.duration_s,
        session_key=PublicKey(session.key.public),
        reader_key=Digest(b""),
        basis=Basis.OWN_STAFF,
        ticket=Digest(b""),
        choices_version=current.choices,
        network_policy_version=current.network_policy,
        custodian_policy_version=current.custodian_policy,
        residual=residual,
        closed=0,
    )
