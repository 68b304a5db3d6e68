"""Steps 3 to 6 of the check of a receipt: on which permit it stands, and who asked for what."""

from dataclasses import dataclass

from salus.contracts import CONTRACTS, patients, residuals
from salus.contracts.access import AccessPermitted, Permit, ReleasesCommitted, RequestAccess
from salus.contracts.evidence import Event, continuity_permit, decode_outcome, permit_of, terms_of
from salus.contracts.provisions import Purpose, RoleClass, day_of
from salus.contracts.residuals import SESSION_S_MAX, CertifiedSession, PersonCertificate, RequestResidual
from salus.crypto.signing import SignatureInvalid
from salus.ledger import transactions
from salus.ledger.bundles import OpenedReceipt
from salus.ledger.encoding import EncodingInvalid, decoder
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import OrganisationId, PermitId, Pseudonym, PublicKey
from salus.ledger.machine import message_decoder
from salus.ledger.outcomes import DONE
from salus.ledger.proofs import OutcomeProof
from salus.ledger.receipts import Delivery, Standing
from salus.ledger.transactions import NotATransaction
from salus.ledger.verifier import VerifiedState, verify_outcome, verify_row
from salus.sdk.receipt_fields import ASK_AGAIN, CHECK, PatientView, decode_row, open_values
from salus.sdk.verified import Asker, Terms

CLOCK_SLACK_S = 60
"""By how much the custodian's clock may differ from the blocks'."""
REQUEST_FIELDS = 5
_MESSAGES = message_decoder(CONTRACTS)
_CERTIFICATE = decoder(PersonCertificate)


@dataclass(frozen=True)
class Ground:
    """What a receipt stands on.

    Args:
        permit: as anchors name it: empty in continuity.
        event: the one that gave the permit, `terms` what it permits; None in continuity.
        from_s: block time of the permit; in continuity, that of the state that the custodian had.
    """

    pseudonym: Pseudonym
    custodian: OrganisationId
    requester: OrganisationId
    permit: PermitId
    event: Event | None
    terms: Permit | None
    from_s: int


def proved_event(state: VerifiedState, proof: OutcomeProof, *, step: int) -> Event:
    """Return an outcome of the log, decoded. Raises VerificationFailed."""
    verified = verify_outcome(state, proof)
    try:
        outcome = decode_outcome(verified.leaf)
    except EncodingInvalid as error:
        raise CHECK.fail(step, f"an outcome is of no known kind: {error}: use a newer release") from error
    if outcome is None:
        raise CHECK.fail(step, f"expected a decision, came a rejection, number {verified.leaf.code}")
    return Event(verified.index, verified.leaf, outcome)


def stand_on(state: VerifiedState, opened: OpenedReceipt, view: PatientView) -> Ground:
    """Check what the receipt stands on. Raises VerificationFailed: step 3."""
    if not opened.permitted:
        return _stand_on_continuity(state, opened, view)
    event = proved_event(state, opened.permitted[0], step=3)
    outcome, leaf = event.outcome, event.leaf
    if not isinstance(outcome, AccessPermitted) or leaf.code != DONE:
        raise CHECK.fail(3, f"expected the outcome that gave the permit, came {type(outcome).__name__}: {ASK_AGAIN}")
    permit = opened.receipt.statement.permit
    CHECK.require(3, permit_of(leaf) == permit, f"the receipt is of another permit: {ASK_AGAIN}")
    terms = terms_of(outcome, leaf, session_key=PublicKey(b""))
    _check_written(view, terms)
    return Ground(outcome.pseudonym, outcome.custodian, outcome.requester, permit, event, terms, leaf.time_s)


