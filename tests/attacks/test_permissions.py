"""Published faults of permission checks, each tried in full and harmless here.

The classes are those that reviews of open health-record contracts and the registries of weaknesses (CWE, SWC) list
again and again; each test says which.
"""

import secrets
from pathlib import Path

import msgspec
import pytest

from salus.clinical.fhir.resources import parse
from salus.contracts.access import Challenge, CommitReleases, End
from salus.contracts.consent import WithdrawConsent
from salus.contracts.patients import AddKey, CloseRelationship, Holder, KeyKind, RemoveKey, RotatePseudonymKey
from salus.contracts.provisions import Provision, ProvisionType, gate
from salus.contracts.records import RegisterBatch
from salus.crypto.sealing import new_key
from salus.crypto.signing import SigningKey
from salus.ledger.contract import SIGNATURE_MISSING
from salus.ledger.fields import commit_fields
from salus.ledger.identifiers import OrganisationId, PermitId, PublicKey
from salus.ledger.outcomes import DENIED, DONE
from salus.node.answer import answer, answer_stream
from salus.node.errors import Refusal, Refused
from salus.node.exchange import (
    Delivery,
    Done,
    MatchAnswer,
    PartAccept,
    PartAsk,
    RefusedAnswer,
    StreamAsk,
)
from salus.node.people import NOBODY, open_session
from salus.node.services.deposit import deposit
from salus.node.services.match import sign_match
from salus.node.services.request import Denied, Granted, request
from salus.testing.world import HOSPITAL, PRACTICE
from tests.attacks.attackers import (
    CHART,
    OUTSIDER,
    TO_THE_PRACTICE,
    Scene,
    altered,
    asked,
    choice_by,
    choices,
    digest,
    event_count,
    key_of,
    match_ask,
    part_ask,
    scene,
    sign,
    submit,
    tree_root,
)


@pytest.mark.promise("R1", "R4")
def test_permission_check_that_nothing_calls(on: Scene) -> None:
    """A contract keeps who may read, and the server that hands out the records never asks it.

    Found in several published prototypes of health records on a chain, where the check exists and has no caller
    (CWE-862, missing authorisation). The attacker, a member, asks the node for records with no permit, with an invented
    one, with one that was denied, and with the permit of another. `test_paths_out` walks the code for paths that do not
    ask.
    """
    denied = request(on.outsider, on.session(OUTSIDER), on.wish())
    assert isinstance(denied, Denied)
    granted = on.granted()
    invented = PermitId(secrets.token_bytes(16))
    for permit in (invented, PermitId(bytes(16)), granted.permit):
        ask = PartAsk(permit, granted.height, 1, granted.residual, granted.reader_key.public)
        for came in (
            answer(on.hospital, OUTSIDER, ask),
            answer(on.hospital, OUTSIDER, PartAccept(permit, 1, bytes(64))),
        ):
            assert isinstance(came, RefusedAnswer)
            assert not any(body in came.words.encode() for body in CHART)
        with pytest.raises(Refused):
            list(answer_stream(on.hospital, OUTSIDER, StreamAsk(permit, 1, 0)))
    assert sorted(on.opened(granted)) == sorted(CHART)
    for place in (0, 99):
        with pytest.raises(Refused) as refused:
            list(answer_stream(on.hospital, OUTSIDER, StreamAsk(granted.permit, 1, place)))
        assert refused.value.refusal is Refusal.NOT_THE_REQUESTER, "how much was released is the requester's to know"
    came = answer(on.hospital, OUTSIDER, PartAccept(granted.permit, 7, bytes(64)))
    assert isinstance(came, RefusedAnswer)
    assert came.refusal is Refusal.NOT_THE_REQUESTER


@pytest.mark.promise("R1")
def test_unauthenticated_permission_edit(on: Scene) -> None:
    """Functions that grant, withdraw or change keys and never look at who calls.

    The most common finding of all in this field: public setters of access lists (CWE-306, SWC-105 in spirit). A key
    that nobody registered, another member, and the custodian itself try to edit what is Ann's.
    """
    before, root = choices(on), tree_root(on)
    thief = SigningKey.generate()
    edits = [
        WithdrawConsent(on.pseudonym, on.choice, digest(), 0),
        RotatePseudonymKey(on.pseudonym, PublicKey(thief.public), Holder.PATIENT, digest()),
        AddKey(on.pseudonym, PublicKey(thief.public), KeyKind.DELEGATE, 0, digest()),
        RemoveKey(on.pseudonym, PublicKey(on.key.public), digest()),
        CloseRelationship(on.pseudonym, digest()),
    ]
    for edit in edits:
        for key in (thief, key_of(on, OUTSIDER), key_of(on, PRACTICE), key_of(on, HOSPITAL)):
            assert submit(on, [edit], [key]).code == SIGNATURE_MISSING
    raw, _ = choice_by(on, thief, msgspec.structs.replace(TO_THE_PRACTICE, organisations=(OUTSIDER,)))
    assert on.world.engine.submit(raw).code == SIGNATURE_MISSING
    assert (choices(on), tree_root(on)) == (before, root)


