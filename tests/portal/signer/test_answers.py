"""The portal's side: requests that the page takes, its answers taken, and every answer to something else refused."""

import dataclasses
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from salus.contracts import consent, patients, residuals, tickets
from salus.contracts.access import Challenge
from salus.contracts.consent import FileConsent
from salus.contracts.membership import PublishFile
from salus.contracts.patients import AddKey, Enrol, Holder, KeyKind, TakeOverKey
from salus.contracts.provisions import gate
from salus.contracts.ticket_bearers import Resources, new_claims, write_bearer
from salus.crypto.signing import SigningKey
from salus.ledger import transactions
from salus.ledger.encoding import decoder, encode
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import Digest, OrganisationId, PermitId, PublicKey
from salus.ledger.transactions import Message
from salus.node.errors import Refused
from salus.node.services.signer_answers import (
    Answered,
    Declined,
    HalfSigned,
    KeyAccepted,
    Signed,
    co_sign,
    join,
    read_answer,
)
from salus.node.services.signer_requests import (
    Kind,
    to_text,
)
from salus.sdk.choice_presets import share
from tests.contracts.network import BEGIN_S, CHAIN, Given, MemoryLedger, first_rows, key
from tests.portal.signer.signer_items import (
    ADDED,
    AUDIENCE,
    CHANGES_BLOB,
    CHOICE,
    CLOSED,
    GIVEN,
    HOSPITAL,
    ITEMS,
    MASTER,
    NEW,
    OTHER,
    OWN,
    PRACTICE,
    PSEUDONYM,
    RECOVERY,
    RESOURCES,
    SECOND,
    SEED,
    STRANGER,
    TERMS,
    THEIRS,
    TO_ACCEPT,
    TREE,
    request_of,
    unsigned,
)
from tests.portal.signer.signer_world import MESSAGES
from tests.portal.signer.test_vectors import NODE, PAGE, TIMEOUT_S

RUNNER = Path(__file__).parent / "sign_in_node.mjs"


@pytest.fixture(scope="module")
def answers() -> dict[Kind, bytes]:
    """What the page answers to each kind: Node is asked once."""
    names = {
        HOSPITAL: "Riverside Hospital",
        PRACTICE: "Elm Practice (best)",
        OrganisationId("FX001"): "riverside hospital",
    }
    given = {
        "chain": CHAIN,
        "now_s": BEGIN_S,
        "seed": to_text(SEED),
        "recovery": [to_text(each) for each in RECOVERY],
        "relationships": [[HOSPITAL, to_text(PSEUDONYM)]],
        "requests": [request_of(kind).encode(names).decode() for kind in ITEMS],
    }
    done = subprocess.run(
        [NODE, "--no-warnings", RUNNER, PAGE],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(ITEMS, (each.encode() for each in json.loads(done.stdout)), strict=True))


@pytest.mark.parametrize("kind", ITEMS)
def test_what_the_page_answers_is_taken(answers: dict[Kind, bytes], kind: Kind) -> None:
    answer = read_answer(request_of(kind), answers[kind])
    assert isinstance(answer, Answered)
    assert len(answer.parts) == 1
    assert (answer.device is not None) == (kind in CHANGES_BLOB)


def only(answers: dict[Kind, bytes], kind: Kind) -> Any:
    """The one part of an answer."""
    answer = read_answer(request_of(kind), answers[kind])
    assert isinstance(answer, Answered)
    (part,) = answer.parts
    return part


def test_an_enrolment_that_both_signed_is_taken_by_the_ledger(answers: dict[Kind, bytes]) -> None:
    ledger = MemoryLedger(first_rows(Given()))
    half = only(answers, Kind.ENROL)
    assert isinstance(half, HalfSigned)
    (result,) = ledger.submit([co_sign(half, key("hospital"))])
    assert result.code == 0
    row = patients.relationship_of(ledger.reader(), half.message.pseudonym)
    assert row is not None
    assert (row.key, row.holder) == (half.signers[1], Holder.PATIENT)
    with pytest.raises(AssertionError, match="another key"):
        co_sign(half, STRANGER)