def _check_written(view: PatientView, terms: Permit) -> None:
    conduct, choices = view.conduct, view.choices
    CHECK.require(3, conduct.standing is Standing.LEDGER, "a permit was committed, yet the receipt says continuity")
    CHECK.require(3, view.scope.as_of_s == terms.from_s, "the scope is of another moment than the permit")
    pinned = (terms.choices_version, terms.network_policy_version, terms.custodian_policy_version)
    applied = (choices.choices_version, choices.network_policy_version, choices.custodian_policy_version)
    CHECK.require(3, applied == pinned, f"the permit rests on versions {pinned}, the receipt on {applied}")
    first_s, last_s = terms.from_s - CLOCK_SLACK_S, terms.until_s + CLOCK_SLACK_S
    words = f"permit ran from {terms.from_s} to {terms.until_s}, the receipt is of {conduct.at_s}"
    CHECK.require(3, first_s <= conduct.at_s <= last_s, words)
    CHECK.require(3, day_of(terms.from_s) <= conduct.day <= day_of(last_s), f"{words}, on day {conduct.day}")


def _stand_on_continuity(state: VerifiedState, opened: OpenedReceipt, view: PatientView) -> Ground:
    conduct = view.conduct
    is_marked = conduct.standing is Standing.CONTINUITY and conduct.delivery is Delivery.TLS
    CHECK.require(3, is_marked, f"expected the outcome that gave the permit: {ASK_AGAIN}")
    permit = continuity_permit(view.request.request)
    CHECK.require(3, permit == opened.receipt.statement.permit, "the receipt is of another request")
    if not opened.anchors:
        raise CHECK.fail(3, "a receipt of continuity counts when it is anchored: ask again later")
    anchor = proved_event(state, opened.anchors[0].outcome, step=3)
    if not isinstance(anchor.outcome, ReleasesCommitted) or anchor.outcome.permit:
        raise CHECK.fail(3, "expected the anchor of a receipt without a permit")
    first_s, last_s = view.scope.as_of_s - CLOCK_SLACK_S, anchor.leaf.time_s + CLOCK_SLACK_S
    CHECK.require(3, first_s <= conduct.at_s <= last_s, f"anchored at {anchor.leaf.time_s}, yet of {conduct.at_s}")
    pseudonym = anchor.outcome.pseudonym
    custodian = _custodian(state, opened, pseudonym)
    return Ground(pseudonym, custodian, custodian, PermitId(b""), None, None, view.scope.as_of_s)


def _custodian(state: VerifiedState, opened: OpenedReceipt, pseudonym: Pseudonym) -> OrganisationId:
    key = patients.RELATIONSHIPS.key(pseudonym)
    proof = next((each for each in opened.rows if each.key == key), None)
    row = None if proof is None else verify_row(state, proof).row
    if row is None:
        raise CHECK.fail(3, f"expected the row of the relationship: {ASK_AGAIN}")
    return decode_row(patients.RELATIONSHIPS, row).custodian


def asked_by(opened: OpenedReceipt, view: PatientView, ground: Ground) -> tuple[Asker, RequestResidual | None]:
    """Check who asked and for what. Raises VerificationFailed: steps 4 and 5.

    Returns:
        The asker, and what the request kept off the ledger; None in continuity, where nothing commits to it.
    """
    if ground.terms is None:
        return _asked_in_continuity(opened, view, ground), None
    residual = _residual(opened, ground.terms)  # 4
    CHECK.require(4, residual.request == view.request.request, "the receipt answers another request")
    terms = ground.terms  # 5
    if is_patients_own(terms):
        CHECK.require(5, not residual.certificate.values, "a patient's own request names no certificate")
        _check_session(residual.session, PublicKey(view.who.certificate), terms)
        return _asker(view, None), residual
    certificate = _certificate(residual.certificate)
    CHECK.require(5, residual.certificate.root() == view.who.certificate, "the receipt names another certificate")
    CHECK.require(5, certificate.organisation == terms.requester, f"expected a certificate of {terms.requester}")
    CHECK.require(5, terms.role_class in certificate.role_classes, "the certificate does not cover the role class")
    _check_session(residual.session, certificate.key, terms)
    return _asker(view, certificate), residual


def is_patients_own(terms: Permit | Terms) -> bool:
    """Tell whether the patient asked: then the pseudonym's key stands where a person's certificate would."""
    return terms.purpose is Purpose.PATRQT and terms.role_class is RoleClass.PATIENT_SIDE


