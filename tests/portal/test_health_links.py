"""Links that a patient gives out: what is kept of them, who can open them, how often, and what they show."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from sqlalchemy import select

from salus.contracts import tickets
from salus.contracts.access import AccessPermitted, Basis
from salus.contracts.gathering import read_trail
from salus.contracts.provisions import Purpose, RoleClass
from salus.crypto.sealing import new_key
from salus.ledger.identifiers import PublicKey
from salus.node import schema
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.sealed_rows import SealedRows
from salus.node.services import erase, health_links, sharing
from salus.node.services.accounts import SCRYPT_P, SCRYPT_R, Password, stretched
from salus.node.services.health_links import LinkState, MadeLink, WantedLink
from salus.node.services.link_openings import Ask, PasscodeWrong
from salus.node.services.patient_helpers import Help
from salus.node.services.sharing import Wanted
from salus.node.services.tickets import revoke_by_custodian
from salus.testing.world import HOSPITAL
from tests.node.test_own_care import OldHeaders
from tests.portal.links_world import FROM, PASSCODE, WANTED, Desk
from tests.portal.patient_charts import add, sodium, somebody_else
from tests.portal.portal_world import CHEAP_N, Hospital, portal


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("portal")
    with portal(folder) as made:
        add(made, folder, [sodium(1)])
        somebody_else(made, folder, [])
        yield made


@pytest.fixture
def desk(here: Hospital) -> Iterator[Desk]:
    desk = Desk(here)
    yield desk
    desk.later_s = 0
    for each in desk.links.of(here.patient):
        desk.links.stop(desk.login(), here.patient, each.name)


@pytest.mark.promise("R1", "R4")
def test_who_has_link_and_passcode_reads_the_record_by_a_permit_of_its_own(desk: Desk) -> None:
    made = desk.make()
    with desk.node.engine.snapshot() as reader:
        before = len(read_trail(reader, desk.here.patient))
    types = [each["resourceType"] for each in desk.read(made)]
    assert types[:2] == ["Composition", "Patient"]
    assert {"AllergyIntolerance", "Observation", "Condition"} <= set(types)
    with desk.node.engine.snapshot() as reader:
        asked = [each.outcome for each in read_trail(reader, desk.here.patient)[before:]]
    (permit,) = (each for each in asked if isinstance(each, AccessPermitted))
    assert (permit.basis, permit.role_class) == (Basis.TICKET, RoleClass.ADMINISTRATIVE)
    assert permit.ticket == desk.link(made).kept.tickets[0].ticket


def test_the_patient_sees_who_said_that_they_opened_it(desk: Desk) -> None:
    made = desk.make()
    desk.openings.open(made.secret, desk.ask(recipient="Dr <b>Jones</b>\n of\tthe clinic"))
    (used,) = desk.link(made).uses
    assert (used.use.recipient, used.use.is_refused) == ("Dr <b>Jones</b> of the clinic", False)
    page = desk.here.signed_in("eleanor").get("/looked").text
    assert "For Dr Jones" in page


def test_each_opening_asks_anew_and_spends_a_use(desk: Desk) -> None:
    made = desk.make()
    for _ in range(3):
        desk.read(made)
    with desk.node.engine.snapshot() as reader:
        row = tickets.TICKETS.get(reader, PublicKey(desk.link(made).kept.tickets[0].ticket))
    assert row is not None
    assert row.used == 3


KINDS = [
    (WantedLink("a", PASSCODE, 60, 3, classes=("Observation",), is_only=True), {"Patient", "Observation"}, set()),
    (WantedLink("a", PASSCODE, 60, 3, classes=("Observation",)), {"Patient", "Condition"}, {"Observation"}),
]


@pytest.mark.parametrize(("wanted", "there", "absent"), KINDS, ids=["only", "except"])
def test_a_link_shows_what_it_is_about_and_nothing_else(
    desk: Desk, wanted: WantedLink, there: set[str], absent: set[str]
) -> None:
    types = {each["resourceType"] for each in desk.read(desk.make(wanted))} - {"Composition"}
    assert there <= types
    assert not absent & types
    assert not wanted.is_only or types == there


@pytest.mark.promise("R4")
def test_what_the_patient_hides_from_everybody_is_in_no_link(desk: Desk) -> None:
    made = desk.make()
    assert "AllergyIntolerance" in {each["resourceType"] for each in desk.read(made)}
    hidden = Wanted(is_permit=False, classes=("AllergyIntolerance",), is_only=True)
    sharing.file(desk.node, desk.login(), desk.here.patient, hidden)
    try:
        assert "AllergyIntolerance" not in {each["resourceType"] for each in desk.read(made)}
    finally:
        for each in sharing.in_force(desk.node, desk.here.portal.responder, desk.login(), desk.here.patient) or []:
            sharing.withdraw(desk.node, desk.login(), desk.here.patient, each.choice)


@pytest.mark.promise("P3")
def test_nothing_that_opens_a_link_is_kept(desk: Desk) -> None:
    """A copy of the database, and the node's own secret as well, open no link without its address and passcode."""
    made = desk.make()
    with desk.node.vault.database.reading() as connection:
        rows = connection.execute(select(schema.health_links)).all()
    rows_secret = SealedRows(desk.node.vault, desk.node.chain)
    for row in rows:
        opened = rows_secret.open("health-link", row.link, row.sealed, health_links.KEPT.decode)
        for secret in (made.secret, made.key, PASSCODE.encode()):
            assert secret not in b"".join(each for each in row if isinstance(each, bytes))
            assert secret not in repr(dataclasses.asdict(desk.link(made)) | {"k": opened.secrets}).encode()
            assert secret not in opened.secrets


