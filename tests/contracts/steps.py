"""The sentences of the scenario tables: each becomes one message and the keys that by rule sign it.

A sentence is a phrase and options after commas: `ann files c1 as practice, by ann-phone`. What a phrase does not say
has the default that its row here gives it, so that a table shows only what matters to it.
"""

from collections.abc import Sequence

from salus.contracts import access, consent, membership, patients, records, tickets
from salus.contracts.access import End, Verdict
from salus.contracts.membership import AnyAction, CertificateKind, KeyUse, LedgerAccess, MemberKey
from salus.contracts.patients import Holder, KeyKind
from salus.contracts.provisions import (
    Condition,
    Gate,
    Provision,
    ProvisionType,
    Purpose,
    RoleClass,
    Verb,
    gate,
)
from salus.ledger.identifiers import OrganisationId, PublicKey
from salus.ledger.transactions import Message
from tests.contracts.network import digest, organisation, pseudonym, public
from tests.contracts.sentences import PHRASES, Places, Sentence, Step, option_of, phrase, span_s
from tests.contracts.trees import TREES


def read_step(text: str, places: Places) -> tuple[Step, Sentence]:
    """Take a sentence apart."""
    start, *rest = text.split(", ")
    for pattern, builder in PHRASES:
        match = pattern.fullmatch(start)
        if match:
            sentence = Sentence(match.groupdict(), dict(option_of(each) for each in rest), places)
            return builder(sentence), sentence
    raise ValueError(f"no phrase of the tables: {start!r}")


def gate_of(name: str) -> Gate:
    """The gate of a named choice, or one that breaks a rule."""
    if name == "unsorted":
        return Gate((Condition(purposes=(Purpose.ETREAT, Purpose.TREAT)),))
    return gate(TREES[name])


def condition_of(name: str) -> Condition:
    """The one condition of a ticket."""
    (condition,) = gate_of(name).may_permit
    return condition if name != "unsorted" else Condition(purposes=(Purpose.ETREAT, Purpose.TREAT))


# membership


@phrase(r"{org} certifies {name} as (?P<roles>[\w ]+)")
def certify(said: Sentence) -> Step:
    roles = tuple(RoleClass[name.upper()] for name in said["roles"].split(" and "))
    kind = CertificateKind[said.option("kind", "person").upper()]
    message = membership.Certify(
        organisation(said["org"]), digest(f"certificate of {said['name']}"), kind, roles, said.until_s("+30d")
    )
    return Step(lambda _: message, (said["org"],))


@phrase(r"{org} revokes the certificate of {name}")
def revoke_certificate(said: Sentence) -> Step:
    message = membership.RevokeCertificate(organisation(said["org"]), digest(f"certificate of {said['name']}"))
    return Step(lambda _: message, (said["org"],))


@phrase(r"{org} rotates its {use} key to {key}")
def rotate_key(said: Sentence) -> Step:
    use = KeyUse[said["use"].upper()]
    new = hpke_key(said["key"]) if use is KeyUse.HPKE else public(said["key"])
    message = membership.RotateKey(organisation(said["org"]), use, new)
    signs = () if use is KeyUse.HPKE or said["key"].endswith("small-order-key") else (said["key"],)
    return Step(lambda _: message, (said.option("by", said["org"]), *signs))


def hpke_key(name: str) -> bytes:
    """An HPKE key by name: its first byte names the suite; `short` ones lack a byte."""
    size = 1216 if "hybrid" in name else 32
    suite = bytes([2 if "hybrid" in name else 1])
    return suite + (digest(name) * 38)[: size - ("short" in name)]


@phrase(r"{org} publishes {file} as {digest}")
def publish_file(said: Sentence) -> Step:
    message = membership.PublishFile(organisation(said["org"]), said["file"], digest(said["digest"]))
    return Step(lambda _: message, (said["org"],))


def proposes(said: Sentence, action: AnyAction, *more_signers: str) -> Step:
    """Put an action to the vote; a proposal ends in 7 days."""
    message = membership.Propose(organisation(said["org"]), action, said.until_s("+7d"))
    return Step(lambda _: message, (said["org"], *more_signers))


