"""Enrol: begin a relationship with a person, under a fresh pseudonym that nothing joins to another (P7)."""

import hmac
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, delete, insert, select
from sqlalchemy.exc import IntegrityError

from salus.clinical.local_number import LocalNumber
from salus.clinical.nhs_number import NhsNumber
from salus.contracts import patients
from salus.contracts.patients import Enrol, Holder, Relationship
from salus.contracts.residuals import reason
from salus.crypto.sealing import new_key
from salus.crypto.signing import SigningKey
from salus.ledger.encoding import decoder, encode, in_nfc
from salus.ledger.identifiers import Digest, Pseudonym, PublicKey
from salus.node import documents, schema
from salus.node.assemble import Node
from salus.node.documents import Document, Kind
from salus.node.errors import NotNow, Refusal, Refused
from salus.vault.errors import RecordExists
from salus.vault.vault import EPOCH_S

PersonNumber = NhsNumber | LocalNumber
"""By which a custodian knows a person; only an NHS number can be asked for by others."""


BUSY = "this person is being enrolled by somebody else at this moment: ask again"


class RelationshipSecret(msgspec.Struct, frozen=True, array_like=True):
    """What a relationship's identity rests on, sealed under its key: the map is rebuilt from it after a restore."""

    record_secret: bytes
    reason_secret: bytes
    number: str
    date_of_birth: str

    def __repr__(self) -> str:
        """Hide what it says of people (P4)."""
        return "RelationshipSecret(…)"


_SECRET = decoder(RelationshipSecret)


def enrol(
    node: Node,
    number: PersonNumber,
    date_of_birth: str,
    *,
    key: SigningKey | None = None,
    pseudonym: bytes = b"",
) -> Pseudonym:
    """Begin a relationship; asked again after a crash or without an answer, go on with what was begun.

    1. Refuse a person who is enrolled here already, also by an enrolment that was cut off after the ledger had it.
    2. Claim the person for one pseudonym, so that two workers never enrol one person twice.
    3. Keep the relationship's secret, and the pseudonym's key where the custodian holds it.
    4. Commit Enrol, signed by the custodian and the pseudonym's key.
    5. Remember whose pseudonym it is.

    Args:
        date_of_birth: YYYY-MM-DD.
        key: the pseudonym's key, made by the patient; None lets the custodian hold one, visibly.
        pseudonym: 16 random bytes that came with the patient's key; empty draws them.

    Raises:
        Refused: ALREADY_ENROLLED, or what the ledger says.
        NotNow: the ledger is away; ask again.
    """
    finish_enrolments(node)  # 1
    if find(node, number) is not None:
        raise Refused(Refusal.ALREADY_ENROLLED, "this person has a relationship here: use it")
    fresh = RelationshipSecret(new_key(), new_key(), _written(number), date_of_birth)
    name = _claim(node, fresh, pseudonym=pseudonym, may_continue=key is None)  # 2
    wanted = {Kind.SECRET: encode(fresh)} | ({} if key else {Kind.PSEUDONYM_KEY: SigningKey.generate().seed})
    kept = _keep_once(node, name, wanted)  # 3
    secret: RelationshipSecret = _SECRET.decode(kept[Kind.SECRET])
    holder = Holder.PATIENT if key is not None else Holder.CUSTODIAN
    if key is None:
        key = SigningKey.from_seed(kept[Kind.PSEUDONYM_KEY])
    message = Enrol(
        pseudonym=name,
        custodian=node.organisation,
        key=PublicKey(key.public),
        holder=holder,
        recovery_key=Digest(b""),
        commitment=reason("enrolled at the custodian", secret.reason_secret).root(),
    )
    _commit(node, message, key)  # 4
    remember(node, name, secret)  # 5
    return name


def finish_enrolments(node: Node) -> int:
    """Remember the people whose enrolment reached the ledger and was cut off then; return how many there were."""
    with node.vault.database.reading() as connection:
        claimed = [Pseudonym(each) for each in connection.scalars(select(schema.enrolments.c.pseudonym)).all()]
    count = 0
    for pseudonym in claimed:
        kept = documents.find(node.vault, Kind.SECRET, pseudonym) if _is_on_ledger(node, pseudonym) else None
        if kept is not None:
            remember(node, pseudonym, _SECRET.decode(kept))
            count += 1
    return count


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
    """Put a person into the identity map, once, and end the claim."""
    row = {
        "lookup": _keyed(node, secret.number),
        "evidence": _keyed(node, secret.number, secret.date_of_birth),
        "pseudonym": pseudonym,
    }
    columns = schema.identities.c
    with node.vault.database.writing() as connection:
        connection.execute(delete(schema.enrolments).where(schema.enrolments.c.pseudonym == pseudonym))
        if connection.scalar(select(columns.pseudonym).where(columns.lookup == row["lookup"])) is None:
            connection.execute(insert(schema.identities).values(row))


def rebuild_identities(node: Node) -> int:
    """Make the identity map anew from the sealed secrets, as a restore does; return how many people it has."""
    with node.vault.database.writing() as connection:
        connection.execute(delete(schema.identities))
    count = 0
    for relationship in node.vault.relationships():
        pseudonym = Pseudonym(relationship)
        kept = documents.find(node.vault, Kind.SECRET, pseudonym) if _is_on_ledger(node, pseudonym) else None
        if kept is not None:
            remember(node, pseudonym, _SECRET.decode(kept))
            count += 1
    return count


