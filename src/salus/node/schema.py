"""The node's own tables beside the vault's: where things are, never what they say.

Index entries with their paths, batches that wait for the ledger, and the identity map. No row of these holds a name, a
number or a record's content; the map's key is a keyed hash, and it is never backed up (DESIGN §3). The search index
(`resources`, `tokens`, `texts`, `ranges`) holds words and dates of records: never backed up, gone with an erasure.
"""

from typing import Final

from sqlalchemy import BigInteger, Column, Connection, Double, Index, Integer, MetaData, String, Table, inspect, select

from salus.vault.schema import Bytes

SCHEMA_VERSION: Final = 1
metadata: Final = MetaData()

schema: Final = Table("node_schema", metadata, Column("version", Integer, primary_key=True, autoincrement=False))

entries: Final = Table(
    "node_entries",
    metadata,
    Column("record_id", Bytes, primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("pseudonym", Bytes, nullable=False, index=True),
    Column("batch_root", Bytes, nullable=False, index=True),
    Column("placed", Bytes, nullable=False),
)

batches: Final = Table(
    "node_batches",
    metadata,
    Column("pseudonym", Bytes, primary_key=True),
    Column("batch_root", Bytes, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("committed", Integer, nullable=False, index=True),
    Column("kept_at_s", BigInteger, nullable=False),
)

identities: Final = Table(
    "node_identities",
    metadata,
    Column("lookup", Bytes, primary_key=True),
    Column("evidence", Bytes, nullable=False),
    Column("pseudonym", Bytes, nullable=False, index=True),
)

enrolments: Final = Table(
    "node_enrolments",
    metadata,
    Column("lookup", Bytes, primary_key=True),
    Column("pseudonym", Bytes, nullable=False),
)
"""Who is being enrolled under which pseudonym; a row goes when the person is in the identity map."""

permits: Final = Table(
    "node_permits",
    metadata,
    Column("permit", Bytes, primary_key=True),
    Column("end", Integer, primary_key=True, autoincrement=False),
    Column("pseudonym", Bytes, nullable=False, index=True),
    Column("counterpart", String(12), nullable=False),
    Column("until_s", BigInteger, nullable=False),
    Column("anchored_as", Bytes, nullable=False),
    Column("anchored_root", Bytes, nullable=False),
    Column("closed", Integer, nullable=False, index=True),
)
"""`closed`: 0 open, 1 closed on the ledger, 2 being closed: nothing more leaves or is opened under it."""

OPEN: Final = 0
CLOSED: Final = 1
CLOSING: Final = 2

looks: Final = Table(
    "node_looks",
    metadata,
    Column("pseudonym", Bytes, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at_s", BigInteger, nullable=False),
    Column("kind", Integer, nullable=False),
    Column("requester", String(12), nullable=False),
    Column("role_class", Integer, nullable=False),
    Column("purpose", Integer, nullable=False),
    Column("verb", Integer, nullable=False),
    Column("reason", Integer, nullable=False),
    Column("broke_glass", Integer, nullable=False),
    Column("name", Bytes, nullable=False),
    Column("person", Bytes),
    Column("is_helper", Integer, nullable=False),
    Index("node_looks_at", "at_s"),
)
"""Who asked for a patient's records, as the ledger has it; `person` is a keyed hash, and NULL until it is known."""

take_overs: Final = Table(
    "node_take_overs",
    metadata,
    Column("pseudonym", Bytes, primary_key=True),
)
"""Relationships that are being handed to their patients; a row goes when the key that was held here is destroyed."""

erasures: Final = Table(
    "node_erasures",
    metadata,
    Column("pseudonym", Bytes, primary_key=True),
    Column("holder", String(12), primary_key=True),
    Column("since_s", BigInteger, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_s", BigInteger, nullable=False, index=True),
    Column("statement", Bytes, nullable=False),
)
"""Who owes the custodian a statement of an erasure, or has given it; and, at a holder, what it has erased itself."""

NEVER_S: Final = 1 << 40
"""`next_s` of a row about which nobody is asked any more."""

tallies: Final = Table(
    "node_tallies",
    metadata,
    Column("tally", Integer, primary_key=True, autoincrement=False),
    Column("who", Bytes, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("what", Bytes, nullable=False),
    Column("at_s", BigInteger, nullable=False, index=True),
)
"""What is counted of whom; `number` keeps two workers from counting past each other. Ids and keyed hashes of ours."""

notices: Final = Table(
    "node_notices",
    metadata,
    Column("name", Bytes, primary_key=True),
    Column("notice", Integer, nullable=False),
    Column("at_s", BigInteger, nullable=False, index=True),
    Column("certificate", Bytes, nullable=False),
    Column("pseudonym", Bytes, nullable=False, index=True),
)
"""What is noted for the privacy officer; `pseudonym` is empty where it is about no patient."""

resources: Final = Table(
    "node_resources",
    metadata,
    Column("row", Integer, primary_key=True),
    Column("record_id", Bytes, nullable=False, unique=True),
    Column("version", BigInteger, nullable=False),
    Column("pseudonym", Bytes, nullable=False),
    Column("type", String(64), nullable=False),
    Column("logical_id", String(64), nullable=False),
    Column("reference", Bytes, nullable=False),
    Column("updated_s", BigInteger, nullable=False),
    Column("deleted", Integer, nullable=False),
    Index("node_resources_by_id", "logical_id", "type"),
    Index("node_resources_by_person", "pseudonym", "type"),
    Index("node_resources_by_type", "type", "updated_s"),
)
"""The newest version of each resource, for interfaces that name it by type and id.

`pseudonym` is empty where it is about no patient; `reference` is the hash by which others refer to it, as in `tokens`;
`deleted` is 1 where the newest version says that it is gone.
"""

tokens: Final = Table(
    "node_tokens",
    metadata,
    Column("row", Integer, nullable=False, index=True),
    Column("parameter", Integer, nullable=False),
    Column("part", Integer, nullable=False),
    Column("value", Bytes, nullable=False),
    Index("node_tokens_by_value", "parameter", "value", "row"),
)
"""What a resource is found by where only equality counts: keyed hashes of codes, identifiers, references, addresses.

`part` keeps together what stands in one repetition of an element.
"""

texts: Final = Table(
    "node_texts",
    metadata,
    Column("row", Integer, nullable=False, index=True),
    Column("parameter", Integer, nullable=False),
    Column("text", String, nullable=False),
    Index("node_texts_by_text", "parameter", "text", "row"),
)
"""Words that a resource is found by, without case and accents: names, addresses, titles."""

ranges: Final = Table(
    "node_ranges",
    metadata,
    Column("row", Integer, nullable=False, index=True),
    Column("parameter", Integer, nullable=False),
    Column("part", Integer, nullable=False),
    Column("unit", Bytes, nullable=False),
    Column("low", Double, nullable=False),
    Column("high", Double, nullable=False),
    Index("node_ranges_by_low", "parameter", "low", "row"),
)
"""Times (milliseconds since 1970), numbers and quantities as the interval that their precision leaves open."""

apps: Final = Table(
    "node_apps",
    metadata,
    Column("lookup", Bytes, primary_key=True),
    Column("sealed", Bytes, nullable=False),
)
"""Programs of others that may use this node's interfaces; `lookup` is a keyed hash of the id."""

accounts: Final = Table(
    "node_accounts",
    metadata,
    Column("account", Bytes, primary_key=True),
    Column("pseudonym", Bytes, nullable=False, index=True),
    Column("sealed", Bytes, nullable=False),
)
"""Who may sign in here; `pseudonym` is empty where it is nobody's of a patient, and the row goes with an erasure."""

sign_ins: Final = Table(
    "node_sign_ins",
    metadata,
    Column("lookup", Bytes, primary_key=True),
    Column("account", Bytes, nullable=False, index=True),
    Column("pseudonym", Bytes, nullable=False, index=True),
)
"""By what an account is found: keyed hashes of a local name, or of issuer and subject of an outside provider."""

helped: Final = Table(
    "node_helped",
    metadata,
    Column("account", Bytes, primary_key=True),
    Column("pseudonym", Bytes, nullable=False, index=True),
    Column("helper", Bytes, nullable=False, index=True),
)
"""Who took a delegate's account up: `helper` is a keyed hash of the account in which they sign in."""

recovery_shares: Final = Table(
    "node_recovery_shares",
    metadata,
    Column("lookup", Bytes, primary_key=True),
    Column("pseudonym", Bytes, nullable=False, index=True),
    Column("at_s", BigInteger, nullable=False),
    Column("sealed", Bytes, nullable=False),
)
"""What this member keeps for patients' recoveries, by keyed hashes of their pseudonyms; `at_s` is when it was made."""

grants: Final = Table(
    "node_grants",
    metadata,
    Column("grant", Bytes, primary_key=True),
    Column("app", Bytes, nullable=False, index=True),
    Column("account", Bytes, nullable=False, index=True),
    Column("pseudonym", Bytes, nullable=False, index=True),
    Column("ended", Integer, nullable=False),
    Column("until_s", BigInteger, nullable=False, index=True),
    Column("sealed", Bytes, nullable=False),
)
"""What accounts let apps do: each a family of codes and tokens, which end with it."""

bearers: Final = Table(
    "node_bearers",
    metadata,
    Column("lookup", Bytes, primary_key=True),
    Column("kind", Integer, nullable=False),
    Column("grant", Bytes, nullable=False, index=True),
    Column("pseudonym", Bytes, nullable=False, index=True),
    Column("used", Integer, nullable=False),
    Column("until_s", BigInteger, nullable=False, index=True),
    Column("sealed", Bytes, nullable=False),
)
"""Codes, tokens and cookies by keyed hashes of them; `used` is 1 where a second use is an attack."""

passkeys: Final = Table(
    "node_passkeys",
    metadata,
    Column("lookup", Bytes, primary_key=True),
    Column("account", Bytes, nullable=False, index=True),
    Column("pseudonym", Bytes, nullable=False, index=True),
    Column("sealed", Bytes, nullable=False),
)
"""Passkeys by which accounts sign in to the portal, by keyed hashes of their ids."""

collected: Final = Table(
    "node_collected",
    metadata,
    Column("collection", Bytes, primary_key=True),
    Column("custodian", String(32), primary_key=True),
    Column("pseudonym", Bytes, nullable=False, index=True),
    Column("until_s", BigInteger, nullable=False, index=True),
    Column("sealed", Bytes, nullable=False),
)
"""What other custodians answered about a person while somebody looks; gone when they stop, or with the permit."""

jobs: Final = Table(
    "node_jobs",
    metadata,
    Column("job", Bytes, primary_key=True),
    Column("owner", Bytes, nullable=False, index=True),
    Column("round", BigInteger, nullable=False),
    Column("until_s", BigInteger, nullable=False, index=True),
    Column("sealed", Bytes, nullable=False),
)
"""Long work of clients by keyed hashes of its names; `round` keeps two who go on with it from doing it twice."""

job_parts: Final = Table(
    "node_job_parts",
    metadata,
    Column("job", Bytes, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("sealed", Bytes, nullable=False),
)
"""What a job has made, or has still to do, in numbered parts; they go with it."""

subscriptions: Final = Table(
    "node_subscriptions",
    metadata,
    Column("subscription", Bytes, primary_key=True),
    Column("owner", Bytes, nullable=False, index=True),
    Column("pseudonym", Bytes, nullable=False, index=True),
    Column("status", Integer, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("updated_s", BigInteger, nullable=False),
    Column("until_s", BigInteger, nullable=False),
    Column("told", BigInteger, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_s", BigInteger, nullable=False, index=True),
    Column("leased_until_s", BigInteger, nullable=False),
    Column("error", String(32), nullable=False),
    Column("sealed", Bytes, nullable=False),
)
"""What clients are told of when it changes; `told` counts events, `next_s` is when to try again or to say it lives.

`owner` is a keyed hash of app and account; `pseudonym` is empty where it is not bound to one patient.
"""

OFF: Final = 3
"""`status` of a subscription that is told nothing."""

subscription_bindings: Final = Table(
    "node_subscription_bindings",
    metadata,
    Column("subscription", Bytes, primary_key=True),
    Column("socket", Bytes, nullable=False, index=True),
    Column("until_s", BigInteger, nullable=False),
)
"""One row for each subscription that is told over a websocket: which one, and until when unless that is renewed."""

changes: Final = Table(
    "node_changes",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("record_id", Bytes, nullable=False),
    Column("version", BigInteger, nullable=False),
)
"""Record versions that were placed while anybody subscribed, until it is found out to whom they matter."""

subscription_events: Final = Table(
    "node_subscription_events",
    metadata,
    Column("place", Integer, primary_key=True),
    Column("subscription", Bytes, nullable=False, index=True),
    Column("pseudonym", Bytes, nullable=False, index=True),
    Column("record_id", Bytes, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("at_s", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("told_s", BigInteger, nullable=False),
)
"""What a subscription is told: `number` is 0 until it is first sent, `told_s` is 0 until it was received."""

subscription_attempts: Final = Table(
    "node_subscription_attempts",
    metadata,
    Column("attempt", Integer, primary_key=True),
    Column("subscription", Bytes, nullable=False, index=True),
    Column("at_s", BigInteger, nullable=False, index=True),
    Column("kind", String(20), nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("outcome", String(32), nullable=False),
)
"""The log of deliveries: numbers of events, and what came of it: `received`, a status, or the step that failed."""

cursors: Final = Table(
    "node_cursors",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("position", BigInteger, nullable=False),
)

roster_members: Final = Table(
    "node_roster_members",
    metadata,
    Column("list", Bytes, primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("member", Bytes, nullable=False, index=True),
    Column("pseudonym", Bytes, nullable=False, index=True),
    Column("sealed", Bytes, nullable=False),
)
"""Who is on a roster, each under their own pseudonym; `list` and `member` are hashes of references, as in `tokens`.

A row of place 0 names nobody: it says that a Group is a roster, whoever is left on it.
"""

messages: Final = Table(
    "node_messages",
    metadata,
    Column("lookup", Bytes, primary_key=True),
    Column("until_s", BigInteger, nullable=False, index=True),
    Column("sealed", Bytes, nullable=False),
)
"""Messages that were processed, by a keyed hash of sender and id, with what was answered."""


health_links: Final = Table(
    "node_health_links",
    metadata,
    Column("link", Bytes, primary_key=True),
    Column("lookup", Bytes, nullable=False, unique=True),
    Column("pseudonym", Bytes, nullable=False, index=True),
    Column("tries_left", Integer, nullable=False),
    Column("ended", Integer, nullable=False),
    Column("until_s", BigInteger, nullable=False),
    Column("sealed", Bytes, nullable=False),
)
"""Links that patients gave out, by keyed hashes of their addresses; `ended` is 0 while nobody has ended one."""

health_link_uses: Final = Table(
    "node_health_link_uses",
    metadata,
    Column("name", Bytes, primary_key=True),
    Column("link", Bytes, nullable=False, index=True),
    Column("pseudonym", Bytes, nullable=False, index=True),
    Column("at_s", BigInteger, nullable=False),
    Column("sealed", Bytes, nullable=False),
)
"""Who opened a link, or tried to; as many rows as it has tries and openings, at the most."""

signing_devices: Final = Table(
    "node_signing_devices",
    metadata,
    Column("device", Bytes, primary_key=True),
    Column("account", Bytes, nullable=False, index=True),
    Column("pseudonym", Bytes, nullable=False, index=True),
    Column("sealed", Bytes, nullable=False),
)
"""Patients' own devices with their wrapped wallets, by keyed hashes of their ids."""

signing_shares: Final = Table(
    "node_signing_shares",
    metadata,
    Column("device", Bytes, primary_key=True),
    Column("account", Bytes, nullable=False, index=True),
    Column("pseudonym", Bytes, nullable=False, index=True),
    Column("until_s", BigInteger, nullable=False, index=True),
    Column("sealed", Bytes, nullable=False),
)
"""What a device's wallet needs besides its passkey, under another key than the wallets; `until_s` while it is made."""

signings: Final = Table(
    "node_signings",
    metadata,
    Column("lookup", Bytes, primary_key=True),
    Column("session", Bytes, nullable=False, index=True),
    Column("pseudonym", Bytes, nullable=False, index=True),
    Column("stage", Integer, nullable=False),
    Column("until_s", BigInteger, nullable=False, index=True),
    Column("sealed", Bytes, nullable=False),
    Column("answer", Bytes, nullable=False),
)
"""What the signer page was asked, by keyed hashes of the ids: `stage` is 0 until it is fetched, 2 once answered."""

patient_notices: Final = Table(
    "node_patient_notices",
    metadata,
    Column("leaf", BigInteger, primary_key=True, autoincrement=False),
    Column("pseudonym", Bytes, nullable=False, index=True),
    Column("kind", Integer, nullable=False),
    Column("at_s", BigInteger, nullable=False),
    Column("read", Integer, nullable=False),
)
"""What patients who can sign in here are told of: places of leaves in the log, and of which kind each is."""

wishes: Final = Table(
    "node_wishes",
    metadata,
    Column("pseudonym", Bytes, primary_key=True),
    Column("due_s", BigInteger, nullable=False, index=True),
    Column("sealed", Bytes, nullable=False),
)
"""How a patient wants to be told, and what pages show; `due_s` is when to tell them that there is a notice."""


class SchemaNewer(Exception):
    """The database was written by a newer version of Salus."""


def prepare(connection: Connection) -> None:
    """Make the tables in a new database, and those that came later in an older one; raises SchemaNewer."""
    if not inspect(connection).has_table(schema.name):
        metadata.create_all(connection)
        connection.execute(schema.insert().values(version=SCHEMA_VERSION))
    found = connection.scalar(select(schema.c.version))
    if found is not None and found > SCHEMA_VERSION:
        raise SchemaNewer(f"this software reads node schema {SCHEMA_VERSION}, the database has {found}: upgrade Salus")
    metadata.create_all(connection)