@phrase(r"{org} proposes to admit {other} as (?P<roles>[\w ]+)")
def propose_admission(said: Sentence) -> Step:
    uses = [KeyUse[use.upper()] for use in said.option("keys", "transaction").split(" and ")]
    keys = [(use, said.option("key", first_key(said["other"], use))) for use in uses]
    action = membership.Admit(
        organisation(said["other"]),
        said["other"].title(),
        tuple(RoleClass[name.upper()] for name in said["roles"].split(" and ")),
        LedgerAccess[said.option("access", "observer").upper().replace(" ", "_")],
        f"https://{said['other']}.example",
        tuple(MemberKey(use, hpke_key(name) if use is KeyUse.HPKE else public(name)) for use, name in keys),
    )
    signing = [name for use, name in keys if use is not KeyUse.HPKE and not name.endswith("small-order-key")]
    return proposes(said, action, *signing)


def first_key(name: str, use: KeyUse) -> str:
    """The name of a new member's key: its own for transactions, `dentist/http` for another use."""
    return name if use is KeyUse.TRANSACTION else f"{name}/{use.name.lower()}"


@phrase(r"{org} proposes to remove {other}")
def propose_removal(said: Sentence) -> Step:
    return proposes(said, membership.Remove(organisation(said["other"])))


@phrase(r"{org} proposes the policy {tree} for {other}")
def propose_policy(said: Sentence) -> Step:
    whose = OrganisationId("") if said["other"] == "the-network" else organisation(said["other"])
    return proposes(said, membership.SetPolicy(whose, (policy_tree(said["tree"]),)))


def policy_tree(name: str) -> Provision:
    """A policy's tree, or one that breaks a rule."""
    unsorted = Provision(ProvisionType.DENY, purposes=(Purpose.ETREAT, Purpose.TREAT))
    return unsorted if name == "unsorted" else TREES[name]


@phrase(r"{org} proposes the rules {version}")
def propose_rules(said: Sentence) -> Step:
    return proposes(said, membership.ScheduleRules(int(said["version"]), int(said.option("height", "1000000"))))


@phrase(r"{org} proposes {other} as (?P<access>validator|observer|own proofs)")
def propose_access(said: Sentence) -> Step:
    access_class = LedgerAccess[said["access"].upper().replace(" ", "_")]
    return proposes(
        said, membership.SetAccess(organisation(said["other"]), access_class, int(said.option("power", "0")))
    )


@phrase(r"{org} proposes the suspension of {other} (?P<end>\S+)")
def propose_suspension(said: Sentence) -> Step:
    until_s = 0 if said["end"] == "off" else said.places.time_s + span_s(said["end"])
    return proposes(said, membership.SetSuspension(organisation(said["other"]), until_s))


@phrase(r"{org} votes (?P<side>for|against) {proposal}")
def vote(said: Sentence) -> Step:
    message = membership.Vote(organisation(said["org"]), said.proposal(), said["side"] == "for")
    return Step(lambda _: message, (said["org"],))


@phrase(r"{org} accuses {other}")
def suspend(said: Sentence) -> Step:
    message = membership.Suspend(organisation(said["org"]), organisation(said["other"]), said.commitment)
    return Step(lambda _: message, (said["org"],))


@phrase(r"{org} takes the consensus key {key}")
def rotate_consensus_key(said: Sentence) -> Step:
    message = membership.RotateConsensusKey(organisation(said["org"]), PublicKey(public(said["key"])))
    signs = () if said["key"].endswith("small-order-key") else (said["key"],)
    return Step(lambda _: message, (said.option("by", said["org"]), *signs))


# patients


@phrase(r"{org} enrols {patient}")
def enrol(said: Sentence) -> Step:
    said.places.custodians.setdefault(said["patient"], said["org"])
    key_name, recovery = said.option("key", said["patient"]), said.option("recovery")
    message = patients.Enrol(
        pseudonym(said["patient"]),
        organisation(said["org"]),
        public(key_name),
        Holder[said.option("held by", "patient").upper()],
        public(recovery) if recovery else b"",
        said.commitment,
    )
    return Step(lambda _: message, (said["org"], key_name))


@phrase(r"{patient} rotates the key to {key}")
def rotate_pseudonym_key(said: Sentence) -> Step:
    holder = Holder[said.option("held by", "patient").upper()]
    message = patients.RotatePseudonymKey(pseudonym(said["patient"]), public(said["key"]), holder, said.commitment)
    return Step(lambda _: message, (said.actor, said["key"]))


