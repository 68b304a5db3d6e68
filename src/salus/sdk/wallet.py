"""A patient's own wallet: one seed, a relationship for each custodian, the choices made there with their rules.

Promises: keys come from the seed by hardened branches (DESIGN §5.2), so that the seed is all that has to be kept safe;
no two relationships share a key, an id, a salt or a transaction (P7); on disk everything is sealed under a passphrase
or a key file. Never holds a record.
"""

import secrets
from collections.abc import Iterable, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from salus.contracts.consent import FileConsent, WithdrawConsent
from salus.contracts.provisions import Provision, gate
from salus.contracts.residuals import (
    SESSION_S_MAX,
    CertifiedSession,
    Session,
    certify_session,
    commit_choice,
    reason,
)
from salus.contracts.ticket_bearers import Resources, new_claims, write_bearer
from salus.contracts.tickets import IssueTicket, RevokeTicket
from salus.crypto.derive import branch
from salus.crypto.hpke import HpkeKey, HpkeSuite
from salus.crypto.sealing import new_key
from salus.crypto.signing import SigningKey
from salus.ledger import transactions
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import OrganisationId, OrganisationIdField, Pseudonym, PseudonymField, PublicKey
from salus.ledger.transactions import PatientMessage

FORMAT = 1
CHOICE_ID_BYTES = 16
PSEUDONYM_BYTES = 16
EXPIRY_S = 300


class WalletRefuses(Exception):
    """The wallet will not do this; the message says what was expected, what came, what to do."""