WRONG: list[tuple[str, Callable[[MadeLink], bytes]]] = [
    ("never was", lambda _made: new_key()),
    ("its last bit", lambda made: made.secret[:-1] + bytes([made.secret[-1] ^ 1])),
    ("short", lambda made: made.secret[:16]),
    ("its name", lambda made: made.name),
    ("nothing", lambda _made: b""),
]


@pytest.mark.parametrize("change", [each for _, each in WRONG], ids=[name for name, _ in WRONG])
def test_an_address_that_is_guessed_is_no_link(desk: Desk, change: Callable[[MadeLink], bytes]) -> None:
    assert desk.refused(change(desk.make())) is Refusal.NOT_YOURS


def test_wrong_passcodes_are_counted_in_all_and_the_last_ends_the_link(desk: Desk) -> None:
    made, left = desk.make(), []
    for passcode in ("wrong-1", PASSCODE, "wrong-2", PASSCODE, "wrong-3"):
        try:
            desk.openings.open(made.secret, desk.ask(passcode))
        except PasscodeWrong as wrong:
            left.append(wrong.tries_left)
    assert left == [2, 1, 0]
    assert desk.refused(made.secret) is Refusal.NOT_YOURS
    found = desk.link(made)
    assert (found.state, found.kept.secrets) == (LinkState.GUESSED, b"")
    assert [each.use.is_refused for each in found.uses].count(True) == 3


def test_many_tries_at_one_moment_are_no_more_tries(desk: Desk) -> None:
    made = desk.make()

    def guess(number: int) -> str:
        try:
            desk.openings.open(made.secret, Ask("x", f"wrong-{number}", f"{FROM}/{number}/at-once"))
        except PasscodeWrong:
            return "wrong"
        except Refused as refused:
            return refused.refusal.name
        except NotNow:
            return "try again"
        return "opened"

    with ThreadPoolExecutor(8) as pool:
        came = list(pool.map(guess, range(12)))
    assert came.count("wrong") == 3
    assert set(came) <= {"wrong", "NOT_YOURS", "try again"}
    assert desk.link(made).state is LinkState.GUESSED


