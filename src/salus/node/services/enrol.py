"""Enrol: begin a relationship with a person, under a fresh pseudonym that nothing joins to another (P7)."""

import hmac
import secrets

import msgspec
from sqlalchemy import delete, insert, select

from salus.clinical.local_number import LocalNumber
from salus.clinical.nhs_number import NhsNumber
from salus.contracts.patients import Enrol, Holder
from salus.contracts.residuals import reason
from salus.crypto.sealing import new_key
from salus.crypto.signing import SigningKey
from salus.ledger.encoding import decoder, encode
from salus.ledger.identifiers import Digest, Pseudonym, PublicKey
from salus.node import documents, schema
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.errors import Refusal, Refused

PersonNumber = NhsNumber | LocalNumber
"""By which a custodian knows a person; only an NHS number can be asked for by others."""


class RelationshipSecret(msgspec.Struct, frozen=True, array_like=True):
    """What a relationship's identity rests on, sealed under its key: the map is rebuilt from it after a restore."""

    record_secret: bytes
    reason_secret: bytes
    number: str
    date_of_birth: str


_SECRET = decoder(RelationshipSecret)


def enrol(
    node: Node,
    number: PersonNumber,
    date_of_birth: str,
    *,
    key: SigningKey | None = None,
    pseudonym: bytes = b"",
) -> Pseudonym:
    """Begin a relationship.

    1. Refuse a person who is enrolled here already.
    2. Keep the relationship's secret, and the pseudonym's key where the custodian holds it.
    3. Commit Enrol, signed by the custodian and the pseudonym's key.
    4. Remember whose pseudonym it is.

    Args:
        date_of_birth: YYYY-MM-DD.
        key: the pseudonym's key, made by the patient; None lets the custodian hold one, visibly.
        pseudonym: 16 random bytes that came with the patient's key; empty draws them.

    Raises:
        Refused: ALREADY_ENROLLED, or what the ledger says.
    """
    if find(node, number) is not None:  # 1
        raise Refused(Refusal.ALREADY_ENROLLED, "this person has a relationship here: use it")
    name = Pseudonym(pseudonym or secrets.token_bytes(16))
    holder = Holder.PATIENT if key is not None else Holder.CUSTODIAN
    signer = key or SigningKey.generate()
    secret = RelationshipSecret(new_key(), new_key(), _written(number), date_of_birth)
    documents.keep(node.vault, node.chain, name, Kind.SECRET, name, encode(secret))  # 2
    if key is None:
        documents.keep(node.vault, node.chain, name, Kind.PSEUDONYM_KEY, name, signer.seed)
    message = Enrol(
        pseudonym=name,
        custodian=node.organisation,
        key=PublicKey(signer.public),
        holder=holder,
        recovery_key=Digest(b""),
        commitment=reason("enrolled at the custodian", secret.reason_secret).root(),
    )
    node.submit(message, keys=(signer,))  # 3
    remember(node, name, secret)  # 4
    return name


def find(node: Node, number: PersonNumber) -> Pseudonym | None:
    """Return a person's pseudonym here; None when they are not enrolled."""
    with node.vault.database.reading() as connection:
        found = connection.scalar(
            select(schema.identities.c.pseudonym).where(schema.identities.c.lookup == _keyed(node, _written(number)))
        )
    return None if found is None else Pseudonym(found)


def match(node: Node, number: PersonNumber, date_of_birth: str) -> Pseudonym | None:
    """Return the pseudonym of the person with this number and this date of birth; None when either does not fit."""
    with node.vault.database.reading() as connection:
        found = connection.execute(
            select(schema.identities).where(schema.identities.c.lookup == _keyed(node, _written(number)))
        ).one_or_none()
    expected = _keyed(node, _written(number), date_of_birth)
    if found is None or not hmac.compare_digest(found.evidence, expected):
        return None
    return Pseudonym(found.pseudonym)


def remember(node: Node, pseudonym: Pseudonym, secret: RelationshipSecret) -> None:
    """Put a person into the identity map."""
    row = {
        "lookup": _keyed(node, secret.number),
        "evidence": _keyed(node, secret.number, secret.date_of_birth),
        "pseudonym": pseudonym,
    }
    with node.vault.database.writing() as connection:
        connection.execute(insert(schema.identities).values(row))


def rebuild_identities(node: Node) -> int:
    """Make the identity map anew from the sealed secrets, as a restore does; return how many people it has."""
    with node.vault.database.writing() as connection:
        connection.execute(delete(schema.identities))
    count = 0
    for relationship in node.vault.relationships():
        kept = documents.find(node.vault, Kind.SECRET, relationship)
        if kept is not None:
            remember(node, Pseudonym(relationship), _SECRET.decode(kept))
            count += 1
    return count


def custodian_held_key(node: Node, pseudonym: Pseudonym) -> SigningKey:
    """Return the pseudonym's key that the custodian holds. Raises Refused when the patient holds it."""
    seed = documents.find(node.vault, Kind.PSEUDONYM_KEY, pseudonym)
    if seed is None:
        raise Refused(Refusal.CHOICE_UNFIT, "the patient holds this key: let the patient's device sign")
    return SigningKey.from_seed(seed)


def relationship_secret(node: Node, pseudonym: Pseudonym) -> bytes:
    """Return the secret from which record ids of a relationship come. Raises Refused for an unknown relationship."""
    kept = documents.find(node.vault, Kind.SECRET, pseudonym)
    if kept is None:
        raise Refused(Refusal.PATIENT_UNKNOWN, "no such relationship here: enrol the patient first")
    secret: RelationshipSecret = _SECRET.decode(kept)
    return secret.record_secret


def _written(number: PersonNumber) -> str:
    return number.digits if isinstance(number, NhsNumber) else f"{number.system}|{number.value}"


def _keyed(node: Node, *parts: str) -> bytes:
    return hmac.digest(node.keys.lookup, encode(parts), "sha256")
