"""Who signs in to a node's own interfaces, which apps act for them, and what they die with (R3, P4, P5)."""

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import msgspec
import pytest
from joserfc.jwk import ECKey
from sqlalchemy import insert, select

from salus.clinical.fhir.resources import parse
from salus.clinical.local_number import LocalNumber
from salus.contracts.membership import RevokeCertificate
from salus.contracts.patients import Holder, RotatePseudonymKey
from salus.contracts.provisions import RoleClass, Verb
from salus.contracts.records import EraseRelationship
from salus.contracts.residuals import SESSION_S_MAX
from salus.crypto.signing import SigningKey
from salus.ledger.identifiers import Digest, Pseudonym, PublicKey
from salus.ledger.receipts import Authentication
from salus.node import schema
from salus.node.assemble import Node
from salus.node.bearers import BearerKind, Bearers
from salus.node.errors import Refusal, Refused
from salus.node.founding import trust_root
from salus.node.people import NOBODY, Person, certify_person, open_session
from salus.node.sealed_rows import SealedRows
from salus.node.services import accounts, erase
from salus.node.services.accounts import TRIES_MAX, AccountId, Accounts
from salus.node.services.anchor import anchor
from salus.node.services.apps import AppKind, Apps, NewApp
from salus.node.services.audit import history
from salus.node.services.deposit import deposit
from salus.node.services.enrol import enrol
from salus.node.services.grants import ACCESS_S, OFFLINE_S, ONLINE_S, Grants, Issued, TokenTerms, Wanted, challenge_of
from salus.node.services.respond import Responder
from salus.node.services.take_over import take_over
from salus.sdk.history_check import all_faults, check_history
from salus.testing.world import HOSPITAL, World, world

VERIFIER = "v" * 43
HERE = "https://app.example/back"
PASSWORD = "correct horse battery"
NUMBERS = itertools.count()


def a_number() -> LocalNumber:
    return LocalNumber("https://hospital.example/number", str(next(NUMBERS)))


@dataclass
class Desk:
    """A hospital with one nurse and one patient who may sign in, and an app; its clock can be moved."""

    node: Node
    nurse: Person
    pseudonym: Pseudonym
    later_s: list[int]
    rows: SealedRows = field(init=False)

    def __post_init__(self) -> None:
        self.rows = SealedRows(self.node.vault, self.node.chain)
        self.apps, self.accounts = Apps(self.node, self.rows), Accounts(self.node, self.rows)
        bearers = Bearers(self.node, self.rows)
        self.grants = Grants(self.node, self.rows, apps=self.apps, accounts=self.accounts, bearers=bearers)
        self.app = self.apps.add(NewApp(AppKind.PUBLIC, "Growth chart", [HERE])).app

    def staff(self) -> AccountId:
        return self.accounts.add_staff(self.nurse, RoleClass.CLINICAL, name="Nurse N")

    def patient(self) -> AccountId:
        return self.accounts.add_patient(self.pseudonym, name="P")

    def code(self, account: AccountId, *scopes: str) -> str:
        wanted = Wanted(
            app=self.app,
            account=account,
            scopes=scopes or ("user/Observation.rs", "offline_access"),
            patient=Pseudonym(b""),
            redirect_uri=HERE,
            challenge=challenge_of(VERIFIER),
            nonce="",
        )
        return self.grants.begin(wanted)

    def redeem(self, code: str) -> Issued:
        return self.grants.redeem(self.app, code, redirect_uri=HERE, verifier=VERIFIER)

    def tokens(self, account: AccountId) -> Issued:
        return self.redeem(self.code(account))


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("world"), organisations=(HOSPITAL,)) as made:
        yield made


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords that cost little; what they cost is one test's subject."""
    monkeypatch.setattr(accounts, "SCRYPT_N", 1 << 8)
    monkeypatch.setattr(accounts, "_NO_PASSWORD", accounts.Password(1 << 8, 8, 1, bytes(16), bytes(32)))


@pytest.fixture
def desk(hospital: World) -> Desk:
    later_s = [0]
    node = dataclasses.replace(hospital.hospital, clock=lambda: int(time.time()) + later_s[0])
    pseudonym = enrol(node, a_number(), "1980-02-29")
    nurse = certify_person(node, name="N", role="Nurse", registration=pseudonym.hex(), role_class=RoleClass.CLINICAL)
    return Desk(node, nurse, pseudonym, later_s)


def refusal(act: Callable[[], object]) -> Refusal:
    with pytest.raises(Refused) as refused:
        act()
    return refused.value.refusal