@pytest.mark.promise("R1", "R2")
def test_requester_identity_taken_from_an_argument(on: Scene) -> None:
    """The caller says who it is, in a parameter, and is believed.

    Published as a fault of several chaincodes and gateways, and the reason why SWC-115 warns of `tx.origin`
    (CWE-290, spoofing). The outsider asks as the practice: on the ledger, at the node with everything stolen but the
    practice's keys, and with the practice's doctor named in its own request.
    """
    thief = SigningKey.generate()
    before = event_count(on)
    assert submit(on, [asked(on)], [thief, key_of(on, OUTSIDER)]).code == SIGNATURE_MISSING
    assert event_count(on) == before
    granted = on.granted()
    stolen = part_ask(granted)
    came = answer(on.hospital, OUTSIDER, stolen)
    assert isinstance(came, RefusedAnswer)
    assert came.refusal is Refusal.NOT_THE_REQUESTER
    nobody = answer(on.hospital, OrganisationId(""), stolen)
    assert isinstance(nobody, RefusedAnswer)
    assert nobody.refusal is Refusal.SENDER_UNKNOWN


@pytest.mark.promise("R3")
def test_a_doctor_is_named_who_did_not_ask(on: Scene) -> None:
    """The same fault one step deeper: the organisation is real, the person is an argument.

    A programme of the practice uses the certificate of its doctor, which it can read, with a session key that the
    doctor never certified, one certified for another custodian, and none at all.
    """
    doctor, stranger = on.people[PRACTICE], SigningKey.generate()
    now_s = on.practice.clock()
    forged = [
        open_session(stranger, doctor.certificate, custodian=HOSPITAL, from_s=now_s),
        open_session(doctor.key, doctor.certificate, custodian=OUTSIDER, from_s=now_s),
        open_session(doctor.key, doctor.certificate, custodian=HOSPITAL, from_s=now_s - 50_000),
        open_session(doctor.key, doctor.certificate, custodian=HOSPITAL, from_s=now_s, duration_s=13 * 3600),
        open_session(on.people[OUTSIDER].key, on.people[OUTSIDER].certificate, custodian=HOSPITAL, from_s=now_s),
        open_session(doctor.key, NOBODY, custodian=HOSPITAL, from_s=now_s),
    ]
    for session in forged:
        granted = request(on.practice, session, on.wish())
        assert isinstance(granted, Granted)
        with pytest.raises(Refused) as refused:
            on.opened(granted)
        assert refused.value.refusal in (Refusal.SESSION_UNFIT, Refusal.PERSON_UNFIT)


@pytest.mark.promise("R2", "L5")
def test_a_third_party_appends_to_a_patients_access_list(on: Scene) -> None:
    """Anybody may push into the array that is the patient's list of accesses.

    Published of designs whose log is a public append (CWE-862). Who is no party tries every message that counts in a
    history; nothing is appended. What a member may do, ask, is appended with its name on it.
    """
    granted = on.granted()
    before = event_count(on)
    nobody = SigningKey.generate()

    def anchor(permit: PermitId, end: End) -> CommitReleases:
        return CommitReleases(pseudonym=on.pseudonym, permit=permit, end=end, root=digest(), is_closed=False)

    attempts = [
        (Challenge(on.pseudonym, granted.permit, digest()), [nobody], [key_of(on, OUTSIDER)]),
        (anchor(granted.permit, End.CUSTODIAN), [nobody], [key_of(on, OUTSIDER)]),
        (anchor(granted.permit, End.REQUESTER), [nobody], [key_of(on, OUTSIDER)]),
        (anchor(PermitId(b""), End.CUSTODIAN), [nobody], [key_of(on, OUTSIDER)]),
        (RegisterBatch(on.pseudonym, OUTSIDER, digest(), 1), [key_of(on, OUTSIDER)], [key_of(on, PRACTICE)]),
        (asked(on, requester=OrganisationId("ZZ9")), [nobody, key_of(on, OUTSIDER)], [nobody]),
    ]
    for message, *signings in attempts:
        for keys in signings:
            assert submit(on, [message], keys).code > DENIED
    assert event_count(on) == before
    assert isinstance(request(on.outsider, on.session(OUTSIDER), on.wish()), Denied)
    assert event_count(on) == before + 1