def _residual(opened: OpenedReceipt, terms: Permit) -> RequestResidual:
    values = open_values(4, opened.request, terms.residual, what="the request")
    complete = len(values) == REQUEST_FIELDS == opened.request[0].size if values else False
    CHECK.require(4, complete, f"expected all {REQUEST_FIELDS} fields of the request, came {len(values)}: {ASK_AGAIN}")
    try:
        return residuals.request_residual(CommittedFields(secret=b"", values=tuple(values)))
    except EncodingInvalid as error:
        raise CHECK.fail(4, f"the request is of no known form: {error}: use a newer release") from error


def _certificate(fields: CommittedFields) -> PersonCertificate:
    CHECK.require(5, len(fields.values) == 1, "expected the certificate of the person who asked")
    return _decode_certificate(fields.values[0])


def _decode_certificate(value: bytes) -> PersonCertificate:
    try:
        certificate: PersonCertificate = _CERTIFICATE.decode(value)
    except EncodingInvalid as error:
        raise CHECK.fail(5, f"the certificate is of no known form: {error}: use a newer release") from error
    return certificate


def _check_session(certified: CertifiedSession, key: PublicKey, terms: Permit) -> None:
    session = certified.session
    try:
        certified.verify(key)
    except SignatureInvalid as error:
        raise CHECK.fail(5, "the session is not certified by the person's key") from error
    CHECK.require(5, session.custodian == terms.custodian, f"the session is for {session.custodian}")
    CHECK.require(5, session.until_s - session.from_s <= SESSION_S_MAX, "the session is longer than sessions may be")
    overlaps = session.from_s - CLOCK_SLACK_S <= terms.until_s and terms.from_s < session.until_s + CLOCK_SLACK_S
    CHECK.require(5, overlaps, f"session ran from {session.from_s} to {session.until_s}, the permit did not")


def _asked_in_continuity(opened: OpenedReceipt, view: PatientView, ground: Ground) -> Asker:
    values = open_values(4, opened.request, view.who.certificate, what="the certificate")
    CHECK.require(4, len(values) == 1, "expected the certificate of the person, and nothing else")
    certificate = _decode_certificate(values[0])
    CHECK.require(5, certificate.organisation == ground.custodian, f"expected a certificate of {ground.custodian}")
    return _asker(view, certificate)


def _asker(view: PatientView, certificate: PersonCertificate | None) -> Asker:
    return Asker(
        authentication=view.who.authentication,
        key_or_certificate=view.who.certificate,
        name=certificate.name if certificate else "",
        role=certificate.role if certificate else "",
        registration=certificate.registration if certificate else "",
    )


def check_transaction(
    state: VerifiedState, opened: OpenedReceipt, ground: Ground, request: RequestResidual | None
) -> bool:
    """Check the request's own bytes, if they are shown; tell whether they are. Raises VerificationFailed: step 6."""
    if not opened.transaction:
        return False
    if ground.event is None or request is None:
        raise CHECK.fail(6, "in continuity nothing was asked of the ledger: expected no transaction")
    try:
        transaction = transactions.decode(opened.transaction, chain=state.chain, messages=_MESSAGES)
        transactions.verify(transaction)
    except NotATransaction as error:
        raise CHECK.fail(6, f"the request's bytes are no signed transaction: {error}") from error
    leaf = ground.event.leaf
    CHECK.require(6, transaction.hash == leaf.transaction, "these bytes are not those that got the permit")
    message = transaction.messages[leaf.index] if leaf.index < len(transaction.messages) else None
    if not isinstance(message, RequestAccess) or message.session >= len(transaction.body.signers):
        raise CHECK.fail(6, "these bytes do not ask for access: the ledger answered what nobody asked")
    signer = transaction.body.signers[message.session]
    is_session = signer == request.session.session.session_key
    CHECK.require(6, is_session, "the request was signed by another session than the one that the person certified")
    return True


def shown_terms(ground: Ground, request: RequestResidual | None) -> Terms | None:
    """Return what was asked and permitted; None in continuity."""
    terms = ground.terms
    if terms is None or request is None:
        return None
    return Terms(
        purpose=terms.purpose,
        role_class=terms.role_class,
        verb=terms.verb,
        basis=terms.basis,
        from_s=terms.from_s,
        until_s=terms.until_s,
        justification=request.justification,
    )