@pytest.mark.promise("P4", "P3")
def test_a_name_and_its_password_let_in_and_the_database_names_nobody(desk: Desk) -> None:
    account = desk.staff()
    desk.accounts.set_password(account, signs_in_as="Nurse@north", password=PASSWORD)
    assert desk.accounts.sign_in(" nurse@NORTH ", PASSWORD, address="a") == account
    assert refusal(lambda: desk.accounts.sign_in("nurse@north", PASSWORD + "!", address="a")) is Refusal.SIGN_IN_UNFIT
    assert refusal(lambda: desk.accounts.sign_in("nobody", PASSWORD, address="a")) is Refusal.SIGN_IN_UNFIT
    with desk.node.vault.database.reading() as connection:
        rows = [connection.execute(select(table)).all() for table in (schema.accounts, schema.sign_ins, schema.apps)]
    for needle in (b"urse", b"north", b"Growth", b"app.example", desk.app.id.encode()):
        assert needle not in repr(rows).encode(), needle


def test_a_name_is_one_accounts(desk: Desk, cheap: None) -> None:
    first, second = desk.staff(), desk.patient()
    desk.accounts.set_password(first, signs_in_as="taken", password=PASSWORD)
    again = lambda: desk.accounts.set_password(second, signs_in_as="TAKEN", password=PASSWORD)  # noqa: E731
    assert refusal(again) is Refusal.ACCOUNT_UNFIT
    desk.accounts.set_password(first, signs_in_as="other", password=PASSWORD)
    again()
    desk.accounts.link(first, issuer="https://id.example", subject="s")
    assert refusal(lambda: desk.accounts.link(second, issuer="https://id.example", subject="s")) is (
        Refusal.ACCOUNT_UNFIT
    )
    assert desk.accounts.sign_in_linked(issuer="https://id.example", subject="s") == first
    assert refusal(lambda: desk.accounts.sign_in_linked(issuer="https://id.other", subject="s")) is (
        Refusal.SIGN_IN_UNFIT
    )


def test_too_many_tries_end_even_with_the_right_password(desk: Desk, cheap: None) -> None:
    account = desk.staff()
    desk.accounts.set_password(account, signs_in_as="forced", password=PASSWORD)
    found = [refusal(lambda: desk.accounts.sign_in("forced", "x" * 12, address="b")) for _ in range(TRIES_MAX + 1)]
    assert found == [Refusal.SIGN_IN_UNFIT] * TRIES_MAX + [Refusal.TOO_MANY]
    assert refusal(lambda: desk.accounts.sign_in("forced", PASSWORD, address="c")) is Refusal.TOO_MANY
    desk.later_s[0] = 901
    assert desk.accounts.sign_in("forced", PASSWORD, address="c") == account


def test_an_unknown_name_takes_as_long_as_a_wrong_password(desk: Desk) -> None:
    desk.accounts.set_password(desk.staff(), signs_in_as="timed", password=PASSWORD)

    def shortest_s(name: str) -> float:
        taken = []
        for _ in range(2):
            begun = time.thread_time()
            refusal(lambda: desk.accounts.sign_in(name, "x" * 12, address="d"))
            taken.append(time.thread_time() - begun)
        return min(taken)

    known, unknown = shortest_s("timed"), shortest_s("untimed")
    assert 0.5 < known / unknown < 2


BAD_URIS = [
    "http://app.example/back",
    "https://app.example/back#x",
    "https://user@app.example/back",
    "https://*.app.example/back",
    "https:///back",
    "https://app.example:0/back",
    "https://app.example/a b",
    "https://app.example\\@evil.example/",
    "javascript:alert(1)",
    "data:text/html,x",
    "//app.example/back",
    "/back",
    "http://127.0.0.1.evil.example/back",
    "https://äpp.example/",
]


@pytest.mark.parametrize("uri", BAD_URIS)
def test_a_redirect_uri_that_others_could_receive_at_is_refused(hospital: World, uri: str) -> None:
    node = hospital.hospital
    apps = Apps(node, SealedRows(node.vault, node.chain))
    assert refusal(lambda: apps.add(NewApp(AppKind.PUBLIC, "A", [uri]))) is Refusal.APP_UNFIT


@pytest.mark.parametrize("uri", [HERE, "http://127.0.0.1:8000/", "http://[::1]/b", "org.example.app:/back"])
def test_a_redirect_uri_of_the_app_alone_is_taken(desk: Desk, uri: str) -> None:
    registered = desk.apps.add(NewApp(AppKind.CONFIDENTIAL, "A", [uri]))
    app = desk.apps.find(registered.app.id)
    assert app is not None
    assert app.redirect_uris == (uri,)
    assert desk.apps.has_secret(app, registered.secret)
    assert not desk.apps.has_secret(app, registered.secret + "x")
    assert not desk.apps.has_secret(desk.app, "")