@pytest.mark.promise("R1", "R3")
def test_a_choice_whose_rules_the_custodian_does_not_hold(on: Scene) -> None:
    """The ledger knows that there is a rule, the record keeper does not know the rule, and releases all the same.

    The failure of designs that keep a hash on chain and the policy elsewhere. Ann's device files a choice on the ledger
    and never delivers its rules; the gate permits, so the ledger gives a permit.
    """
    raw, residual = choice_by(on, on.key, TO_THE_PRACTICE)
    assert on.world.engine.submit(raw).code == DONE
    granted = on.granted()
    with pytest.raises(Refused) as refused:
        on.opened(granted)
    assert refused.value.refusal is Refusal.RULES_MISSING
    other = choice_by(on, on.key, msgspec.structs.replace(TO_THE_PRACTICE, organisations=()))[1]
    wrong = answer(on.hospital, OrganisationId(""), Delivery(raw, other))
    assert isinstance(wrong, RefusedAnswer)
    assert wrong.refusal is Refusal.CHOICE_UNFIT
    assert isinstance(answer(on.hospital, OrganisationId(""), Delivery(raw, residual)), Done)
    assert sorted(on.opened(granted)) == sorted(CHART)


@pytest.mark.promise("R1", "R4")
def test_a_gate_that_is_wider_than_its_rules(on: Scene) -> None:
    """A sharing choice that shows the ledger one thing and the custodian another: refused before the ledger has it."""
    raw, _ = choice_by(on, on.key, msgspec.structs.replace(TO_THE_PRACTICE, organisations=()))
    message = on.hospital.decode(raw).messages[0]
    narrow = choice_by(on, on.key, TO_THE_PRACTICE)[1]
    lying = sign(on, [msgspec.structs.replace(message, commitment=narrow.root())], [on.key])
    root = tree_root(on)
    came = answer(on.hospital, OrganisationId(""), Delivery(lying, narrow))
    assert isinstance(came, RefusedAnswer)
    assert came.refusal is Refusal.CHOICE_UNFIT
    assert tree_root(on) == root


@pytest.mark.promise("R1")
def test_a_deny_that_no_record_can_meet(on: Scene) -> None:
    """A choice that keeps back `PSY`, where records carry `system|code`: filed, shown as in force, keeping nothing.

    Refused before the ledger has it, whoever made the residual, with what to write instead.
    """
    deny = Provision(type=ProvisionType.DENY, labels=("PSY",))
    tree = msgspec.structs.replace(TO_THE_PRACTICE, provisions=(deny,))
    residual = commit_fields([tree], secret=new_key())
    raw, _ = choice_by(on, on.key, TO_THE_PRACTICE)
    message = msgspec.structs.replace(on.hospital.decode(raw).messages[0], gate=gate(tree), commitment=residual.root())
    root = tree_root(on)
    came = answer(on.hospital, OrganisationId(""), Delivery(sign(on, [message], [on.key]), residual))
    assert isinstance(came, RefusedAnswer)
    assert came.refusal is Refusal.CHOICE_UNFIT
    assert "expected security labels of the form system|code" in came.words
    assert tree_root(on) == root


@pytest.mark.promise("R2")
def test_sql_from_strings(tmp_path: Path) -> None:
    """Statements put together from what callers send (CWE-89).

    Published of gateways beside a chain, whose off-chain index was built with string formatting. Everything that a
    caller can name goes in as hostile text; the tables are there afterwards, and match answers nothing. No statement of
    ours is made from text: `test_paths_out` walks the code.
    """
    with scene(tmp_path) as on:  # a record more than others expect
        session = on.session(PRACTICE)
        for number, born in (("' OR 1=1--", "x"), ("9990000018", "' OR '1'='"), ("9990000018", "%"), ("", "")):
            ask = sign_match(on.practice, HOSPITAL, session, match_ask(session, number, born))
            assert answer(on.hospital, PRACTICE, ask) == MatchAnswer(b"")
        hostile = b'{"resourceType":"Observation","id":"a-1","status":"\'; DROP TABLE node_identities;--"}'
        filed = deposit(on.hospital, on.pseudonym, [parse(hostile)])
        assert [each.is_new for each in filed] == [True]
        ask = sign_match(on.practice, HOSPITAL, session, match_ask(session))
        assert answer(on.hospital, PRACTICE, ask) == MatchAnswer(on.pseudonym)
        assert hostile in on.opened(on.granted())


def test_the_attackers_alteration_keeps_what_it_does_not_change(on: Scene) -> None:
    raw = sign(on, [asked(on)], [on.key])
    assert altered(raw) == raw
    assert altered(raw, nonce=bytes(16)) != raw