@phrase(r"{patient} takes the key over with {key}")
def take_over_key(said: Sentence) -> Step:
    recovery = said.option("recovery")
    message = patients.TakeOverKey(
        pseudonym(said["patient"]), public(said["key"]), public(recovery) if recovery else b"", said.commitment
    )
    return Step(lambda _: message, (said.actor, said["key"]))


@phrase(r"{patient} adds the {kind} {key}")
def add_key(said: Sentence) -> Step:
    kind = KeyKind[said["kind"].upper()]
    message = patients.AddKey(
        pseudonym(said["patient"]), public(said["key"]), kind, said.until_s("never"), said.commitment
    )
    return Step(lambda _: message, (said.actor, said["key"]))


@phrase(r"{patient} removes {key}")
def remove_key(said: Sentence) -> Step:
    message = patients.RemoveKey(pseudonym(said["patient"]), public(said["key"]), said.commitment)
    return Step(lambda _: message, (said.actor,))


@phrase(r"{patient} closes the relationship")
def close_relationship(said: Sentence) -> Step:
    message = patients.CloseRelationship(pseudonym(said["patient"]), said.commitment)
    return Step(lambda _: message, (said.actor,))


@phrase(r"{patient} starts recovery with {key}")
def start_recovery(said: Sentence) -> Step:
    message = patients.StartRecovery(pseudonym(said["patient"]), public(said["key"]), said.commitment)
    checks = (said.option("checked by"),) if "checked by" in said.options else ()
    return Step(lambda _: message, (said.recoverer, *checks, said["key"]))


@phrase(r"{patient} finishes recovery")
def finish_recovery(said: Sentence) -> Step:
    message = patients.FinishRecovery(pseudonym(said["patient"]), said.commitment)
    return Step(lambda _: message, (said.recoverer,))


@phrase(r"{patient} changes recovery to {key}")
def change_recovery_key(said: Sentence) -> Step:
    second = said.option("second")
    message = patients.ChangeRecoveryKey(
        pseudonym(said["patient"]), public(said["key"]), public(second) if second else b"", said.commitment
    )
    return Step(lambda _: message, (said.recoverer,))


@phrase(r"{patient} undoes the change of recovery")
def undo_recovery_key(said: Sentence) -> Step:
    message = patients.UndoRecoveryKey(pseudonym(said["patient"]), said.commitment)
    return Step(lambda _: message, (said.recoverer,))


@phrase(r"{patient} cancels the recovery")
def cancel_recovery(said: Sentence) -> Step:
    message = patients.CancelRecovery(pseudonym(said["patient"]), said.commitment)
    return Step(lambda _: message, (said.actor,))


# records


@phrase(r"{org} registers the batch {batch} of {size} for {patient}")
def register_batch(said: Sentence) -> Step:
    message = records.RegisterBatch(
        pseudonym(said["patient"]), organisation(said["org"]), digest(said["batch"]), int(said["size"])
    )
    return Step(lambda _: message, (said["org"],))


@phrase(r"{org} verifies {entry} of {patient}")
def verify(said: Sentence) -> Step:
    message = records.Verify(
        pseudonym(said["patient"]), organisation(said["org"]), digest(said["entry"]), said.commitment
    )
    return Step(lambda _: message, (said["org"],))


@phrase(r"{org} supersedes {entry} of {patient} by {other}")
def supersede(said: Sentence) -> Step:
    message = records.Supersede(
        pseudonym(said["patient"]),
        organisation(said["org"]),
        digest(said["entry"]),
        digest(said["other"]),
        said.commitment,
    )
    return Step(lambda _: message, (said["org"],))


@phrase(r"{org} erases {entry} of {patient}")
def mark_erased(said: Sentence) -> Step:
    message = records.MarkErased(
        pseudonym(said["patient"]), organisation(said["org"]), digest(said["entry"]), said.commitment
    )
    return Step(lambda _: message, (said["org"],))


@phrase(r"{org} erases {patient}")
def erase_relationship(said: Sentence) -> Step:
    message = records.EraseRelationship(pseudonym(said["patient"]), organisation(said["org"]), said.commitment)
    return Step(lambda _: message, (said["org"],))