def test_a_code_works_once_and_its_second_use_ends_what_it_led_to(desk: Desk) -> None:
    code = desk.code(desk.staff())
    issued = desk.redeem(code)
    assert issued.scopes == ("user/Observation.rs", "offline_access")
    assert desk.grants.look(issued.access)[1] == issued.scopes
    assert refusal(lambda: desk.redeem(code)) is Refusal.GRANT_UNFIT
    assert refusal(lambda: desk.grants.look(issued.access)) is Refusal.GRANT_UNFIT
    assert refusal(lambda: desk.grants.refresh(desk.app, issued.refresh, ())) is Refusal.GRANT_UNFIT


def test_of_two_who_redeem_one_code_at_once_at_most_one_is_given_tokens(desk: Desk) -> None:
    code = desk.code(desk.staff())

    def attempt(_: int) -> bool:
        try:
            desk.redeem(code)
        except Refused:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(attempt, range(4))) <= 1


WRONG_REDEMPTIONS = [
    ({"redirect_uri": HERE + "/", "verifier": VERIFIER}, "the redirect URI with a slash more"),
    ({"redirect_uri": HERE, "verifier": "w" * 43}, "another verifier"),
    ({"redirect_uri": HERE, "verifier": challenge_of(VERIFIER)}, "the challenge for a verifier, as in plain"),
    ({"redirect_uri": HERE, "verifier": ""}, "no verifier"),
    ({"redirect_uri": HERE, "verifier": "é" * 43}, "a verifier that is no ASCII"),
]


@pytest.mark.parametrize(("how", "what"), WRONG_REDEMPTIONS, ids=[what for _, what in WRONG_REDEMPTIONS])
def test_a_code_is_bound(desk: Desk, how: dict[str, str], what: str) -> None:
    code = desk.code(desk.staff())
    assert refusal(lambda: desk.grants.redeem(desk.app, code, **how)) is Refusal.GRANT_UNFIT
    assert refusal(lambda: desk.redeem(code)) is Refusal.GRANT_UNFIT


def test_what_is_over_goes_and_a_used_one_stays_known_for_a_day(desk: Desk) -> None:
    bearers, now_s = Bearers(desk.node, desk.rows), desk.node.clock()
    used, unused = (bearers.issue(BearerKind.LAUNCH, TokenTerms(()), until_s=now_s + 5) for _ in range(2))
    bearers.take(BearerKind.LAUNCH, used, TokenTerms)

    def kept_after(later_s: int) -> list[bool]:
        desk.later_s[0] = later_s
        bearers.issue(BearerKind.LAUNCH, TokenTerms(()), until_s=desk.node.clock() + 5)
        lookups = [bearers.lookup(BearerKind.LAUNCH, token) for token in (used, unused)]
        with desk.node.vault.database.reading() as connection:
            found = set(connection.scalars(select(schema.bearers.c.lookup)).all())
        return [lookup in found for lookup in lookups]

    assert kept_after(4) == [True, True]
    assert kept_after(10) == [True, False]
    assert kept_after(90_000) == [False, False]


def test_a_code_and_a_refresh_token_are_of_one_app(desk: Desk) -> None:
    other = desk.apps.add(NewApp(AppKind.PUBLIC, "Other", [HERE])).app
    code = desk.code(desk.staff())
    assert refusal(lambda: desk.grants.redeem(other, code, redirect_uri=HERE, verifier=VERIFIER)) is (
        Refusal.GRANT_UNFIT
    )
    issued = desk.tokens(desk.staff())
    assert refusal(lambda: desk.grants.refresh(other, issued.refresh, ())) is Refusal.GRANT_UNFIT


def test_a_refresh_token_works_once_and_its_second_use_ends_the_family(desk: Desk) -> None:
    first = desk.tokens(desk.staff())
    second = desk.grants.refresh(desk.app, first.refresh, ("user/Observation.rs",))
    assert second.scopes == ("user/Observation.rs",)
    assert refusal(lambda: desk.grants.refresh(desk.app, second.refresh, first.scopes)) is Refusal.SCOPE_UNFIT
    third = desk.grants.refresh(desk.app, second.refresh, ())
    assert third.scopes == second.scopes
    assert refusal(lambda: desk.grants.refresh(desk.app, first.refresh, ())) is Refusal.GRANT_UNFIT
    for issued in (first, second, third):
        assert refusal(lambda token=issued.access: desk.grants.look(token)) is Refusal.GRANT_UNFIT
    assert refusal(lambda: desk.grants.refresh(desk.app, third.refresh, ())) is Refusal.GRANT_UNFIT