def date_of_birth(node: Node, pseudonym: Pseudonym) -> date | None:
    """Return when the patient was born; None when it is not known here, or is no day of the calendar."""
    kept = documents.find(node.vault, Kind.SECRET, pseudonym)
    if kept is None:
        return None
    secret: RelationshipSecret = _SECRET.decode(kept)
    try:
        return date.fromisoformat(secret.date_of_birth)
    except ValueError:
        return None


def custodian_held_key(node: Node, pseudonym: Pseudonym) -> SigningKey:
    """Return the pseudonym's key that the custodian holds. Raises Refused when the patient holds it."""
    seed = documents.find(node.vault, Kind.PSEUDONYM_KEY, pseudonym)
    if seed is None:
        raise Refused(Refusal.CHOICE_UNFIT, "the patient holds this key: let the patient's device sign")
    return SigningKey.from_seed(seed)


def record_secrets(node: Node, pseudonyms: Sequence[Pseudonym]) -> list[bytes]:
    """Return the secrets from which record ids of relationships come. Raises Refused for an unknown relationship."""
    kept = documents.find_many(node.vault, [(Kind.SECRET, pseudonym) for pseudonym in pseudonyms])
    return [_record_secret(each) for each in kept]


def _record_secret(kept: bytes | None) -> bytes:
    if kept is None:
        raise Refused(Refusal.PATIENT_UNKNOWN, "no such relationship here: enrol the patient first")
    secret: RelationshipSecret = _SECRET.decode(kept)
    return secret.record_secret


def _claim(node: Node, secret: RelationshipSecret, *, pseudonym: bytes, may_continue: bool) -> Pseudonym:
    """Return the pseudonym under which a person is to be enrolled, by this worker or by any other.

    Args:
        pseudonym: what the patient brought, or empty.
        may_continue: without a brought pseudonym take the one of an attempt that was cut off, if it said the same.
    """
    lookup = _keyed(node, secret.number)
    with node.vault.database.reading() as connection:
        claimed = connection.scalar(_claimed(lookup))
    if claimed is not None and (claimed == pseudonym or (may_continue and not pseudonym)):
        kept = documents.find(node.vault, Kind.SECRET, claimed)
        if kept is None or _SECRET.decode(kept).date_of_birth == secret.date_of_birth:
            return Pseudonym(claimed)
    name = Pseudonym(pseudonym or secrets.token_bytes(16))
    try:
        with node.vault.database.writing() as connection:
            _replace_claim(connection, lookup, claimed, name)
    except IntegrityError as error:
        raise NotNow(BUSY) from error
    if claimed is not None and claimed != name:
        node.vault.erase_relationship(claimed, within_s=EPOCH_S)  # of an attempt that never reached the ledger
    return name


def _replace_claim(connection: Connection, lookup: bytes, claimed: bytes | None, name: Pseudonym) -> None:
    # The claim first, then the map: whoever ended the claim meanwhile has put the person into the map.
    if connection.scalar(_claimed(lookup)) != claimed:
        raise NotNow(BUSY)
    known = select(schema.identities.c.pseudonym).where(schema.identities.c.lookup == lookup)
    if connection.scalar(known) is not None:
        raise Refused(Refusal.ALREADY_ENROLLED, "this person has a relationship here: use it")
    connection.execute(delete(schema.enrolments).where(schema.enrolments.c.lookup == lookup))
    connection.execute(insert(schema.enrolments).values(lookup=lookup, pseudonym=name))


def _claimed(lookup: bytes) -> Select[tuple[Any]]:
    return select(schema.enrolments.c.pseudonym).where(schema.enrolments.c.lookup == lookup)


def _keep_once(node: Node, pseudonym: Pseudonym, wanted: Mapping[Kind, bytes]) -> dict[Kind, bytes]:
    """Keep documents of a pseudonym where there are none; return those that are kept."""
    fresh = [Document(kind, pseudonym, content) for kind, content in wanted.items()]
    try:
        documents.keep_many(node.vault, node.chain, pseudonym, fresh)
    except RecordExists:  # of another worker, or of an attempt that was cut off, who may have kept one of them only
        for each in fresh:
            with suppress(RecordExists):
                documents.keep_many(node.vault, node.chain, pseudonym, [each])
    else:
        return dict(wanted)
    found = documents.find_many(node.vault, [(kind, pseudonym) for kind in wanted])
    kept = {kind: content for kind, content in zip(wanted, found, strict=True) if content is not None}
    assert kept.keys() == wanted.keys(), "what was kept is there"
    return kept


def _commit(node: Node, message: Enrol, key: SigningKey) -> None:
    try:
        node.submit(message, keys=(key,))
    except Refused:
        there = _on_ledger(node, message.pseudonym)
        if there is None or there.key != message.key:  # else another worker was faster with the same
            raise


def _is_on_ledger(node: Node, pseudonym: Pseudonym) -> bool:
    return _on_ledger(node, pseudonym) is not None


def _on_ledger(node: Node, pseudonym: Pseudonym) -> Relationship | None:
    """Return a relationship of this custodian's; None where the ledger has none."""
    with node.engine.snapshot() as reader:
        relationship = patients.relationship_of(reader, pseudonym)
    return relationship if relationship is not None and relationship.custodian == node.organisation else None


def _written(number: PersonNumber) -> str:
    return number.digits if isinstance(number, NhsNumber) else in_nfc(f"{number.system}|{number.value}")


def _keyed(node: Node, *parts: str) -> bytes:
    return hmac.digest(node.keys.lookup, encode(parts), "sha256")