# consent


@phrase(r"{patient} files {choice} as {tree}")
def file_consent(said: Sentence) -> Step:
    message = consent.FileConsent(
        pseudonym(said["patient"]),
        digest(said["choice"])[:16],
        gate_of(said["tree"]),
        digest(f"rules {said['tree']}"),
        said.evidence(),
    )
    return Step(lambda _: message, (said.actor,))


@phrase(r"{patient} withdraws {choice}")
def withdraw_consent(said: Sentence) -> Step:
    message = consent.WithdrawConsent(
        pseudonym(said["patient"]), digest(said["choice"])[:16], said.commitment, said.evidence()
    )
    return Step(lambda _: message, (said.actor,))


# tickets


@phrase(r"{who} issues the ticket {ticket} of {patient} as {tree}")
def issue_ticket(said: Sentence) -> Step:
    message = tickets.IssueTicket(
        pseudonym(said["patient"]),
        public(said["ticket"]),
        condition_of(said["tree"]),
        int(said.option("uses", "1")),
        said.until_s("+1d"),
        said.commitment,
    )
    return Step(lambda _: message, (said["who"], said["ticket"]))


@phrase(r"{who} revokes the ticket {ticket} of {patient}")
def revoke_ticket(said: Sentence) -> Step:
    message = tickets.RevokeTicket(pseudonym(said["patient"]), public(said["ticket"]), said.commitment)
    return Step(lambda _: message, (said["who"],))


@phrase(r"{session} uses the ticket {ticket} of {patient}")
def use_ticket(said: Sentence) -> Step:
    def message(signers: Sequence[str]) -> Message:
        place = said.place_of(said["session"], signers)
        return tickets.UseTicket(pseudonym(said["patient"]), public(said["ticket"]), place)

    return Step(message, (said["ticket"], said["session"]))


@phrase(r"the ticket {ticket} of {patient} is narrowed to {narrower} as {tree}")
def attenuate_ticket(said: Sentence) -> Step:
    message = tickets.AttenuateTicket(
        pseudonym(said["patient"]),
        public(said["ticket"]),
        public(said["narrower"]),
        condition_of(said["tree"]),
        int(said.option("uses", "1")),
        said.until_s("+1d"),
        said.commitment,
    )
    return Step(lambda _: message, (said["ticket"], said["narrower"]))


# access


@phrase(r"{session} of {org} asks for {patient}: {role} {purpose} {verb}")
def request_access(said: Sentence) -> Step:
    def message(signers: Sequence[str]) -> Message:
        ticket = said.option("ticket")
        return access.RequestAccess(
            pseudonym(said["patient"]),
            organisation(said.custodian),
            organisation(said["org"]),
            RoleClass[said["role"].upper().replace("-", "_")],
            Purpose[said["purpose"]],
            Verb[said["verb"].upper()],
            span_s(said.option("for", "+15m")),
            said.place_of(said["session"], signers),
            digest("reader key"),
            public(ticket) if ticket else b"",
            said.commitment,
        )

    return Step(message, (said["session"], said["org"]))


@phrase(r"{org} anchors {permit} of {patient} as {end}")
def commit_releases(said: Sentence) -> Step:
    permit = b"" if said["permit"] == "a-match" else said.permit()
    message = access.CommitReleases(
        pseudonym(said["patient"]), permit, End[said["end"].upper()], digest("receipts"), bool(said.option("closed"))
    )
    return Step(lambda _: message, (said["org"],))


@phrase(r"{session} of {org} finds {permit} of {patient} (?P<verdict>justified|not justified)")
def review_emergency(said: Sentence) -> Step:
    def message(signers: Sequence[str]) -> Message:
        verdict = Verdict[said["verdict"].upper().replace(" ", "_")]
        place = said.place_of(said["session"], signers)
        return access.ReviewEmergency(pseudonym(said["patient"]), said.permit(), place, verdict, said.commitment)

    return Step(message, (said["session"], said["org"]))


@phrase(r"{patient} challenges {permit}")
def challenge(said: Sentence) -> Step:
    message = access.Challenge(pseudonym(said["patient"]), said.permit(), said.commitment)
    return Step(lambda _: message, (said.actor,))