def test_an_access_token_is_short_and_a_session_is_renewed_where_the_key_is_here(desk: Desk) -> None:
    issued = desk.tokens(desk.staff())
    session = desk.grants.look(issued.access)[0].login.session
    desk.later_s[0] = ACCESS_S + 1
    assert refusal(lambda: desk.grants.look(issued.access)) is Refusal.GRANT_UNFIT
    desk.later_s[0] = SESSION_S_MAX + 10
    renewed = desk.grants.refresh(desk.app, issued.refresh, ())
    assert desk.grants.look(renewed.access)[0].login.session.key.public != session.key.public


@pytest.mark.promise("R3")
def test_a_revoked_certificate_ends_the_token_at_once(desk: Desk) -> None:
    issued = desk.tokens(desk.staff())
    desk.grants.look(issued.access)
    node = desk.node
    node.submit(RevokeCertificate(organisation=node.organisation, certificate=desk.nurse.certificate_id))
    assert refusal(lambda: desk.grants.look(issued.access)) is Refusal.PERSON_UNFIT
    assert refusal(lambda: desk.grants.refresh(desk.app, issued.refresh, ())) is Refusal.PERSON_UNFIT
    assert refusal(desk.staff) is Refusal.PERSON_UNFIT


ENDS = {
    "the grant": lambda desk, account, issued: desk.grants.end(issued.live.grant),
    "the account": lambda desk, account, issued: desk.accounts.remove(account),
    "the app": lambda desk, account, issued: desk.apps.remove(desk.app.id),
}


@pytest.mark.promise("R3")
@pytest.mark.parametrize("what", ENDS)
def test_a_token_ends_with_what_it_rests_on(desk: Desk, what: str) -> None:
    account = desk.staff()
    issued = desk.tokens(account)
    desk.grants.look(issued.access)
    ENDS[what](desk, account, issued)
    assert refusal(lambda: desk.grants.look(issued.access)) is Refusal.GRANT_UNFIT
    assert refusal(lambda: desk.grants.refresh(desk.app, issued.refresh, ())) is Refusal.GRANT_UNFIT
    assert desk.grants.given_by(account) == []


@pytest.mark.promise("P5")
def test_an_erasure_takes_account_grants_and_tokens_along(desk: Desk) -> None:
    account = desk.patient()
    desk.accounts.set_password(account, signs_in_as="erased", password=PASSWORD)
    issued = desk.tokens(account)
    desk.grants.look(issued.access)
    erase.erase(desk.node, desk.pseudonym)
    assert refusal(lambda: desk.grants.look(issued.access)) is Refusal.GRANT_UNFIT
    assert desk.accounts.find(account) is None
    with desk.node.vault.database.reading() as connection:
        for table in (schema.accounts, schema.sign_ins, schema.grants):
            found = connection.scalars(select(table.c.pseudonym)).all()
            assert desk.pseudonym not in found, table.name


@pytest.mark.promise("R3", "P5")
def test_a_tombstone_ends_the_token_before_anything_here_was_destroyed(desk: Desk) -> None:
    issued = desk.tokens(desk.patient())
    desk.grants.look(issued.access)
    here = desk.node.organisation
    desk.node.submit(EraseRelationship(pseudonym=desk.pseudonym, custodian=here, commitment=Digest(bytes(32))))
    assert refusal(lambda: desk.grants.look(issued.access)) is Refusal.PATIENT_UNKNOWN


@pytest.mark.promise("P5")
def test_an_account_that_a_backup_brings_back_goes_with_the_tombstone(desk: Desk) -> None:
    account = desk.patient()
    database = desk.node.vault.database
    with database.reading() as connection:
        row = connection.execute(select(schema.accounts).where(schema.accounts.c.account == account)).one()
    erase.erase(desk.node, desk.pseudonym)
    with database.writing() as connection:
        connection.execute(insert(schema.accounts).values(dict(row._mapping)))
    assert desk.accounts.find(account) is not None
    erase.follow_tombstones(desk.node)
    assert desk.accounts.find(account) is None


