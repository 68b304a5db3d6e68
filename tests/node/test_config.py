"""Settings: read once, paths relative to their file, and a mistake named with what to do."""

from pathlib import Path

import msgspec
import pytest

from salus.node import config
from salus.node.config import (
    Bucket,
    LedgerSettings,
    NetworkSettings,
    NodeSettings,
    PersonLimits,
    SettingsUnfit,
    ledger_toml,
    network_toml,
    node_toml,
)
from salus.node.listen_settings import (
    FhirListen,
    Launcher,
    Listen,
    MailRelay,
    PortalListen,
    PushSender,
    SignInProvider,
)

SETTINGS = NodeSettings(
    organisation="RA1",
    genesis="../genesis",
    keys="organisation.keys",
    ledger_folder="../ledger/store",
    ledger_socket="/run/salus/ledger.sock",
    root_keys=("root-a/epoch.root", "/mnt/other/epoch.root"),
    listen=Listen(port=8301, workers=2),
)


def written(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / config.NODE_FILE).write_text(text, encoding="utf-8")
    return folder


def test_what_is_written_is_read_with_paths_made_absolute(tmp_path: Path) -> None:
    found = config.read_node(written(tmp_path / "ra1", node_toml(SETTINGS)))
    assert found.genesis == str(tmp_path / "genesis")
    assert found.keys == str(tmp_path / "ra1" / "organisation.keys")
    assert found.ledger_socket == "/run/salus/ledger.sock"
    assert found.root_keys == (str(tmp_path / "ra1" / "root-a" / "epoch.root"), "/mnt/other/epoch.root")
    assert found.database == f"sqlite:///{tmp_path}/ra1/node.db"
    assert (found.listen, found.limits, found.key_backup) == (SETTINGS.listen, SETTINGS.limits, "")


def test_where_figures_are_read(tmp_path: Path) -> None:
    text = node_toml(SETTINGS).replace("metrics_port = 0", "metrics_port = 9301")
    node = config.read_node(written(tmp_path / "ra1", text))
    (tmp_path / config.LEDGER_FILE).write_text(
        ledger_toml(LedgerSettings("genesis", "keys", "store", "sock", metrics_port=9302)), encoding="utf-8"
    )
    assert (node.metrics_port, config.read_ledger(tmp_path).metrics_port) == (9301, 9302)


def test_what_one_person_may_do(tmp_path: Path) -> None:
    text = node_toml(SETTINGS)
    assert config.read_node(written(tmp_path / "ra1", text)).person_limits == PersonLimits(12, 200, 24)
    fewer = text.replace("emergencies_max = 12", "emergencies_max = 5").replace("window_h = 24", "window_h = 48")
    assert config.read_node(written(tmp_path / "ra1", fewer)).person_limits == PersonLimits(5, 200, 48)
    with pytest.raises(SettingsUnfit, match="emergencies_max"):
        config.read_node(written(tmp_path / "ra1", text.replace("emergencies_max = 12", "emergencies_max = 0")))


def test_a_fhir_server_is_written_as_it_is_read(tmp_path: Path) -> None:
    """`salus network` commands write `node.toml` anew: nothing of another table may get lost or unreadable."""
    outside = SignInProvider("cis2", "CIS2", "https://is", "me", "https://is/a", "https://is/t", "https://is/k")
    both = (outside, msgspec.structs.replace(outside, name="nhs-login", levels=("P5", "P9")))
    fhir = FhirListen(
        "https://fhir.rvj.example/FHIR/R4", needs_request_id=True, providers=both, demanded_profiles=("u",)
    )
    bucket = Bucket("b", "https://s3", "keys.toml")
    folder = written(tmp_path / "ra1", node_toml(msgspec.structs.replace(SETTINGS, fhir=fhir, bucket=bucket)))
    found = config.read_node(folder)
    assert (found.fhir, found.bucket and found.bucket.name) == (fhir, "b")


def test_a_portal_is_written_as_it_is_read(tmp_path: Path) -> None:
    fhir = FhirListen("https://fhir.rvj.example/FHIR/R4")
    outside = SignInProvider("cis2", "CIS2", "https://is", "me", "https://is/a", "https://is/t", "https://is/k")
    launcher = Launcher(**msgspec.structs.asdict(outside) | {"scope": "launch"}, fhir="https://is/r")
    portal = PortalListen(
        "https://records.rvj.example",
        service_name="Our records",
        providers=(outside,),
        launchers=(launcher,),
        mail=MailRelay("smtp.rvj.example", "no-reply@rvj.example", name="portal", secret="/etc/mail.password"),
        push=PushSender("mailto:it@rvj.example", key="/etc/push.key"),
    )
    text = node_toml(msgspec.structs.replace(SETTINGS, fhir=fhir, portal=portal))
    assert config.read_node(written(tmp_path / "ra1", text)).portal == portal