def test_two_devices_sign_one_body(answers: dict[Kind, bytes]) -> None:
    accepted = only(answers, Kind.ACCEPT_KEY)
    assert isinstance(accepted, KeyAccepted)
    first = THEIRS.sign_tagged(transactions.SIGNING_TAG, TO_ACCEPT)
    signers = (PublicKey(THEIRS.public), PublicKey(OWN.public))
    half = HalfSigned(ADDED, TO_ACCEPT, signers, first, residuals.reason("let act", bytes(32)))
    transactions.verify(transactions.decode(join(half, accepted), chain=CHAIN, messages=MESSAGES))


def test_the_keys_are_those_that_guardians_have_by_the_sdk(answers: dict[Kind, bytes]) -> None:
    begun, ended = (only(answers, each).message for each in (Kind.START_RECOVERY, Kind.FINISH_RECOVERY))
    for each in (Kind.SET_RECOVERY, Kind.CHANGE_RECOVERY):
        chosen = only(answers, each).message
        assert (chosen.recovery_key, chosen.second_key) == (MASTER.public, SECOND.public)
    assert begun.key == OWN.public
    assert isinstance(ended, patients.FinishRecovery)


@pytest.mark.parametrize("reason", ["person", "unable", "request", "wallet"])
def test_a_refusal_is_read(reason: str) -> None:
    raw = json.dumps({"format": 1, "refused": reason}).encode()
    assert read_answer(request_of(Kind.SESSION), raw) == Declined(reason)


Alter = Callable[[dict[str, Any]], None]


def item(**members: Any) -> Alter:
    """Other members in the one item; None takes one out."""

    def alter(answer: dict[str, Any]) -> None:
        for name, value in members.items():
            answer["items"][0][name] = to_text(value) if isinstance(value, bytes) else value
            if value is None:
                del answer["items"][0][name]

    return alter


def whole(**members: Any) -> Alter:
    """Other members of the answer."""
    return lambda answer: answer.update(members)


def device(**members: bytes) -> Alter:
    """Another device."""
    return lambda answer: answer["device"].update({name: to_text(value) for name, value in members.items()})


def signed(
    *messages: Message,
    keys: tuple[SigningKey, ...] = (OWN,),
    residual: CommittedFields,
    **members: Any,
) -> Alter:
    """A transaction that the patient's key did sign, with other messages, and what goes with it."""
    raw = transactions.sign(messages, chain=CHAIN, keys=keys, expires_at_s=BEGIN_S + 300, nonce=bytes(16))
    return item(transaction=raw, residual=encode(residual), **members)


def body(
    *messages: Message,
    signers: tuple[SigningKey, ...],
    by: SigningKey,
    residual: CommittedFields | None = None,
    **other: Any,
) -> Alter:
    """A body that the patient's key did sign, with other messages or signers; an enrolment's residual beside it."""
    made = unsigned(*messages, signers=[PublicKey(each.public) for each in signers], **other)
    signature = by.sign_tagged(transactions.SIGNING_TAG, made)
    named = {} if residual in {LET, LET_WITHOUT_TERMS} else {"pseudonym": NEW, "key": OWN.public}
    return item(body=made, signature=signature, residual=encode(residual or ENROLLED), **named)


def bearer_of(**other: Any) -> tuple[str, SigningKey]:
    """A ticket's text that is not the page's, and its key."""
    claims = {"chain": CHAIN, "audience": AUDIENCE, "pseudonym": PSEUDONYM, "resources": RESOURCES, "time_s": BEGIN_S}
    return write_bearer(new_claims(**claims | {"expires_at_s": BEGIN_S + 60, "secret": bytes(32)} | other))


