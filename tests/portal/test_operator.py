"""The operator's pages: the network and its votes, the node and what it has to do; and nothing of a person."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from salus.contracts.membership import (
    Admit,
    AnyAction,
    CertificateKind,
    Certify,
    KeyUse,
    LedgerAccess,
    MemberKey,
    Proposal,
    ScheduleRules,
    SetAccess,
    SetPolicy,
    SetSuspension,
)
from salus.contracts.provisions import Provision, ProvisionType, RoleClass
from salus.engines.base import Unavailable
from salus.ledger.identifiers import CertificateId, OrganisationId, ProposalId
from salus.node.sealed_rows import SealedRows
from salus.node.services import govern, overview
from salus.node.services.jobs import Jobs
from salus.node.services.overview import ValidatorSeen
from salus.portal.sessions import PortalState
from salus.portal.settings import PortalSettings
from salus.testing.population import story_patient
from salus.testing.world import HOSPITAL, PRACTICE
from tests.api.fhir.served import self_signed
from tests.portal.new_member import request_for
from tests.portal.portal_world import ORIGIN, SEED, Hospital, portal

PROPOSAL = re.compile(r'name="proposal" value="([A-Z2-7]{6})"')


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with portal(tmp_path_factory.mktemp("portal")) as made:
        yield made


def test_the_network_is_shown_with_what_its_members_hold(here: Hospital) -> None:
    page = here.signed_in("operator").get("/network").text
    for each in ("Harrowmere Medical Centre", "A81001", "Validator", "Moves", "Nothing waits for a vote"):
        assert each in page


@pytest.mark.promise("L7")
def test_a_change_is_proposed_and_a_vote_is_taken_back(here: Hospital) -> None:
    browser = here.signed_in("operator")
    wrong = browser.post("/network/propose", {"member": "", "change": ""})
    assert (wrong.status_code, wrong.text.count("Choose a change")) == (400, 2)
    came = browser.post("/network/propose", {"member": PRACTICE, "change": "observer"})
    assert came.headers["location"] == "/network"
    page = browser.get("/network").text
    assert "Change what Harrowmere Medical Centre holds of the ledger" in page
    assert "It is proposed" in page
    (proposal,) = PROPOSAL.findall(page)
    browser.post("/network", {"proposal": proposal, "vote": "back"})
    assert "In favour: nobody" in browser.get("/network").text
    browser.post("/network", {"proposal": "NOSUCH", "vote": "for"})
    assert "no longer open" in browser.get("/network").text


@pytest.mark.promise("L7")
def test_a_new_member_is_proposed_by_its_request(here: Hospital, tmp_path: Path) -> None:
    browser = here.signed_in("operator")

    def sent(content: bytes) -> Any:
        browser.get("/network/admit")
        files = {"request": ("RX9.request", content)}
        return browser.client.post(
            "/network/admit", data={"form": browser.form}, files=files, headers={"origin": ORIGIN}
        )

    for content, said in (
        (b"", "Choose the file with the request"),
        (b"<script>alert(1)</script>", "This request cannot be used"),
        (request_for(here.made.practice, tmp_path, "RX8"), "expected a request made for this member"),
    ):
        came = sent(content)
        assert (came.status_code, came.text.count(said), "<script>alert" in came.text) == (400, 2, False)
    assert sent(request_for(here.node, tmp_path, "RX9")).headers["location"] == "/network"
    page = browser.get("/network").text
    assert ("It is proposed: the others vote now" in page, "Admit Third Trust" in page) == (True, True)
    (proposal,) = [
        name for name, row in govern.see_members(here.node).proposals.items() if isinstance(row.action, Admit)
    ]
    govern.vote(here.made.practice, proposal, is_in_favour=True)
    assert "RX9" in govern.see_members(here.node).members


KEYS = (MemberKey(KeyUse.TRANSACTION, bytes(32)),)
EXACTLY: list[tuple[AnyAction, str, str]] = [
    (SetAccess(PRACTICE, LedgerAccess.OWN_PROOFS, 0), "Harrowmere", "It would hold: Own proofs only."),
    (SetSuspension(PRACTICE, 1_803_913_440), "Harrowmere", "It would be suspended until 1 March 2027 at 3:04pm."),
    (SetSuspension(PRACTICE, 0), "Harrowmere", "It would be suspended no longer."),
    (SetPolicy(PRACTICE, (Provision(type=ProvisionType.DENY),)), "Harrowmere", "1 rule, in the place of all before."),
    (ScheduleRules(2, 9_000), "software", "Version 2 from height 9,000 on."),
    (
        Admit(OrganisationId("RX9"), "Third Trust", (), LedgerAccess.OBSERVER, "https://third.example", KEYS),
        "Admit Third Trust",
        "A new member with the code RX9, which answers at https://third.example. It would hold: Follows the ledger.",
    ),
]


@pytest.mark.promise("L7")
@pytest.mark.parametrize(("action", "what", "exactly"), EXACTLY)
def test_nobody_votes_for_something_of_which_only_the_kind_is_said(
    here: Hospital, monkeypatch: pytest.MonkeyPatch, action: AnyAction, what: str, exactly: str
) -> None:
    """A vote to suspend, and one to end that, had the same words."""
    found = govern.see_members(here.node)
    waits = {ProposalId(b"p" * 16): Proposal(HOSPITAL, action, here.node.clock() + 60, (HOSPITAL,))}
    monkeypatch.setattr(govern, "read_members", lambda *_, **__: replace(found, proposals=waits))
    page = here.signed_in("operator").get("/network").text
    assert (what in page, exactly in page) == (True, True)


@pytest.mark.promise("P4")
def test_nothing_personal_is_on_them(here: Hospital) -> None:
    browser, person = here.signed_in("operator"), story_patient(SEED)
    pages = "".join(browser.get(each).text for each in ("/network", "/node"))
    for each in ("Hughes", "Rao", person.nhs_number.digits, person.birth_date, here.patient.hex()):
        assert each not in pages


def test_what_a_node_keeps_and_has_to_do(here: Hospital) -> None:
    page = here.signed_in("operator").get("/node").text
    for each in ("Never: make a backup", "None is running", "None ends soon", "Records, all versions"):
        assert each in page


# At three in the morning


def test_while_the_ledger_is_away_both_pages_say_so_and_the_node_is_shown(
    here: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = here.signed_in("operator")

    def gone(*_: object) -> None:
        raise Unavailable("the ledger process went away")

    for each in ("status", "snapshot"):
        monkeypatch.setattr(here.made.engine, each, gone)
    network, node = browser.get("/network"), browser.get("/node")
    assert (network.status_code, "The ledger does not answer" in network.text) == (503, True)
    assert (node.status_code, "Never: make a backup" in node.text, "it alone knows them" in node.text) == (
        200,
        True,
        True,
    )


@pytest.mark.parametrize(
    ("powers", "away", "is_near"),
    [
        ((10, 10, 10, 10), 1, True),
        ((10, 10, 10, 10), 0, False),
        ((10, 10, 10, 10, 10, 10, 10), 1, False),
        ((10, 10, 10, 10, 10, 10, 10), 2, True),
    ],
)
@pytest.mark.promise("L3")
def test_a_validator_that_is_away_is_named_with_what_it_means(
    here: Hospital, monkeypatch: pytest.MonkeyPatch, powers: tuple[int, ...], away: int, is_near: bool
) -> None:
    names = [PRACTICE, "0123456789abcdef", HOSPITAL, *"ABCD"][: len(powers)]
    seen = [
        ValidatorSeen(name, 0 if place < away else 8, 8, 0, power)
        for place, (name, power) in enumerate(zip(names, powers, strict=True))
    ]
    monkeypatch.setattr(overview, "see_validators", lambda *_: seen)
    page = here.signed_in("operator").get("/network").text
    assert (re.search(r"Harrowmere Medical Centre[^<]* signed none of the newest", page) is not None) == (away > 0)
    assert len(re.findall(r">\s*Away\s*</strong>", page)) == away
    assert ("If one more validator stops, the ledger stops" in page) == is_near
    assert ("A validator that is no member any more" in page, "0123456789abcdef" in page) == (True, False)


def test_a_certificate_that_has_ended_is_not_said_to_be_fine(here: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    node = here.node
    now_s = node.clock()
    node.submit(
        Certify(node.organisation, CertificateId(b"e" * 32), CertificateKind.DEVICE, (RoleClass.SYSTEM,), now_s + 60)
    )
    with monkeypatch.context() as later:
        later.setitem(node.__dict__, "clock", lambda: now_s + 3_600)
        page = here.signed_in("operator").get("/node").text
    assert ("<strong>ended on" in page, "None ends soon" in page) == (True, False)
    with monkeypatch.context() as later:
        later.setitem(node.__dict__, "clock", lambda: now_s + 8 * 86_400)
        assert "None ends soon" in here.signed_in("operator").get("/node").text


def test_the_certificates_of_tls_are_there_and_the_room_on_the_disk(
    here: Hospital, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, _ = self_signed(tmp_path)
    (tmp_path / "none.pem").write_text("no certificate")
    files = {"the portal": certificate, "the FHIR server": tmp_path / "none.pem", "another": tmp_path / "gone.pem"}
    settings: Any = PortalSettings(here.portal.settings.origin, certificates=files)
    monkeypatch.setattr(here.portal, "settings", settings)
    page = here.signed_in("operator").get("/node").text
    for said in (r"the portal: until \d+ \w+ 20\d\d", "the FHIR server: cannot be read", "another: cannot be read"):
        assert re.search(said, page), said
    assert re.search(r"\d+ GB free, \d+% of the disk", page)
    full = overview.see_node(here.node)
    monkeypatch.setattr(overview, "see_node", lambda _: replace(full, free_bytes=10**9, disk_bytes=10**11))
    assert "1 GB free, 1% of the disk: make room now" in here.signed_in("operator").get("/node").text


def test_of_a_job_whose_steps_do_not_grow_it_is_said_who_drives_it(here: Hospital) -> None:
    node = here.node
    words, jobs = "The program that asked for one drives it.", Jobs(node, SealedRows(node.vault, node.chain), "export")
    assert words not in here.signed_in("operator").get("/node").text
    jobs.begin("app", PortalState("a job"), {}, until_s=node.clock() + 600, jobs_max=1)
    assert words in here.signed_in("operator").get("/node").text
