"""docs/spec/vault.md says what the code does: rejections by number, tags, columns, and a reading of the page alone."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import select

from salus.vault import errors, schema
from salus.vault.errors import Rejected
from tests.conftest import ROOT
from tests.vault.sample_vault import SMALL, SampleVault, deposit

PAGE = (ROOT / "docs" / "spec" / "vault.md").read_text(encoding="utf-8")
SOURCES = sorted((ROOT / "src" / "salus" / "vault").rglob("*.py"))


def test_rejections_are_listed_with_their_numbers() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Rejected)]
    coded = {(kind.number, kind.__name__) for kind in kinds if kind is not Rejected}
    listed = {(int(number), name) for number, name in re.findall(r"^\| (\d+) \| `(\w+)` \|", PAGE, re.MULTILINE)}
    assert listed == coded
    assert sorted(number for number, _ in listed) == list(range(1, len(listed) + 1))


def test_every_tag_and_table_of_the_code_is_on_the_page() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
    tags = set(re.findall(r'"(salus/vault/[^"]+)"', code))
    assert len(tags) >= 6
    assert {tag for tag in tags if tag not in PAGE} == set()
    tables = {table.name for table in schema.metadata.sorted_tables} - {"vault_schema"}
    assert {table for table in tables if table not in PAGE} == set()


def tagged(tag: str, *parts: bytes) -> bytes:
    whole = bytes((len(tag),)) + tag.encode()
    for part in parts:
        whole += be8(len(part)) + part
    return hashlib.sha256(whole).digest()


def be8(number: int) -> bytes:
    return number.to_bytes(8, "big")


def unwrap(key: bytes, wrapped: bytes, associated: bytes) -> bytes:
    return AESGCM(key).decrypt(wrapped[:12], wrapped[12:], associated)


def open_one_shot(key: bytes, sealed: bytes, associated: bytes) -> bytes:
    tag = b"salus/seal/one-shot/1"
    derived = HKDF(hashes.SHA256(), 32, b"", bytes((len(tag),)) + tag).derive(key)
    return AESGCM(derived).decrypt(sealed[42:54], sealed[54:], sealed[:42] + associated)


def test_a_record_opens_by_the_page_alone(sample: SampleVault) -> None:
    """Root from the key file, then key by key down to the content, with nothing of `salus.vault`."""
    made = deposit("r", "record", SMALL)
    answer = sample.vault.deposit(made)
    root = Path(sample.roots.places[0]).read_bytes()[len(b"salus epoch root 1\n") + 8 :][:32]
    with sample.database.reading() as connection:
        key = connection.execute(select(schema.keys)).mappings().one()
        slot = connection.execute(select(schema.slots)).mappings().one()
        row = connection.execute(select(schema.records)).mappings().one()
        sealed = connection.execute(select(schema.objects.c.sealed)).scalar_one()
    bound = key["relationship"], be8(key["generation"]), be8(key["number"]), key["patient_key"], key["patient_slot"]
    relationship_key = unwrap(root, key["wrapped_key"], tagged("salus/vault/relationship-key/1", *bound))
    record = row["record_id"], be8(row["version"]), row["relationship"]
    data_key = unwrap(relationship_key, slot["slot"], tagged("salus/vault/slot/1", *record))
    metadata_key = unwrap(relationship_key, slot["metadata_slot"], tagged("salus/vault/metadata-slot/1", *record))
    rest = row["associated"], row["sealed_root"], row["content_root"], be8(row["size_bytes"]), row["segment_hashes"]
    place = bytes((row["place"],)), row["object_name"].encode()
    opened = open_one_shot(metadata_key, row["sealed_metadata"], tagged("salus/vault/record/1", *record, *rest, *place))
    assert opened == answer.content_salt + made.metadata
    assert open_one_shot(data_key, sealed, row["associated"]) == made.content