def ticketed(residual: CommittedFields | None = None, **other: Any) -> Alter:
    """A ticket that the patient's key did sign, whose text has other claims."""
    bearer, ticket = bearer_of(**other)
    kept = residual or RULES
    (condition,) = gate(TREE).may_permit
    until_s = BEGIN_S + 60
    message = tickets.IssueTicket(PSEUDONYM, PublicKey(ticket.public), condition, 2, until_s, kept.root())
    return signed(message, keys=(OWN, ticket), residual=kept, bearer=bearer, ticket=ticket.public)


def other_format(answer: dict[str, Any]) -> None:
    """An enrolment whose body says that it is of format 2."""
    plain = unsigned(ENROLMENT, signers=[PublicKey(HOSPITAL_KEY.public), PublicKey(OWN.public)])
    made = encode(replace(decoder(transactions.Body).decode(plain), format=2))
    signature = OWN.sign_tagged(transactions.SIGNING_TAG, made)
    item(body=made, signature=signature, residual=encode(ENROLLED), pseudonym=NEW, key=OWN.public)(answer)


ENROLLED, TAKEN, LET, WITHDRAWN, REVOKED, REMOVED = (
    residuals.reason(f"{what} by the patient", bytes(32))
    for what in ("enrolled", "taken over", "let act", "withdrawn", "revoked", "removed")
)
LET_WITHOUT_TERMS, LET = LET, residuals.commit_delegate("let act by the patient", TERMS, secret=bytes(32))
QUESTIONED = residuals.reason("Nobody asked me", bytes(32))
RULES = residuals.commit_choice(TREE, secret=bytes(32))
HARMLESS = residuals.commit_choice(CLOSED, secret=bytes(32))
HOSPITAL_KEY = key("hospital")
ENROLMENT = Enrol(NEW, HOSPITAL, PublicKey(OWN.public), Holder.PATIENT, b"", ENROLLED.root())
PUBLISHED = PublishFile(HOSPITAL, "signer", Digest(bytes(32)))
CHOSEN, LOST, RECOVERED, UNDONE = (
    residuals.reason(words, bytes(32)) for words in ("guardians chosen", "the device was lost", "recovered", "undone")
)
CHANGE = patients.ChangeRecoveryKey(PSEUDONYM, PublicKey(MASTER.public), Digest(SECOND.public), CHOSEN.root())
UNDO = patients.UndoRecoveryKey(PSEUDONYM, UNDONE.root())
START = patients.StartRecovery(PSEUDONYM, PublicKey(OWN.public), LOST.root())
ENDED = patients.FinishRecovery(PSEUDONYM, RECOVERED.root())
FILED = FileConsent(PSEUDONYM, CHOICE, gate(TREE), RULES.root(), 0)
REFUSED: dict[str, tuple[Kind, Alter]] = {
    "no answer": (Kind.SESSION, lambda answer: answer.clear()),
    "another format": (Kind.SESSION, whole(format=2)),
    "a member too many": (Kind.SESSION, whole(more=1)),
    "no items": (Kind.SESSION, whole(items=[])),
    "a device where none changed": (Kind.SESSION, whole(device={"id": "AA", "credential": "AA", "blob": "AA"})),
    "no device where one changed": (Kind.TAKE_OVER, whole(device=None)),
    "another device": (Kind.TAKE_OVER, device(id=bytes([1]) * 16)),
    "another passkey": (Kind.TAKE_OVER, device(credential=b"y")),
    "an empty blob": (Kind.TAKE_OVER, device(blob=b"")),
    "an item with a member too many": (Kind.SESSION, item(more=b"")),
    "an item with a member too few": (Kind.SESSION, item(pseudonym=None)),
    "bytes that are none": (Kind.SESSION, item(session="?")),
    "a session of another pseudonym": (Kind.SESSION, item(pseudonym=OTHER)),
    "a session of another key": (Kind.SESSION, item(session=encode(residuals.certify_session(
        residuals.Session(PublicKey(STRANGER.public), HOSPITAL, BEGIN_S, BEGIN_S + 3600), OWN)))),
    "a session at another custodian": (Kind.SESSION, item(session=encode(residuals.certify_session(
        residuals.Session(PublicKey(THEIRS.public), PRACTICE, BEGIN_S, BEGIN_S + 3600), OWN)))),
    "a longer session": (Kind.SESSION, item(session=encode(residuals.certify_session(
        residuals.Session(PublicKey(THEIRS.public), HOSPITAL, BEGIN_S, BEGIN_S + 7200), OWN)))),
    "a key of another pseudonym": (Kind.NEW_KEY, item(pseudonym=OTHER)),
    "a message of the organisation's": (Kind.ENROL, body(PUBLISHED, signers=(HOSPITAL_KEY, OWN), by=OWN)),
    "a message of the organisation's beside the enrolment": (
        Kind.ENROL, body(ENROLMENT, PUBLISHED, signers=(HOSPITAL_KEY, OWN), by=OWN)),
    "an enrolment of another chain": (
        Kind.ENROL, body(ENROLMENT, signers=(HOSPITAL_KEY, OWN), by=OWN, chain="salus-other")),
    "an enrolment that is good for an hour": (
        Kind.ENROL, body(ENROLMENT, signers=(HOSPITAL_KEY, OWN), by=OWN, expires_at_s=BEGIN_S + 3600)),
    "an enrolment at another custodian": (
        Kind.ENROL, body(Enrol(NEW, PRACTICE, PublicKey(OWN.public), Holder.PATIENT, b"", ENROLLED.root()),
                         signers=(HOSPITAL_KEY, OWN), by=OWN)),
    "an enrolment with the custodian as holder": (
        Kind.ENROL, body(Enrol(NEW, HOSPITAL, PublicKey(OWN.public), Holder.CUSTODIAN, b"", ENROLLED.root()),
                         signers=(HOSPITAL_KEY, OWN), by=OWN)),
    "an enrolment that only the custodian's key signs": (
        Kind.ENROL, body(ENROLMENT, signers=(HOSPITAL_KEY,), by=OWN)),
    "an enrolment with a third signer": (
        Kind.ENROL, body(ENROLMENT, signers=(HOSPITAL_KEY, OWN, STRANGER), by=OWN)),
    "an enrolment without its signature": (Kind.ENROL, item(signature=bytes(64))),
    "a residual of something else": (Kind.ENROL, item(residual=encode(RULES))),
    "a take-over of another": (
        Kind.TAKE_OVER, body(TakeOverKey(OTHER, PublicKey(OWN.public), Digest(b""), TAKEN.root()),
                             signers=(THEIRS, OWN), by=OWN, residual=TAKEN)),
    "a key that is not the one": (
        Kind.ADD_KEY, body(AddKey(PSEUDONYM, PublicKey(STRANGER.public), KeyKind.DELEGATE, 0, LET.root()),
                           signers=(OWN, STRANGER), by=OWN, residual=LET)),
    "a delegate that became a device": (
        Kind.ADD_KEY, body(AddKey(PSEUDONYM, PublicKey(THEIRS.public), KeyKind.DEVICE, 0, LET.root()),
                           signers=(OWN, THEIRS), by=OWN, residual=LET)),
    "a helper without the terms": (
        Kind.ADD_KEY, body(AddKey(PSEUDONYM, PublicKey(THEIRS.public), KeyKind.DELEGATE, 0, LET_WITHOUT_TERMS.root()),
                           signers=(OWN, THEIRS), by=OWN, residual=LET_WITHOUT_TERMS)),
    "an acceptance by another key": (
        Kind.ACCEPT_KEY, item(signature=STRANGER.sign_tagged(transactions.SIGNING_TAG, TO_ACCEPT))),
    "a challenge of another look": (
        Kind.FILE_CHALLENGE, signed(Challenge(PSEUDONYM, PermitId(bytes(16)), QUESTIONED.root()), residual=QUESTIONED)),
    "a challenge in other words": (
        Kind.FILE_CHALLENGE, signed(Challenge(PSEUDONYM, PermitId(CHOICE), REVOKED.root()), residual=REVOKED)),
    "a choice with a wider gate": (
        Kind.FILE_CONSENT,
        signed(FileConsent(PSEUDONYM, CHOICE, gate(share([HOSPITAL, PRACTICE])), RULES.root(), 0), residual=RULES)),
    "a choice under another id": (
        Kind.FILE_CONSENT, signed(replace(FILED, choice=bytes(16)), residual=RULES, choice=bytes(16))),
    "a choice whose rules are others": (
        Kind.FILE_CONSENT, signed(replace(FILED, commitment=HARMLESS.root()), residual=HARMLESS)),
    "a choice of a stranger's pseudonym": (
        Kind.FILE_CONSENT, signed(replace(FILED, pseudonym=OTHER), residual=RULES)),
    "a choice and something else": (Kind.FILE_CONSENT, signed(FILED, FILED, residual=RULES)),
    "a withdrawal of another choice": (
        Kind.WITHDRAW_CONSENT,
        signed(consent.WithdrawConsent(PSEUDONYM, bytes(16), WITHDRAWN.root(), 0), residual=WITHDRAWN)),
    "a ticket with more uses": (
        Kind.ISSUE_TICKET, signed(tickets.IssueTicket(
            PSEUDONYM, PublicKey(THEIRS.public), gate(TREE).may_permit[0], 100, BEGIN_S + 60, RULES.root()),
            keys=(OWN, THEIRS), residual=RULES)),
    "a ticket without its bearer": (Kind.ISSUE_TICKET, item(bearer="")),
    "the end of another ticket": (
        Kind.REVOKE_TICKET,
        signed(tickets.RevokeTicket(PSEUDONYM, PublicKey(STRANGER.public), REVOKED.root()), residual=REVOKED)),
    "the end of another key": (
        Kind.REMOVE_KEY,
        signed(patients.RemoveKey(PSEUDONYM, PublicKey(STRANGER.public), REMOVED.root()), residual=REMOVED)),
    "a passkey's id that is too long": (Kind.CREATE, device(credential=bytes(1024))),
    "a key of another size": (Kind.NEW_KEY, item(key=bytes(31))),
    "an enrolment that names another first signer": (Kind.ENROL, body(ENROLMENT, signers=(STRANGER, OWN), by=OWN)),
    "a take-over that names another first signer": (
        Kind.TAKE_OVER, body(TakeOverKey(NEW, PublicKey(OWN.public), Digest(b""), TAKEN.root()),
                             signers=(STRANGER, OWN), by=OWN, residual=TAKEN)),
    "a key that another is to accept": (
        Kind.ADD_KEY, body(AddKey(PSEUDONYM, PublicKey(THEIRS.public), KeyKind.DELEGATE, 0, LET.root()),
                           signers=(OWN, STRANGER), by=OWN, residual=LET)),
    "an enrolment for another reason": (
        Kind.ENROL, body(replace(ENROLMENT, commitment=TAKEN.root()), signers=(HOSPITAL_KEY, OWN), by=OWN,
                         residual=TAKEN)),
    "an enrolment in another format": (Kind.ENROL, other_format),
    "a voucher of another size": (Kind.FILE_CONSENT, item(voucher=bytes(31))),
    "a choice that another signs as well": (
        Kind.FILE_CONSENT, signed(FILED, keys=(OWN, STRANGER), residual=RULES)),
    "a choice with a signature that does not hold": (
        Kind.FILE_CONSENT, item(transaction=transactions.assemble(
            unsigned(FILED, signers=[PublicKey(OWN.public)]), [bytes(64)]), residual=encode(RULES))),
    "a withdrawal that says another choice": (Kind.WITHDRAW_CONSENT, item(choice=bytes(16))),
    "a ticket at another server": (Kind.ISSUE_TICKET, ticketed(audience="https://other.example")),
    "a ticket whose text is good for longer": (Kind.ISSUE_TICKET, ticketed(expires_at_s=BEGIN_S + 61)),
    "a ticket whose text is of another pseudonym": (Kind.ISSUE_TICKET, ticketed(pseudonym=OTHER)),
    "a ticket for other records": (Kind.ISSUE_TICKET, ticketed(resources=(Resources("*", ("read", "search")),))),
    "a ticket whose rules are others": (
        Kind.ISSUE_TICKET, ticketed(residual=residuals.commit_choice(share([PRACTICE]), secret=bytes(32)))),
    "a ticket with the text of another": (
        Kind.ISSUE_TICKET, lambda answer: answer["items"][0].update(bearer=bearer_of()[0])),
    **{f"{kind}: another pseudonym": (kind, item(pseudonym=OTHER)) for kind in ITEMS
       if kind not in {Kind.CREATE, Kind.ENROL}},
    "the end of a key instead of a recovery's": (
        Kind.CANCEL_RECOVERY,
        signed(patients.RemoveKey(PSEUDONYM, PublicKey(THEIRS.public), REMOVED.root()), residual=REMOVED)),
    "guardians of another record": (
        Kind.SET_RECOVERY,
        signed(patients.ChangeRecoveryKey(OTHER, PublicKey(MASTER.public), Digest(SECOND.public), CHOSEN.root()),
               residual=CHOSEN)),
    "guardians whose key is another's": (Kind.SET_RECOVERY, item(key=STRANGER.public)),
    "guardians without the second key": (
        Kind.SET_RECOVERY,
        signed(patients.ChangeRecoveryKey(PSEUDONYM, PublicKey(MASTER.public), Digest(b""), CHOSEN.root()),
               residual=CHOSEN, second=b"")),
    "a recovery for another key": (
        Kind.START_RECOVERY, signed(replace(START, key=PublicKey(STRANGER.public)), keys=(GIVEN, OWN), residual=LOST)),
    "a recovery that the new key alone signs": (
        Kind.START_RECOVERY, signed(START, keys=(OWN,), residual=LOST)),
    "a recovery that a stranger signs as the new key": (
        Kind.START_RECOVERY, signed(START, keys=(GIVEN, STRANGER), residual=LOST)),
    "a recovery by another recovery key than it says": (
        Kind.START_RECOVERY, signed(START, keys=(SECOND, OWN), residual=LOST)),
    "an end of a recovery by another key than it says": (
        Kind.FINISH_RECOVERY, signed(ENDED, keys=(STRANGER,), residual=RECOVERED)),
    "a start instead of an end": (Kind.FINISH_RECOVERY, signed(START, keys=(GIVEN,), residual=LOST)),
    "other guardians by the device's own key": (Kind.CHANGE_RECOVERY, signed(CHANGE, residual=CHOSEN)),
    "other guardians by another recovery key": (
        Kind.CHANGE_RECOVERY, signed(CHANGE, keys=(SECOND,), residual=CHOSEN, recovery=SECOND.public)),
    "other guardians whose key is another's": (Kind.CHANGE_RECOVERY, item(key=STRANGER.public)),
    "other guardians with no second key": (Kind.CHANGE_RECOVERY, item(second=b"")),
    "an undoing by another recovery key": (
        Kind.UNDO_RECOVERY, signed(UNDO, keys=(SECOND,), residual=UNDONE, recovery=SECOND.public)),
    "an undoing by another key than it says": (Kind.UNDO_RECOVERY, item(recovery=STRANGER.public)),
    "a change instead of an undoing": (Kind.UNDO_RECOVERY, signed(CHANGE, keys=(GIVEN,), residual=CHOSEN)),
    "a withdrawal for another reason": (
        Kind.WITHDRAW_CONSENT,
        signed(consent.WithdrawConsent(PSEUDONYM, CHOICE, REMOVED.root(), 0), residual=REMOVED)),
}  # fmt: skip


