"""The vault's tables, and the version of them that a database says it has.

No table holds a plaintext, a name or a number of a person: relationships and records are random bytes (P7).
Byte formats and what binds each column: docs/spec/vault.md.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    insert,
    inspect,
    select,
    text,
)

from salus.vault.errors import Damaged, SchemaNewer

SCHEMA_VERSION: Final = 1
# Any constant will do: it only keeps two starting workers of one PostgreSQL from making the tables at once.
_PREPARE_LOCK: Final = 0x5A1C5


class Bytes(LargeBinary):
    """Bytes, given and taken as they are: both drivers do, and converting each one is a twentieth of a deposit."""

    def bind_processor(self, dialect: Dialect) -> None:
        """Convert nothing."""

    def result_processor(self, dialect: Dialect, coltype: object) -> None:
        """Convert nothing."""


metadata: Final = MetaData()

schema: Final = Table("vault_schema", metadata, Column("version", Integer, primary_key=True, autoincrement=False))

epoch: Final = Table(
    "vault_epoch",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("generation", BigInteger, nullable=False),
    Column("root_check", Bytes, nullable=False),
    Column("renewed_at_s", BigInteger, nullable=False),
    Column("renew_by_s", BigInteger, nullable=False),
)

keys: Final = Table(
    "vault_keys",
    metadata,
    Column("relationship", Bytes, primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("wrapped_key", Bytes, nullable=False),
    Column("patient_key", Bytes, nullable=False),
    Column("patient_slot", Bytes, nullable=False),
)

slots: Final = Table(
    "vault_slots",
    metadata,
    Column("record_id", Bytes, primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("relationship", Bytes, nullable=False, index=True),
    Column("slot", Bytes, nullable=False),
    Column("metadata_slot", Bytes, nullable=False),
)

records: Final = Table(
    "vault_records",
    metadata,
    Column("record_id", Bytes, primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("relationship", Bytes, nullable=False, index=True),
    Column("associated", Bytes, nullable=False),
    Column("sealed_root", Bytes, nullable=False),
    Column("content_root", Bytes, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("segment_hashes", Bytes, nullable=False),
    Column("sealed_metadata", Bytes, nullable=False),
    Column("place", Integer, nullable=False),
    Column("object_name", String(32), nullable=False),
    Column("registered", Integer, nullable=False),
    Column("staged_at_s", BigInteger, nullable=False),
)
Index(
    "vault_records_staged",
    records.c.staged_at_s,
    sqlite_where=records.c.registered == 0,
    postgresql_where=records.c.registered == 0,
)
Index("vault_records_object", records.c.object_name)

objects: Final = Table(
    "vault_objects",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("sealed", Bytes, nullable=False),
)

pending: Final = Table(
    "vault_pending",
    metadata,
    Column("object_name", String(32), primary_key=True),
    Column("since_s", BigInteger, nullable=False, index=True),
)


def prepare(connection: Connection) -> None:
    """Make the tables in a new database, and refuse one of a newer version.

    Raises:
        SchemaNewer: with both versions.
        Damaged: there are tables but no version.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _PREPARE_LOCK})
    if not inspect(connection).has_table(schema.name):
        metadata.create_all(connection)
        connection.execute(insert(schema).values(version=SCHEMA_VERSION))
    found = connection.scalar(select(schema.c.version))
    if found is None:
        raise Damaged(schema.name, "the table of the schema version is empty: restore the database")
    if found > SCHEMA_VERSION:
        raise SchemaNewer(
            f"this software reads vault schema {SCHEMA_VERSION}, the database has {found}: install a newer Salus"
        )
