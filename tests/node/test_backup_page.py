"""Backups are read by what docs/spec/vault.md says of them, without a line of ours."""

import hashlib
import re
import zlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import insert

from salus.crypto.hashing import tag_prefix, tagged
from salus.node import documents, schema
from salus.node.documents import Kind
from salus.node.notices import Notice, NoticeKind, note
from salus.node.services.anchor import anchor
from salus.node.services.backup import back_up_data, back_up_keys
from tests.conftest import ROOT
from tests.node.one_day import Day

pytestmark = pytest.mark.promise("P5")

WHOLE = (ROOT / "docs" / "spec" / "vault.md").read_text(encoding="utf-8")
PAGE = WHOLE.partition("## Backups")[2]
STATES = {name: int(number) for number, name in re.findall(r"(\d) ([a-z ]+?)[,)]", WHOLE.partition("state (")[2][:120])}


def frames(path: Path, line: bytes) -> list[bytes]:
    whole = path.read_bytes()
    assert whole.startswith(line + b"\n")
    assert whole[-32:] == hashlib.sha256(whole[:-32]).digest()
    found, rest = [], whole[len(line) + 1 : -32]
    while length := int.from_bytes(rest[:4], "big"):
        found.append(rest[4 : 4 + length])
        rest = rest[4 + length :]
    assert rest == bytes(4)
    return found


def decoded(frame: bytes) -> Any:
    return msgspec.msgpack.decode(frame)


def columns(text: str) -> list[str]:
    """The names of a list of columns of the page."""
    return re.findall(r"([a-z_]+)(?: \([^)]*\))?(?:,|\.|$)", text)


def journal(folder: Path, secret: bytes) -> list[list[Any]]:
    name, lines = tagged("salus/journal/line-key/1", secret)[:16], []
    for path in sorted(folder.glob("*.journal")):
        rest = path.read_bytes()
        while rest:
            body = rest[8 : 8 + int.from_bytes(rest[:4], "big")]
            assert zlib.crc32(body) == int.from_bytes(rest[4:8], "big")
            key_name, sealed = decoded(body)
            assert key_name == name
            bound = tag_prefix("salus/journal/line/1") + name
            lines.append(decoded(AESGCM(secret).decrypt(sealed[:12], sealed[12:], bound)))
            rest = rest[8 + len(body) :]
    return lines


def test_a_key_backup_is_what_the_page_says(day: Day, tmp_path: Path) -> None:
    back_up_keys(day.hospital, tmp_path / "keys")
    epoch, *pages = frames(tmp_path / "keys", b"salus key table backup 1")
    assert [type(each) for each in decoded(epoch)] == [int, bytes, int, int]
    keys = [row for page in pages if page[:1] == b"k" for row in decoded(page[1:])]
    slots = [row for page in pages if page[:1] == b"s" for row in decoded(page[1:])]
    assert {page[:1] for page in pages} == {b"k", b"s"}
    assert [(row[0], len(row), len(row[3])) for row in keys] == [(day.ann, 6, 60)]
    assert {(row[2], len(row), len(row[3]), len(row[4])) for row in slots} == {(day.ann, 5, 60, 60)}
    assert slots == sorted(slots, key=lambda row: (row[0], row[1]))


def test_a_data_backup_is_what_the_page_says(long_day: Day, tmp_path: Path) -> None:
    granted = long_day.granted()
    assert len(long_day.receive(granted)) == 2
    anchor(long_day.hospital)
    refused = Notice(NoticeKind.EMERGENCY_REFUSED, 1_750_000_000, long_day.doctor.certificate_id, long_day.ann)
    note(long_day.hospital, refused, name=granted.permit)
    holder = {"pseudonym": long_day.ann, "holder": "A81001", "since_s": 1, "tries": 2, "next_s": 3, "statement": b"s"}
    with long_day.hospital.vault.database.writing() as connection:
        connection.execute(insert(schema.erasures).values(holder))
    place = tmp_path / "data"
    back_up_data(long_day.hospital, long_day.world.folder / "rvj", place)
    assert sorted(each.name for each in place.iterdir()) == ["received", "released", "tables", "vault"]

    record = columns(PAGE.partition("The record row: ")[2].partition("\n")[0])
    rows = [
        (dict(zip(record, row, strict=True)), sealed)
        for row, sealed in map(decoded, frames(place / "vault" / "rows", b"salus vault data backup 1"))
    ]
    assert {row["relationship"] for row, _ in rows} == {long_day.ann}
    beside = [row for row, _ in rows if row["place"] == 2]
    for row in beside:
        file = place / "vault" / "objects" / row["object_name"][:2] / row["object_name"]
        assert file.stat().st_size > row["size_bytes"]
        assert len(row["segment_hashes"]) == 6 * 32
    assert len(beside) == 1
    assert all((row["place"] == 2) == (sealed == b"") for row, sealed in rows)

    tables = {name: columns(text) for name, text in re.findall(r"^\| `(node_\w+)` \| (.*) \|$", PAGE, re.MULTILINE)}
    kept: dict[str, list[dict[str, Any]]] = {}
    for name, page in map(decoded, frames(place / "tables", b"salus node backup 1")):
        kept.setdefault(name, []).extend(dict(zip(tables[name], row, strict=True)) for row in page)
    assert list(kept) == list(tables)
    assert {each["batch_root"] for each in kept["node_entries"]} == {
        each["batch_root"] for each in kept["node_batches"]
    }
    (permit,) = kept["node_permits"]
    assert (permit["permit"], permit["end"], permit["closed"]) == (granted.permit, 1, 0)

    assert kept["node_erasures"] == [holder]
    (notice,) = kept["node_notices"]
    assert list(notice.values()) == [granted.permit, 1, 1_750_000_000, long_day.doctor.certificate_id, long_day.ann]

    secret = documents.find(long_day.hospital.vault, Kind.LINE_KEY, long_day.ann)
    assert secret is not None
    last = journal(place / "released", secret)[-1]
    assert (last[0], last[1], last[2], last[3]) == (granted.permit, 1, long_day.ann, STATES["sent"])
    assert journal(place / "received", secret) == []