TAKEN_AS_WELL: dict[str, tuple[Kind, Alter]] = {
    "an enrolment": (Kind.ENROL, body(ENROLMENT, signers=(HOSPITAL_KEY, OWN), by=OWN)),
    "a take-over": (
        Kind.TAKE_OVER, body(TakeOverKey(NEW, PublicKey(OWN.public), Digest(b""), TAKEN.root()),
                             signers=(THEIRS, OWN), by=OWN, residual=TAKEN)),
    "a key": (
        Kind.ADD_KEY, body(AddKey(PSEUDONYM, PublicKey(THEIRS.public), KeyKind.DELEGATE, 0, LET.root()),
                           signers=(OWN, THEIRS), by=OWN, residual=LET)),
    "a choice": (Kind.FILE_CONSENT, signed(FILED, residual=RULES)),
    "a ticket": (Kind.ISSUE_TICKET, ticketed()),
    "a withdrawal": (
        Kind.WITHDRAW_CONSENT,
        signed(consent.WithdrawConsent(PSEUDONYM, CHOICE, WITHDRAWN.root(), 0), residual=WITHDRAWN)),
    "guardians": (
        Kind.SET_RECOVERY,
        signed(CHANGE, residual=CHOSEN)),
    "other guardians": (Kind.CHANGE_RECOVERY, signed(CHANGE, keys=(GIVEN,), residual=CHOSEN)),
    "guardians who stay": (Kind.UNDO_RECOVERY, signed(UNDO, keys=(GIVEN,), residual=UNDONE)),
    "a recovery": (Kind.START_RECOVERY, signed(START, keys=(GIVEN, OWN), residual=LOST)),
    "an end of a recovery": (
        Kind.FINISH_RECOVERY, signed(ENDED, keys=(GIVEN,), residual=RECOVERED)),
}  # fmt: skip
"""What the rows above alter, unaltered: so that each is refused for what it says."""