class KeptChoice(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A choice with its rules; `withdrawn_at_s` is 0 while it is in force. Times in seconds."""

    choice: Annotated[bytes, Meta(min_length=CHOICE_ID_BYTES, max_length=CHOICE_ID_BYTES)]
    residual: CommittedFields
    filed_at_s: int
    withdrawn_at_s: int = 0


class Relationship(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One custodian; `key_number` counts the keys that this pseudonym has had from this wallet, from 0."""

    chain: str
    custodian: OrganisationIdField
    pseudonym: PseudonymField
    key_number: int
    choices: tuple[KeptChoice, ...] = ()


class Wallet(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The seed, 32 bytes, and what cannot be derived from it: pseudonyms are random, and rules are the patient's."""

    format: int
    seed: Annotated[bytes, Meta(min_length=32, max_length=32)]
    relationships: tuple[Relationship, ...]

    def __repr__(self) -> str:
        """Hide the seed."""
        return f"Wallet({len(self.relationships)} relationships)"


class SignedChoice(msgspec.Struct, frozen=True):
    """A choice as it goes to the custodian: the signed transaction with its message, and the rules beside it."""

    raw: bytes
    message: FileConsent
    residual: CommittedFields


class SignedWithdrawal(msgspec.Struct, frozen=True):
    """A withdrawal as it goes to the custodian: the signed transaction with its message, and why."""

    raw: bytes
    message: WithdrawConsent
    residual: CommittedFields


class SignedTicket(msgspec.Struct, frozen=True):
    """A ticket: the signed transaction and the rules for the custodian, and `bearer` for whoever is to use it."""

    raw: bytes
    message: IssueTicket
    residual: CommittedFields
    bearer: str

    def __repr__(self) -> str:
        """Hide the bearer: whoever has it can use it."""
        return "SignedTicket(…)"


class SignedRevocation(msgspec.Struct, frozen=True):
    """The end of a ticket as it goes to the custodian: the signed transaction with its message, and why."""

    raw: bytes
    message: RevokeTicket
    residual: CommittedFields


def new_wallet() -> Wallet:
    """Return an empty wallet with a fresh seed."""
    return Wallet(FORMAT, new_key(), ())


def begin(wallet: Wallet, *, chain: str, custodian: OrganisationId, pseudonym: Pseudonym | None = None) -> Wallet:
    """Add a relationship.

    Args:
        pseudonym: of a relationship that exists and is taken over; None draws one for a new relationship.

    Raises:
        WalletRefuses: there is one with this custodian already.
    """
    if any((each.chain, each.custodian) == (chain, custodian) for each in wallet.relationships):
        raise WalletRefuses(f"expected no relationship with {custodian} yet, the wallet has one: use it")
    name = pseudonym or Pseudonym(secrets.token_bytes(PSEUDONYM_BYTES))
    added = Relationship(chain, custodian, name, 0)
    return msgspec.structs.replace(wallet, relationships=(*wallet.relationships, added))


def relationship(wallet: Wallet, *, chain: str, custodian: OrganisationId) -> Relationship:
    """Return the relationship with a custodian. Raises WalletRefuses when there is none."""
    for each in wallet.relationships:
        if (each.chain, each.custodian) == (chain, custodian):
            return each
    raise WalletRefuses(f"the wallet has no relationship with {custodian}: enrol there, or take the key over")


def signing_key(wallet: Wallet, of: Relationship) -> SigningKey:
    """Return the pseudonym's key, which signs for it on the ledger."""
    return SigningKey.from_seed(branch(wallet.seed, "signing", of.pseudonym.hex(), str(of.key_number)))


def reading_key(wallet: Wallet, of: Relationship) -> HpkeKey:
    """Return the key to which the custodian seals the relationship's key for its patient."""
    return HpkeKey.from_seed(HpkeSuite.HYBRID, reading_secret(wallet, of))


def reading_secret(wallet: Wallet, of: Relationship) -> bytes:
    """Return the seed of the reading key, 32 bytes: what has to come back after a recovery."""
    return branch(wallet.seed, "hpke", of.pseudonym.hex(), str(of.key_number))


def sign(
    wallet: Wallet, of: Relationship, *messages: PatientMessage, time_s: int, also: Sequence[SigningKey] = ()
) -> bytes:
    """Sign messages about one relationship with its key.

    Args:
        also: keys that sign after it, such as a new ticket's.

    Raises:
        WalletRefuses: a message names another pseudonym: one transaction would join two relationships (P7).
    """
    if any(message.pseudonym != of.pseudonym for message in messages):
        raise WalletRefuses("expected messages about one relationship: sign a transaction for each, so none is joined")
    return transactions.sign(
        messages,
        chain=of.chain,
        keys=(signing_key(wallet, of), *also),
        expires_at_s=time_s + EXPIRY_S,
        nonce=secrets.token_bytes(16),
    )


def sign_choice(wallet: Wallet, of: Relationship, tree: Provision, *, time_s: int) -> SignedChoice:
    """Sign a choice; `keep_choice` puts it into the wallet once the custodian has taken it.

    The rules are committed to under a secret of this choice alone, so that equal choices at two custodians do not show
    as equal (P7).
    """
    residual = commit_choice(tree, secret=new_key())
    message = FileConsent(
        pseudonym=of.pseudonym,
        choice=secrets.token_bytes(CHOICE_ID_BYTES),
        gate=gate(tree),
        commitment=residual.root(),
        evidence_on_day=0,
    )
    return SignedChoice(sign(wallet, of, message, time_s=time_s), message, residual)


def keep_choice(wallet: Wallet, of: Relationship, choice: SignedChoice, *, time_s: int) -> Wallet:
    """Return the wallet with a choice that is in force."""
    kept = KeptChoice(choice.message.choice, choice.residual, time_s)
    return _replace(wallet, of, choices=(*of.choices, kept))


def adopt_choices(wallet: Wallet, of: Relationship, handed: Iterable[tuple[bytes, CommittedFields, int]]) -> Wallet:
    """Return the wallet with choices that the custodian filed before the patient took over.

    Args:
        handed: of each its id, its rules, and when it was filed in seconds.
    """
    kept = tuple(KeptChoice(choice, residual, filed_at_s) for choice, residual, filed_at_s in handed)
    return _replace(wallet, of, choices=(*of.choices, *kept))


def sign_withdrawal(
    wallet: Wallet, of: Relationship, choice: bytes, *, time_s: int, why: str = "withdrawn by the patient"
) -> SignedWithdrawal:
    """Sign the withdrawal of a choice. Raises WalletRefuses when it is not in force by this wallet."""
    if not any(each.choice == choice and not each.withdrawn_at_s for each in of.choices):
        raise WalletRefuses("expected a choice in force that this wallet made: list them with salus consent list")
    residual = reason(why, new_key())
    message = WithdrawConsent(pseudonym=of.pseudonym, choice=choice, commitment=residual.root(), evidence_on_day=0)
    return SignedWithdrawal(sign(wallet, of, message, time_s=time_s), message, residual)


def keep_withdrawal(wallet: Wallet, of: Relationship, choice: bytes, *, time_s: int) -> Wallet:
    """Return the wallet with a choice marked as withdrawn; its rules stay, for old receipts."""
    kept = (
        msgspec.structs.replace(each, withdrawn_at_s=time_s) if each.choice == choice else each for each in of.choices
    )
    return _replace(wallet, of, choices=tuple(kept))


def sign_ticket(
    wallet: Wallet,
    of: Relationship,
    tree: Provision,
    *,
    resources: Sequence[Resources],
    audience: str,
    uses_max: int,
    time_s: int,
    expires_at_s: int,
    thumbprint: str = "",
) -> SignedTicket:
    """Sign a ticket, which lets its holder ask for what the rules permit, until it ends or is revoked.

    Args:
        tree: the rules; they come down to one condition: who may ask, in which role, for what purpose.
        resources: what the ticket may be exchanged for at the custodian's server; it only narrows the rules.
        audience: the base of the custodian's FHIR server.
        uses_max: how often a permit may be asked for; each lasts a quarter of an hour.
        time_s, expires_at_s: Unix seconds.
        thumbprint: of a key of the one program that may show it (RFC 7638); empty for whoever has it.

    Raises:
        WalletRefuses: the rules have several conditions, or none.
    """
    conditions = gate(tree).may_permit
    if len(conditions) != 1:
        raise WalletRefuses(f"expected rules with one condition, came {len(conditions)}: sign a ticket for each")
    claims = new_claims(
        chain=of.chain,
        audience=audience,
        pseudonym=of.pseudonym,
        resources=tuple(resources),
        time_s=time_s,
        expires_at_s=expires_at_s,
        secret=new_key(),
        thumbprint=thumbprint,
    )
    bearer, key = write_bearer(claims)
    residual = commit_choice(tree, secret=new_key())
    message = IssueTicket(
        pseudonym=of.pseudonym,
        ticket=PublicKey(key.public),
        condition=conditions[0],
        uses_max=uses_max,
        expires_at_s=expires_at_s,
        commitment=residual.root(),
    )
    return SignedTicket(sign(wallet, of, message, time_s=time_s, also=(key,)), message, residual, bearer)


def sign_revocation(wallet: Wallet, of: Relationship, ticket: PublicKey, *, time_s: int) -> SignedRevocation:
    """Sign the end of a ticket, and of all that were made from it.

    Args:
        ticket: its public key, by which the ledger knows it.
    """
    why = reason("revoked by the patient", new_key())
    message = RevokeTicket(pseudonym=of.pseudonym, ticket=ticket, commitment=why.root())
    return SignedRevocation(sign(wallet, of, message, time_s=time_s), message, why)


def open_session(
    wallet: Wallet, of: Relationship, *, time_s: int, duration_s: int = 900
) -> tuple[SigningKey, CertifiedSession]:
    """Certify a fresh session key for the custodian, by which a device asks for its own history."""
    assert duration_s <= SESSION_S_MAX, f"a session lasts at most {SESSION_S_MAX} s"
    key = SigningKey.generate()
    session = Session(PublicKey(key.public), of.custodian, time_s, time_s + duration_s)
    return key, certify_session(session, signing_key(wallet, of))


def _replace(wallet: Wallet, of: Relationship, *, choices: tuple[KeptChoice, ...]) -> Wallet:
    changed = msgspec.structs.replace(of, choices=choices)
    return msgspec.structs.replace(
        wallet, relationships=tuple(changed if each == of else each for each in wallet.relationships)
    )