@pytest.mark.promise("U4")
def test_a_patient_acts_by_the_custodians_key_and_the_receipt_says_assisted(desk: Desk, hospital: World) -> None:
    body = b'{"resourceType":"Observation","id":"o","subject":{"reference":"Patient/a"}}'
    keys = [(each.record, each.version) for each in deposit(desk.node, desk.pseudonym, [parse(body)])]
    login = desk.grants.look(desk.tokens(desk.patient()).access)[0].login
    response = Responder(desk.node).respond(login, desk.pseudonym, Verb.READ, keys)
    assert list(response.released.values()) == [body]
    anchor(desk.node)
    bundle = check_history(trust_root(hospital.genesis), history(desk.node, desk.pseudonym), now_s=desk.node.clock())
    assert [each.asker.authentication for each in bundle.receipts] == [Authentication.ASSISTED]
    assert all_faults(bundle) == ()


@pytest.mark.promise("R3")
def test_a_key_that_was_taken_over_certifies_nothing_more(desk: Desk) -> None:
    issued = desk.tokens(desk.patient())
    desk.grants.look(issued.access)
    take_over(desk.node, desk.pseudonym, SigningKey.generate())
    assert refusal(lambda: desk.grants.look(issued.access)) is Refusal.SESSION_UNFIT


def test_a_patients_own_device_certifies_and_a_key_that_was_replaced_certifies_nothing_more(desk: Desk) -> None:
    key = SigningKey.generate()
    pseudonym = enrol(desk.node, a_number(), "1980-02-29", key=key)
    account = desk.accounts.add_patient(pseudonym, name="P")
    assert refusal(lambda: desk.code(account)) is Refusal.CHOICE_UNFIT
    mine = open_session(key, NOBODY, custodian=HOSPITAL, from_s=desk.node.clock(), duration_s=3600)
    stranger = open_session(SigningKey.generate(), NOBODY, custodian=HOSPITAL, from_s=desk.node.clock())
    bring = lambda session: desk.accounts.bring_session(account, session.key, session.certified)  # noqa: E731
    assert refusal(lambda: bring(stranger)) is Refusal.SESSION_UNFIT
    bring(mine)
    issued = desk.tokens(account)
    assert desk.grants.look(issued.access)[0].login.session.key.public == mine.key.public
    other = SigningKey.generate()
    rotated = RotatePseudonymKey(pseudonym, PublicKey(other.public), Holder.PATIENT, Digest(bytes(32)))
    desk.node.submit_signed((rotated,), (key, other))
    assert refusal(lambda: desk.grants.look(issued.access)) is Refusal.SESSION_UNFIT


def test_a_grant_ends_with_the_session_that_a_device_certified(desk: Desk) -> None:
    key = SigningKey.generate()
    pseudonym = enrol(desk.node, a_number(), "1980-02-29", key=key)
    account = desk.accounts.add_patient(pseudonym, name="P")
    mine = open_session(key, NOBODY, custodian=HOSPITAL, from_s=desk.node.clock(), duration_s=3600)
    desk.accounts.bring_session(account, mine.key, mine.certified)
    issued = desk.tokens(account)
    desk.later_s[0] = 3601
    assert refusal(lambda: desk.grants.refresh(desk.app, issued.refresh, ())) is Refusal.GRANT_UNFIT


@pytest.mark.promise("R3")
def test_what_rests_on_a_backends_grant_is_carried_on_by_the_next_unless_it_was_ended(desk: Desk) -> None:
    account = desk.staff()
    key = ECKey.generate_key("P-384", {"kid": "k", "use": "sig", "alg": "ES384"})
    jwks = msgspec.json.encode({"keys": [key.as_dict(private=False)]})
    app = desk.apps.add(NewApp(AppKind.BACKEND, "Feed", jwks=jwks, account=account, scopes=("system/*.rs",))).app
    first = desk.grants.for_backend(app, ("system/*.rs",)).live.grant
    assert desk.grants.carried_on(first).grant == first
    desk.later_s[0] = ONLINE_S + 10
    second = desk.grants.carried_on(first)
    assert (second.grant != first, second.app.id) == (True, app.id)
    assert desk.grants.carried_on(first).grant == second.grant
    desk.grants.end(first)
    assert refusal(lambda: desk.grants.carried_on(first)) is Refusal.GRANT_UNFIT
    desk.apps.remove(app.id)
    assert refusal(lambda: desk.grants.carried_on(second.grant)) is Refusal.GRANT_UNFIT


@pytest.mark.promise("R3")
def test_what_rests_on_a_persons_grant_ends_with_it(desk: Desk) -> None:
    grant = desk.tokens(desk.staff()).live.grant
    assert desk.grants.carried_on(grant).grant == grant
    desk.later_s[0] = OFFLINE_S + 10
    assert refusal(lambda: desk.grants.carried_on(grant)) is Refusal.GRANT_UNFIT