@pytest.mark.parametrize("name", TAKEN_AS_WELL)
def test_what_the_tests_write_themselves_is_taken(answers: dict[Kind, bytes], name: str) -> None:
    kind, alter = TAKEN_AS_WELL[name]
    answer = json.loads(answers[kind])
    alter(answer)
    assert isinstance(read_answer(request_of(kind), json.dumps(answer).encode()), Answered)


@pytest.mark.parametrize("name", REFUSED)
def test_an_answer_to_something_else_is_refused(answers: dict[Kind, bytes], name: str) -> None:
    kind, alter = REFUSED[name]
    answer = json.loads(answers[kind])
    alter(answer)
    with pytest.raises(Refused):
        read_answer(request_of(kind), json.dumps(answer).encode())


SAID = b'{"format":1,"refused":"person"}'


@pytest.mark.parametrize(
    "raw",
    [b"", b"null", b"[]", b"\xff", SAID.replace(b"person", b"x"), SAID.replace(b"1", b"2"), SAID + b" " * 600_000],
    ids=lambda raw: repr(raw[:40]),
)
def test_what_is_no_answer_is_refused(raw: bytes) -> None:
    with pytest.raises(Refused):
        read_answer(request_of(Kind.SESSION), raw)


def test_what_was_asked_of_another_account_is_another_request(answers: dict[Kind, bytes]) -> None:
    """One answer does not serve a request for another relationship."""
    other = dataclasses.replace(
        request_of(Kind.SESSION), items=(dataclasses.replace(ITEMS[Kind.SESSION], pseudonym=OTHER),)
    )  # type: ignore[arg-type]
    with pytest.raises(Refused):
        read_answer(other, answers[Kind.SESSION])


def test_nothing_secret_is_in_what_is_printed(answers: dict[Kind, bytes]) -> None:
    ticket = only(answers, Kind.ISSUE_TICKET)
    assert isinstance(ticket, Signed)
    assert ticket.bearer not in repr(ticket)
    assert "x'" not in repr(request_of(Kind.SESSION).devices)
