"""Opening what settings describe: the same node on SQLite and a folder, and on PostgreSQL and an S3 bucket."""

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from salus.clinical.fhir import Bundle, Entry, parse, patient_chart
from salus.engines.embedded import EmbeddedEngine
from salus.importers.charts import chart_of
from salus.importers.filing import file_chart
from salus.ledger.identifiers import OrganisationId
from salus.node import config
from salus.node.config import Bucket, NodeSettings, SettingsUnfit
from salus.node.founding import Founded, Member, found
from salus.node.fsck import check_node
from salus.node.keys import KeysUnfit
from salus.node.opening import open_ledger, open_node, open_objects, unix_now_s
from salus.testing.population import HOSPITAL, story_patient
from tests.vault.conftest import running_postgres
from tests.vault.servers import KEYS, S3Server

CODE = OrganisationId("RZ1")


@pytest.fixture
def founded(tmp_path: Path) -> Founded:
    members = [Member(CODE, "hospital", "A hospital", 0), Member(OrganisationId("A81001"), "practice", "A practice", 0)]
    return found(tmp_path / "net", members, chain="salus-opening", time_s=unix_now_s())


@pytest.fixture
def engine(founded: Founded) -> Iterator[EmbeddedEngine]:
    opened = open_ledger(config.read_ledger(founded.folder / "ledger"))
    yield opened
    opened.close()


def change(folder: Path, **changed: object) -> NodeSettings:
    """Write a node's settings anew, with some of them changed."""
    settings = msgspec.structs.replace(config.read_node(folder), **changed)
    text = config.node_toml(msgspec.structs.replace(settings, bucket=None))
    if settings.bucket is not None:
        named = msgspec.structs.asdict(settings.bucket)
        text += "\n[bucket]\n" + "\n".join(f'{name} = "{value}"' for name, value in named.items()) + "\n"
    (folder / config.NODE_FILE).write_text(text, encoding="utf-8")
    return settings


def load_twice(founded: Founded, engine: EmbeddedEngine) -> None:
    """File a chart, close the node, open it again: everything is there, and nothing is new."""
    folder = founded.nodes[CODE]
    chart = story_patient(1).chart_at(HOSPITAL.ods)
    assert chart is not None
    subject = {"reference": f"Patient/{chart.patient_id}"}
    large = {"resourceType": "Observation", "id": "large", "subject": subject, "note": [{"text": "x" * 100_000}]}
    bodies = (*chart.resources, json.dumps(large).encode())
    entries = tuple(Entry(None, parse(body), str(n)) for n, body in enumerate(bodies))
    whole = chart_of("story", patient_chart(Bundle("collection", entries)))
    for expected in ((len(entries), 0), (0, len(entries))):
        with open_node(folder, engine=engine) as node:
            filed = file_chart(node, whole)
            assert (filed.new_count, filed.known_count) == expected
            assert list(check_node(node, folder)) == []
            assert len(list(node.vault.objects.names())) == 1


def test_sqlite_and_a_folder(founded: Founded, engine: EmbeddedEngine) -> None:
    load_twice(founded, engine)


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[tuple[S3Server, Path]]:
    server = S3Server()
    credentials = tmp_path / "s3.toml"
    credentials.write_text(f'access_key = "{KEYS["access_key"]}"\nsecret_key = "{KEYS["secret_key"]}"\n', "utf-8")
    credentials.chmod(0o600)
    yield server, credentials
    server.stop()


@pytest.mark.services
def test_postgresql_and_a_bucket(founded: Founded, engine: EmbeddedEngine, s3: tuple[S3Server, Path]) -> None:
    server, credentials = s3
    for postgres in running_postgres(15):
        bucket = Bucket(server.new_bucket(), server.endpoint, str(credentials), KEYS["region"])
        change(founded.nodes[CODE], database=postgres.new_database(), bucket=bucket)
        load_twice(founded, engine)


def test_a_bucket_needs_its_credentials_for_its_owner_alone(founded: Founded, tmp_path: Path) -> None:
    bucket = Bucket("records", "http://127.0.0.1:1", str(tmp_path / "s3.toml"))
    settings = change(founded.nodes[CODE], bucket=bucket)
    with pytest.raises(SettingsUnfit, match="expected access_key and secret_key"):
        open_objects(settings)
    (tmp_path / "s3.toml").write_text('access_key = "a"\nsecret_key = "b"\n', encoding="utf-8")
    (tmp_path / "s3.toml").chmod(0o644)
    with pytest.raises(SettingsUnfit, match="chmod 600"):
        open_objects(settings)


def test_a_ledger_needs_the_keys_of_a_validator(founded: Founded) -> None:
    settings = config.read_ledger(founded.folder / "ledger")
    other = founded.nodes[OrganisationId("A81001")] / "organisation.keys"
    with pytest.raises(SettingsUnfit, match="expected the keys of the only validator"):
        open_ledger(msgspec.structs.replace(settings, keys=str(other)))


def test_keys_that_others_may_read(founded: Founded, engine: EmbeddedEngine) -> None:
    (founded.nodes[CODE] / "organisation.keys").chmod(0o644)
    with pytest.raises(KeysUnfit, match="chmod 600"), open_node(founded.nodes[CODE], engine=engine):
        pass


def test_settings_of_another_network(founded: Founded, engine: EmbeddedEngine) -> None:
    change(founded.nodes[CODE], organisation="RXX")
    with (
        pytest.raises(SettingsUnfit, match="RXX is not admitted"),
        open_node(founded.nodes[CODE], engine=engine),
    ):
        pass