@pytest.mark.parametrize(
    ("fhir", "portal", "words"),
    [
        (None, PortalListen("https://r.example"), r"expected \[fhir\] beside \[portal\]"),
        ("https://f.example/R4", PortalListen("http://r.example"), "expected origin = https"),
        ("https://f.example/R4", PortalListen("http://localhost.example"), "expected origin = https"),
        ("https://f.example/R4", PortalListen("http://localhost:8", host="10.0.0.1"), "expected origin = https"),
        ("https://f.example/R4", PortalListen("https://"), "expected origin = https"),
        ("https://f.example/R4", PortalListen("http://localhost:8", signer="http://k.example"), "expected signer = "),
        ("https://f.example/R4", PortalListen("https://r.example", signer="http://k.localhost"), "expected signer = "),
        ("https://f.example/R4", PortalListen("https://r.example/"), "without a path"),
        ("https://f.example/R4", PortalListen("https://r.example", host="10.0.0.1"), "expected certificate and key"),
        (
            "https://f.example/R4",
            PortalListen("https://r.example", mail=MailRelay("smtp.example", "a@b.example", starttls=False)),
            "expected starttls",
        ),
    ],
)
def test_a_portal_that_cannot_be_served_is_refused(
    tmp_path: Path, fhir: str | None, portal: PortalListen, words: str
) -> None:
    with_both = msgspec.structs.replace(SETTINGS, fhir=FhirListen(fhir) if fhir else None, portal=portal)
    with pytest.raises(SettingsUnfit, match=words):
        config.read_node(written(tmp_path / "ra1", node_toml(with_both)))


@pytest.mark.parametrize("changed", [{"name": "other"}, {"fhir": "https://is/other"}])
def test_launchers_are_told_apart_by_name_and_by_address(tmp_path: Path, changed: dict[str, str]) -> None:
    one = Launcher(
        "ehr", "EHR", "https://is", "me", "https://is/a", "https://is/t", "https://is/k", fhir="https://is/r"
    )
    both = (one, msgspec.structs.replace(one, **changed))
    portal = PortalListen("https://r.example", launchers=both)
    text = node_toml(msgspec.structs.replace(SETTINGS, fhir=FhirListen("https://f.example/R4"), portal=portal))
    with pytest.raises(SettingsUnfit, match="another name and another fhir"):
        config.read_node(written(tmp_path / "ra1", text))


def test_a_portal_on_ones_own_machine_has_its_signer_there(tmp_path: Path) -> None:
    portal = PortalListen("http://localhost:8", signer="http://keys.localhost:9")
    with_both = msgspec.structs.replace(SETTINGS, fhir=FhirListen("https://f.example/R4"), portal=portal)
    assert config.read_node(written(tmp_path / "ra1", node_toml(with_both))).portal == portal


def test_other_databases_and_stores(tmp_path: Path) -> None:
    bucket = '\n[bucket]\nname = "records"\nendpoint = "https://s3.example"\ncredentials = "s3.toml"\n'
    text = node_toml(SETTINGS).replace("sqlite:///node.db", "postgresql+psycopg://salus@db/ra1") + bucket
    found = config.read_node(written(tmp_path / "ra1", text))
    assert found.database == "postgresql+psycopg://salus@db/ra1"
    assert found.bucket == Bucket("records", "https://s3.example", str(tmp_path / "ra1" / "s3.toml"))


def test_ledger_and_network(tmp_path: Path) -> None:
    ledger = LedgerSettings(genesis="../genesis", keys="../ra1/organisation.keys", folder="store", socket="../l.sock")
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / config.LEDGER_FILE).write_text(ledger_toml(ledger), encoding="utf-8")
    (tmp_path / config.NETWORK_FILE).write_text(network_toml(NetworkSettings("ledger", ("ra1", "a81001"))), "utf-8")
    assert config.read_ledger(tmp_path / "ledger").socket == str(tmp_path / "l.sock")
    assert config.read_network(tmp_path).nodes == (str(tmp_path / "ra1"), str(tmp_path / "a81001"))
    assert config.is_network(tmp_path)
    assert config.is_ledger(tmp_path / "ledger")
    assert not config.is_node(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("organisation = ", "organization = ", "does not say what it must"),
        ('"RA1"', '"ra1"', "does not say what it must"),
        ("port = 8301", "port = 83010", "does not say what it must"),
        ("workers = 2", "workers = 0", "does not say what it must"),
        ("[listen]", "[listen", "does not say what it must"),
        ("sqlite:///node.db", "mysql://x", "expected database = sqlite"),
        ("sqlite:///node.db", "sqlite:///", "expected database = sqlite"),
    ],
)
def test_what_no_settings_are(old: str, new: str, words: str, tmp_path: Path) -> None:
    text = node_toml(SETTINGS)
    assert old in text
    with pytest.raises(SettingsUnfit, match=words):
        config.read_node(written(tmp_path / "ra1", text.replace(old, new, 1)))


def test_no_settings_and_no_genesis(tmp_path: Path) -> None:
    with pytest.raises(SettingsUnfit, match="name the folder that has them"):
        config.read_node(tmp_path)
    (tmp_path / "genesis").write_bytes(b"nothing")
    with pytest.raises(SettingsUnfit, match="get it again from a member"):
        config.read_genesis(tmp_path / "genesis")


def test_a_secret_is_its_owners_only(tmp_path: Path) -> None:
    file = tmp_path / "provider.secret"
    with pytest.raises(SettingsUnfit, match="write it there"):
        config.read_secret(file)
    file.write_text("a secret\n")
    file.chmod(0o640)
    with pytest.raises(SettingsUnfit, match="chmod 600"):
        config.read_secret(file)
    file.chmod(0o600)
    assert config.read_secret(file) == "a secret"