def test_one_address_of_the_network_is_held_back(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("salus.node.services.link_openings.TRIES_FROM_MAX", 2)
    for expected in (Refusal.NOT_YOURS, Refusal.NOT_YOURS, Refusal.TOO_MANY):
        with pytest.raises(Refused) as refused:
            desk.openings.open(new_key(), Ask("x", PASSCODE, "198.51.100.9"))
        assert refused.value.refusal is expected


@pytest.mark.promise("R3")
def test_a_stopped_link_opens_nothing_more_and_neither_does_what_was_opened_before(desk: Desk) -> None:
    made = desk.make()
    opened = desk.openings.open(made.secret, desk.ask())
    token = desk.openings.address_of(opened)
    assert desk.openings.at(token) == opened
    desk.links.stop(desk.login(), desk.here.patient, made.name)
    assert desk.refused(made.secret) is Refusal.NOT_YOURS
    for again in (lambda: desk.openings.at(token), lambda: desk.openings.file(opened)):
        with pytest.raises(Refused) as refused:
            again()
        assert refused.value.refusal is Refusal.NOT_YOURS
    found = desk.link(made)
    assert (found.state, found.kept.secrets) == (LinkState.STOPPED, b"")
    with desk.node.engine.snapshot() as reader:
        row = tickets.TICKETS.get(reader, PublicKey(found.kept.tickets[0].ticket))
    assert row is not None
    assert row.is_revoked


@pytest.mark.promise("R3")
def test_a_link_whose_ticket_was_revoked_elsewhere_opens_nothing(desk: Desk) -> None:
    made = desk.make()
    revoke_by_custodian(desk.node, desk.here.patient, PublicKey(desk.link(made).kept.tickets[0].ticket))
    assert desk.refused(made.secret) is Refusal.NOT_YOURS
    assert desk.link(made).state is LinkState.STOPPED


def test_a_link_ends_and_so_do_the_addresses_of_its_files(desk: Desk) -> None:
    made = desk.make()
    token = desk.openings.address_of(desk.openings.open(made.secret, desk.ask()))
    desk.later_s = 601
    with pytest.raises(Refused):
        desk.openings.at(token)
    desk.later_s = 86_401
    assert desk.refused(made.secret) is Refusal.NOT_YOURS
    assert desk.link(made).state is LinkState.OVER


def test_a_used_up_link_opens_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_links, "OPENINGS_MAX", 1)
    made = desk.make()
    desk.read(made)
    assert desk.refused(made.secret) is Refusal.NOT_YOURS
    assert desk.link(made).state is LinkState.SPENT


@pytest.mark.promise("R3")
def test_without_the_ledger_no_link_opens(desk: Desk) -> None:
    """Own staff's care goes on then; whoever has a link is not own staff."""
    made = desk.make()
    node = dataclasses.replace(desk.node, engine=OldHeaders(desk.node.engine))
    cut_off = desk.on(node)
    with pytest.raises(NotNow):
        cut_off.open(made.secret, desk.ask())
    opened = desk.openings.open(made.secret, desk.ask())
    with pytest.raises(NotNow):
        cut_off.file(opened)


UNFIT = [
    ("no name", msgspec.structs.replace(WANTED, label="")),
    ("a long name", msgspec.structs.replace(WANTED, label="x" * 81)),
    ("a name of two lines", msgspec.structs.replace(WANTED, label="a\nb")),
    ("a name that cannot be seen", msgspec.structs.replace(WANTED, label="a\u202eb")),
    ("a short passcode", msgspec.structs.replace(WANTED, passcode="12345")),
    ("more than a year", msgspec.structs.replace(WANTED, lasts_s=366 * 86_400)),
    ("no time", msgspec.structs.replace(WANTED, lasts_s=0)),
    ("many tries", msgspec.structs.replace(WANTED, tries=11)),
    ("no tries", msgspec.structs.replace(WANTED, tries=0)),
    ("a label that nobody knows", msgspec.structs.replace(WANTED, labels=("XYZ",))),
    ("only nothing", msgspec.structs.replace(WANTED, is_only=True)),
]


@pytest.mark.parametrize("wanted", [each for _, each in UNFIT], ids=[name for name, _ in UNFIT])
def test_what_cannot_be_given_out_is_refused_before_the_ledger_hears_of_it(desk: Desk, wanted: WantedLink) -> None:
    with pytest.raises(Refused) as refused:
        desk.make(wanted)
    assert refused.value.refusal is Refusal.CHOICE_UNFIT
    assert not [each for each in desk.links.of(desk.here.patient) if each.state is LinkState.OPEN]


def test_so_many_links_and_no_more(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_links, "LINKS_MAX", 1)
    desk.make()
    with pytest.raises(Refused) as refused:
        desk.make()
    assert refused.value.refusal is Refusal.TOO_MANY


