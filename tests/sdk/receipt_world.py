"""Releases on a ledger in memory, with nothing of a node: what the tests of the check check.

Deterministic: every key, nonce and salt follows from a name, so a golden file can be made of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from salus.contracts import access, consent, decision, membership, residuals
from salus.contracts.access import AccessPermitted, CommitReleases, End, Permit, RequestAccess
from salus.contracts.consent import FileConsent, WithdrawConsent
from salus.contracts.decision import ChoiceRules, Rules
from salus.contracts.evidence import continuity_permit, permit_of, terms_of
from salus.contracts.gathering import ReceiptMaterial, RecordMaterial, keys_of, open_receipt, read_trail
from salus.contracts.genesis import (
    FirstPolicy,
)
from salus.contracts.membership import CertificateKind, Certify, KeyUse, RotateKey
from salus.contracts.patients import AddKey, Enrol, Holder, KeyKind
from salus.contracts.provisions import (
    Provision,
    Purpose,
    RoleClass,
    Verb,
    day_of,
    gate,
)
from salus.contracts.record_metadata import Facts, commit_facts, record_of
from salus.contracts.records import RegisterBatch
from salus.contracts.residuals import (
    CertifiedSession,
    PersonCertificate,
    RequestResidual,
    Scope,
    Session,
    certify_session,
    commit_certificate,
    commit_choice,
    commit_request,
)
from salus.crypto.signing import SigningKey
from salus.ledger import receipts
from salus.ledger.bundles import FORMAT, HistoryBundle, OpenedReceipt, ReceiptBundle, anchor_root
from salus.ledger.encoding import decoder
from salus.ledger.entries import Entry, batch_size, entry_hash, place_entries
from salus.ledger.fields import CommittedFields, commit_fields
from salus.ledger.identifiers import Digest, OrganisationId, PermitId, PublicKey, RecordId
from salus.ledger.machine import HISTORY
from salus.ledger.outcomes import Leaf, decode_leaf
from salus.ledger.proofs import prove_history
from salus.ledger.receipts import (
    Anchored,
    Authentication,
    ChoicesField,
    Conclusion,
    ConductField,
    Delivery,
    Field,
    Receipt,
    ReleasedField,
    ReleaseKeyField,
    RequestField,
    ScopeField,
    Standing,
    Statement,
    StoreKind,
    WhoField,
    WithheldField,
    anchored_leaf,
)
from salus.ledger.transactions import Message
from salus.ledger.verifier import TrustRoot
from tests.ledger.proof_world import START_S, Ledger
from tests.sdk.receipt_network import (
    ANN,
    CHAIN,
    CHART,
    HOSPITAL,
    POLICY,
    PRACTICE,
    REFUSE_RESEARCH,
    SHARE,
    Changes,
    Released,
    Stored,
    begin_ledger,
    key,
    receipt_key,
    secret,
    terms_are_of_staff,
    transaction_key,
)

_DECISION = decoder(access.AccessPermitted | access.AccessDenied)


@dataclass
class Story:
    """One patient at one hospital, and a practice that asks."""

    ledger: Ledger
    records: list[Stored] = field(default_factory=list)
    choices: list[CommittedFields] = field(default_factory=list)
    parts: list[Released] = field(default_factory=list)
    certificate: CommittedFields = field(default=CommittedFields(b"", ()))

    # What people do

    def run(self, *messages: Message, keys: Sequence[SigningKey]) -> tuple[bytes, list[Leaf]]:
        raw = self.ledger.sign(messages, *keys)
        result = self.ledger.block(raw)[0]
        assert result.code < 2, (result.code, result.reason)
        return raw, [decode_leaf(leaf) for leaf in result.leaves]

    def enrol(self) -> None:
        own = key("ann")
        recovery = key("ann recovery")
        message = Enrol(
            pseudonym=ANN,
            custodian=HOSPITAL,
            key=PublicKey(own.public),
            holder=Holder.PATIENT,
            recovery_key=Digest(recovery.public),
            commitment=Digest(secret("enrol")),
        )
        self.run(message, keys=(transaction_key(HOSPITAL), own))

    def certify(self) -> None:
        doctor = PersonCertificate(
            organisation=PRACTICE,
            name="Dr Jones",
            role="GP",
            registration="GMC 1234567",
            role_classes=(RoleClass.CLINICAL,),
            key=PublicKey(key("doctor").public),
        )
        self.certificate = commit_certificate(doctor, secret=secret("certificate"))
        self.certify_again(PRACTICE)

    def certify_again(self, organisation: OrganisationId) -> None:
        """Put the certificate on the ledger, as this organisation's."""
        message = Certify(
            organisation=organisation,
            certificate=self.certificate.root(),  # type: ignore[arg-type]
            kind=CertificateKind.PERSON,
            role_classes=(RoleClass.CLINICAL,),
            expires_at_s=START_S + 300 * 86_400,
        )
        self.run(message, keys=(transaction_key(organisation),))

    def register(self, *chart: Facts) -> None:
        first = len(self.records)
        entries, metadata = [], []
        for number, facts in enumerate(chart, start=first):
            committed = commit_facts(facts, secret=secret(f"facts {number}"))
            entries.append(
                Entry(
                    record=RecordId(secret(f"record {number}")[:16]),
                    version=1,
                    metadata_root=committed.root(),
                    content_root=Digest(secret(f"content {number}")),
                    sealed_root=Digest(secret(f"sealed {number}")),
                    supersedes=Digest(b""),
                )
            )
            metadata.append(committed)
        padding = [secret(f"padding {first} {number}") for number in range(batch_size(len(entries)) - len(entries))]
        placed = place_entries(entries, padding=padding)
        self.records += [Stored(*each) for each in zip(placed, metadata, strict=True)]
        message = RegisterBatch(pseudonym=ANN, custodian=HOSPITAL, root=placed[0].batch_root, size=placed[0].batch_size)
        self.run(message, keys=(transaction_key(HOSPITAL),))

    def choose(self, tree: Provision, *, name: str) -> None:
        residual = commit_choice(tree, secret=secret(f"choice {name} {len(self.choices)}"))
        self.choices.append(residual)
        message = FileConsent(
            pseudonym=ANN,
            choice=self.choice_id(name),
            gate=gate(tree),
            commitment=residual.root(),
            evidence_on_day=0,
        )
        self.run(message, keys=(key("ann"),))

    def withdraw(self, *, name: str) -> None:
        message = WithdrawConsent(
            pseudonym=ANN,
            choice=self.choice_id(name),
            commitment=Digest(secret("withdraw")),
            evidence_on_day=0,
        )
        self.run(message, keys=(key("ann"),))

    def choice_id(self, name: str) -> bytes:
        """The id of a choice."""
        return secret(f"choice id {name}")[:16]

    def add_device(self, *, expires_at_s: int) -> None:
        """The patient lets a device act."""
        device = key("device")
        message = AddKey(
            pseudonym=ANN,
            key=PublicKey(device.public),
            kind=KeyKind.DEVICE,
            expires_at_s=expires_at_s,
            commitment=Digest(secret("device")),
        )
        self.run(message, keys=(key("ann"), device))

    def rotate_receipt_key(self, organisation: OrganisationId, number: int) -> None:
        new = receipt_key(organisation, number)
        message = RotateKey(organisation=organisation, use=KeyUse.RECEIPT, key=new.public)
        self.run(message, keys=(transaction_key(organisation), new))

    # A release

    def request(
        self,
        *,
        purpose: Purpose = Purpose.TREAT,
        role_class: RoleClass = RoleClass.CLINICAL,
        requester: OrganisationId = PRACTICE,
        scope: Scope | None = None,
        residual_changes: Mapping[str, object] | None = None,
    ) -> tuple[bytes, Leaf, AccessPermitted | access.AccessDenied, CommittedFields]:
        session = self.next_session_key()
        is_patient = purpose is Purpose.PATRQT
        honest = RequestResidual(
            request=secret(f"request {len(self.ledger.results)}")[:16],
            scope=scope or Scope(),
            certificate=CommittedFields(b"", ()) if is_patient else self.certificate,
            session=self.session(session, key("ann") if is_patient else key("doctor")),
            justification="" if purpose is not Purpose.BTG else "found unconscious",
        )
        residual = commit_request(
            msgspec.structs.replace(honest, **(residual_changes or {})),
            secret=secret(f"residual {len(self.ledger.results)}"),
        )
        message = RequestAccess(
            pseudonym=ANN,
            custodian=HOSPITAL,
            requester=requester,
            role_class=role_class,
            purpose=purpose,
            verb=Verb.READ,
            duration_s=900,
            session=0,
            reader_key=Digest(secret("reader key")),
            ticket=Digest(b""),
            residual=residual.root(),
        )
        raw, leaves = self.run(message, keys=(session, transaction_key(requester)))
        return raw, leaves[0], _DECISION.decode(leaves[0].data), residual

    def session(
        self,
        session: SigningKey,
        certifier: SigningKey,
        *,
        custodian: OrganisationId = HOSPITAL,
        ahead_s: int = 0,
        duration_s: int = 3600,
    ) -> CertifiedSession:
        from_s = self.ledger.meta.time_s + ahead_s
        terms = Session(PublicKey(session.public), custodian, from_s, from_s + duration_s)
        return certify_session(terms, certifier)

    def next_session_key(self) -> SigningKey:
        """The key that will sign the next request."""
        return key(f"session {len(self.ledger.results)}")

    def release(self, *, changes: Changes | None = None, **asked: object) -> Released:
        """Ask, decide on every record, write the receipt and have both ends sign it."""
        raw, leaf, outcome, residual = self.request(**asked)  # type: ignore[arg-type]
        assert isinstance(outcome, AccessPermitted)
        changed = changes or Changes()
        opened = residuals.request_residual(residual)
        who = opened.certificate.root() if terms_are_of_staff(outcome) else Digest(key("ann").public)
        terms = terms_of(outcome, leaf, session_key=opened.session.session.session_key)
        fields = changed.rewrite(self.fields(terms, opened, who, changed))
        part = self._sign(permit_of(leaf), fields, residual, raw, terms, changed)
        self.parts.append(part)
        return part

    def fields(self, terms: Permit, request: RequestResidual, who: Digest, changed: Changes) -> list[Field]:
        """What a conforming custodian writes, but for the changes."""
        current = consent.choices(self.ledger.rows, ANN)
        trees = {residual.root(): residuals.choice_tree(residual) for residual in self.choices}
        rules = Rules(
            network=membership.policy(self.ledger.rows).provisions,
            custodian=membership.policy(self.ledger.rows, HOSPITAL).provisions,
            choices=tuple(ChoiceRules(each.commitment, trees[each.commitment]) for each in current.choices),
        )
        asked = msgspec.structs.replace(access.open_request(terms, time_s=self.ledger.meta.time_s), person=bytes(who))
        released, withheld = [], []
        for number, each in enumerate(self.records):
            facts = record_of(each.placed.entry.record, each.metadata.values)
            said = decision.decide(terms, rules, asked, facts)
            entry = entry_hash(each.placed.entry)
            if (said.may_go or number in changed.let_go) and number not in changed.keep_back:
                placed = each.placed
                released.append(ReleasedField(entry, placed.batch_root, placed.entry.sealed_root, 1000 + number))
            else:
                withheld.append(WithheldField(entry, said.source, bytes(said.rule), said.path))
        if changed.wrong_rule:
            withheld[0] = msgspec.structs.replace(withheld[0], source=2, rule=b"\x00", path="1")
        return [
            RequestField(request.request, 1),
            WhoField(Authentication.PERSON_SIGNED, bytes(who)),
            ChoicesField(
                current.version,
                tuple(bytes(each.commitment) for each in current.choices),
                terms.network_policy_version,
                terms.custodian_policy_version,
            ),
            ScopeField(terms.from_s, len(released) + len(withheld), len(released), len(withheld)),
            ConductField(changed.standing, changed.delivery, StoreKind.SALUS, terms.from_s + 1, day_of(terms.from_s)),
            ReleaseKeyField(secret("release key")),
            *released,
            *withheld,
        ]

    def _sign(
        self,
        permit: PermitId,
        fields: list[Field],
        residual: CommittedFields,
        raw: bytes,
        terms: Permit,
        changed: Changes,
    ) -> Released:
        committed = receipts.commit_receipt(fields, room=changed.room, secret=secret(f"receipt {permit.hex()}"))
        statement = Statement(receipts.FORMAT, CHAIN, permit, 1, committed.root())
        is_own = terms.requester == HOSPITAL or changed.delivery is Delivery.TLS
        requester = changed.requester_key or receipt_key(terms.requester)
        return Released(
            receipt=Receipt(
                statement,
                receipts.sign_as_custodian(statement, changed.custodian_key or receipt_key(HOSPITAL)),
                b"" if is_own else receipts.sign_as_requester(statement, requester),
            ),
            fields=committed,
            request=residual,
            transaction=raw,
            permit=permit,
        )

    def continuity(self) -> Released:
        """The hospital's own doctor opens the chart while the ledger is out of reach."""
        opened = RequestResidual(
            request=secret("continuity")[:16],
            scope=Scope(),
            certificate=self.certificate,
            session=self.session(key("session continuity"), key("doctor")),
            justification="",
        )
        current = access.versions(self.ledger.rows, ANN, HOSPITAL)
        terms = Permit(
            pseudonym=ANN,
            custodian=HOSPITAL,
            requester=HOSPITAL,
            role_class=RoleClass.CLINICAL,
            purpose=Purpose.TREAT,
            verb=Verb.READ,
            from_s=self.ledger.meta.time_s,
            until_s=self.ledger.meta.time_s + 900,
            session_key=opened.session.session.session_key,
            reader_key=Digest(b""),
            basis=access.Basis.OWN_STAFF,
            ticket=Digest(b""),
            choices_version=current.choices,
            network_policy_version=current.network_policy,
            custodian_policy_version=current.custodian_policy,
            residual=Digest(b""),
            closed=0,
        )
        changed = Changes(standing=Standing.CONTINUITY, delivery=Delivery.TLS)
        fields = self.fields(terms, opened, self.certificate.root(), changed)
        residual = commit_request(opened, secret=secret("continuity residual"))
        part = self._sign(continuity_permit(opened.request), fields, residual, b"", terms, changed)
        self.parts.append(part)
        return part

    def anchor(
        self,
        part: Released,
        end: End,
        conclusion: Conclusion | None = None,
        *,
        is_closed: bool = False,
        is_on_ledger: bool = True,
        organisation: OrganisationId | None = None,
    ) -> None:
        said = conclusion or (Conclusion.SLOT_SENT if end is End.CUSTODIAN else Conclusion.OPENED)
        part.conclusions[end] = said
        message = CommitReleases(
            pseudonym=ANN,
            permit=part.permit if is_on_ledger else PermitId(b""),
            end=end,
            root=anchor_root([anchored_leaf(Anchored(part.receipt, said))]),
            is_closed=is_closed,
        )
        who = organisation or (HOSPITAL if end is End.CUSTODIAN else PRACTICE)
        self.run(message, keys=(transaction_key(who),))

    # What the hospital's node hands to the patient

    def material(self, part: Released, *, without: Sequence[int] = ()) -> ReceiptMaterial:
        held = [each for number, each in enumerate(self.records) if number not in without]
        return ReceiptMaterial(
            receipt=part.receipt,
            fields=part.fields,
            request=part.request,
            choices=self.choices,
            records=[RecordMaterial(each.placed, each.metadata) for each in held],
            receipts=[part.receipt],
            transaction=part.transaction,
        )

    def bundle(self, part: Released, *, without: Sequence[int] = ()) -> ReceiptBundle:
        material = self.material(part, without=without)
        trail = read_trail(self.ledger.rows, ANN)
        rows = [self.ledger.prove_row(each) for each in keys_of(self.ledger.rows, trail, material)]
        signed = self.ledger.signed_state()
        return ReceiptBundle(FORMAT, signed, open_receipt(self.ledger.rows, signed.state, rows, trail, material))

    def history(self, *, matches: Sequence[CommittedFields] = ()) -> HistoryBundle:
        trail = read_trail(self.ledger.rows, ANN)
        row = self.ledger.prove_row(HISTORY.key(ANN))
        gathered = []
        for part in self.parts:
            material = self.material(part)
            rows = [self.ledger.prove_row(each) for each in keys_of(self.ledger.rows, trail, material)]
            gathered.append((rows, material))
        signed = self.ledger.signed_state()
        opened: list[OpenedReceipt] = [
            open_receipt(self.ledger.rows, signed.state, rows, trail, material) for rows, material in gathered
        ]
        history = prove_history(self.ledger.rows, ANN, row)
        return HistoryBundle(FORMAT, signed, history, tuple(opened), tuple(matches))

    def match(self) -> CommittedFields:
        """The practice asked whether there are records; the hospital notes and anchors it."""
        values = [PRACTICE, self.certificate.root(), PublicKey(key("session match").public), self.ledger.meta.time_s]
        note = commit_fields(values, secret=secret(f"match {len(self.ledger.results)}"))
        message = CommitReleases(
            pseudonym=ANN, permit=PermitId(b""), end=End.CUSTODIAN, root=note.root(), is_closed=True
        )
        self.run(message, keys=(transaction_key(HOSPITAL),))
        return note


def begin(*, validators: int = 1, policies: Sequence[FirstPolicy] = ()) -> Story:
    """A story at its beginning: the network is founded."""
    return Story(begin_ledger(validators=validators, policies=policies))


def chart(**settings: object) -> Story:
    """The usual beginning: four records, a choice that keeps psychiatry back, a policy that keeps HIV back."""
    story = begin(policies=(FirstPolicy(HOSPITAL, (POLICY,)),), **settings)  # type: ignore[arg-type]
    story.enrol()
    story.certify()
    story.register(*CHART[:3])
    story.choose(REFUSE_RESEARCH, name="research")
    story.choose(SHARE, name="practice")
    story.withdraw(name="research")
    story.register(*CHART[3:])
    return story


def trust(story: Story) -> TrustRoot:
    """The trust root of this ledger."""
    return story.ledger.trust()