@pytest.mark.parametrize("name", ["rao", "officer"])
def test_nobody_else_gives_out_or_stops_a_link(desk: Desk, name: str) -> None:
    made = desk.make()
    for act in (
        lambda: desk.links.make(desk.login(name), desk.here.patient, WANTED),
        lambda: desk.links.stop(desk.login(name), desk.here.patient, made.name),
    ):
        with pytest.raises(Refused) as refused:
            act()
        assert refused.value.refusal is Refusal.PERSON_UNFIT


def test_who_asks_is_the_patient_whose_links_they_are(desk: Desk) -> None:
    """Also where a page of ours would name the wrong one."""
    made = desk.make()
    for act in (
        lambda: desk.links.make(desk.login("other"), desk.here.patient, WANTED),
        lambda: desk.links.to_sign(desk.login("other"), [(HOSPITAL, desk.here.patient)], WANTED, audience="x"),
        lambda: desk.links.stop(desk.login("other"), desk.here.patient, made.name),
    ):
        with pytest.raises(Refused) as refused:
            act()
        assert refused.value.refusal is Refusal.SESSION_UNFIT


def test_who_helps_a_patient_gives_out_no_link(desk: Desk) -> None:
    """Also one who may decide who sees the record: the link would outlive the help."""
    helpers, accounts = desk.here.portal.helpers, desk.here.portal.accounts
    code = helpers.add(desk.login(), desk.here.patient, Help("Ben", "other", may_share=True), patient="Eleanor")
    acting = helpers.take_up(code, accounts.add_helper(name="Ben")).account
    login = accounts.login_of(acting, accounts.hold(acting)[0])
    with pytest.raises(Refused) as refused:
        desk.links.make(login, desk.here.patient, WANTED)
    assert refused.value.refusal is Refusal.PERSON_UNFIT


def test_another_patients_link_is_none_of_theirs(desk: Desk) -> None:
    made = desk.make()
    account = desk.here.portal.accounts.find(desk.here.accounts["other"])
    assert account is not None
    assert desk.links.of(account.pseudonym) == []
    with pytest.raises(Refused) as refused:
        desk.links.stop(desk.login("other"), account.pseudonym, made.name)
    assert refused.value.refusal is Refusal.NOT_YOURS
    assert desk.link(made).state is LinkState.OPEN


def test_a_ticket_with_the_right_of_care_alone_asks_for_care_alone(desk: Desk) -> None:
    opened = desk.openings.open(desk.make().secret, desk.ask())
    assert (opened.login.role_class, opened.login.purpose) == (RoleClass.ADMINISTRATIVE, Purpose.TREAT)


@pytest.mark.parametrize("passcode", [PASSCODE, "wrong"])
def test_what_is_no_link_costs_as_much_as_a_wrong_passcode(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, passcode: str
) -> None:
    made, made_of = desk.make(), []

    def counted(said: str, cost: Password) -> bytes:
        made_of.append((said, cost.n, cost.r, cost.p))
        return stretched(said, cost)

    monkeypatch.setattr("salus.node.services.link_secrets.stretched", counted)
    with pytest.raises(PasscodeWrong):
        desk.openings.open(made.secret, desk.ask("wrong"))
    desk.links.stop(desk.login(), desk.here.patient, made.name)
    for secret in (new_key(), made.secret):
        desk.refused(secret, passcode)
    cost = (CHEAP_N, SCRYPT_R, SCRYPT_P)
    assert made_of == [("wrong", *cost), (passcode, *cost), (passcode, *cost)]


@pytest.mark.promise("P5")
def test_an_erasure_takes_links_and_their_uses_along(desk: Desk) -> None:
    account = desk.here.portal.accounts.find(desk.here.accounts["other"])
    assert account is not None
    made = desk.links.make(desk.login("other"), account.pseudonym, WANTED)
    desk.openings.open(made.secret, desk.ask())
    (link,) = desk.links.of(account.pseudonym)
    assert len(link.uses) == 1
    erase.destroy(desk.node, account.pseudonym)
    assert desk.links.of(account.pseudonym) == []
    with desk.node.vault.database.reading() as connection:
        left = connection.execute(select(schema.health_link_uses)).all()
    assert account.pseudonym not in [each.pseudonym for each in left]
    assert desk.refused(made.secret) is Refusal.NOT_YOURS
