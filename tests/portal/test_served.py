"""The portal beside a node, as `salus serve` runs it; and what docs/portal.md says."""

from __future__ import annotations

import contextlib
import re
import ssl
import urllib.request
from pathlib import Path

import pytest

from salus.api.exchange.serve import listen
from salus.cli.portal_serving import both, portal_beside
from salus.node.assemble import Node
from salus.node.config import NODE_FILE, NodeSettings, SettingsUnfit, node_toml, read_node
from salus.node.listen_settings import MailRelay, PortalListen, PushSender
from salus.node.services.wishes import MailWay, Wishes, change
from salus.portal.verifier.build import FILE_NAME, single_file
from salus.testing.world import HOSPITAL, world
from tests.api.fhir.served import self_signed
from tests.portal.mail_server import NAME, PASSWORD, mail_server
from tests.portal.portal_world import emergency, portal
from tools.source_tree import ROOT

TRUST = ROOT / "tests/sdk/vectors/embedded.trust.json"
PAGE = (ROOT / "docs/portal.md").read_text(encoding="utf-8")


@pytest.mark.services
def test_it_answers_beside_something_else(tmp_path: Path) -> None:
    began: list[str] = []

    @contextlib.contextmanager
    def other(node: Node, _on_failure: object):
        began.append(node.organisation)
        yield

    certificate, key = self_signed(tmp_path)
    theme = tmp_path / "theme.css"
    theme.write_text("header { background: green; }")
    with world(tmp_path, organisations=(HOSPITAL,), has_index=True) as made, listen("127.0.0.1", 0) as listener:
        origin = f"https://127.0.0.1:{listener.getsockname()[1]}"
        tls = {"certificate": str(certificate), "key": str(key)}
        place = PortalListen(origin, **tls, theme=str(theme), trust=str(TRUST), service_name="Ours")
        with both(other, portal_beside(place, listener))(made.hospital, lambda: None):
            paths = ("/sign-in", "/theme.css", f"/check/{FILE_NAME}")
            page, style, verifier = (asked(origin + path, certificate) for path in paths)
    assert began == [HOSPITAL]
    assert "Sign in - Ours" in page
    assert style == theme.read_text()
    assert verifier == single_file(TRUST.read_bytes()).decode()


@pytest.mark.services
def test_it_tells_patients_by_the_ways_that_are_set(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    (tmp_path / "mail.password").write_text(f"{PASSWORD}\n")
    (tmp_path / "mail.password").chmod(0o600)
    push = PushSender("mailto:it@hospital.example", key=str(tmp_path / "push.key"))
    with mail_server(certificate, key) as server, portal(tmp_path) as here, listen("127.0.0.1", 0) as listener:
        secret = {"secret": str(tmp_path / "mail.password"), "authorities": str(certificate)}
        mail = MailRelay("127.0.0.1", "no-reply@hospital.example", port=server.port, name=NAME, **secret)
        origin = f"https://127.0.0.1:{listener.getsockname()[1]}"
        place = PortalListen(origin, certificate=str(certificate), key=str(key), mail=mail, push=push)
        telling = here.portal.telling
        way = MailWay("eleanor@mail.example")
        with portal_beside(place, listener)(here.node, lambda: None):
            change(here.node, here.portal._rows, here.patient, lambda _: Wishes(mail=(way,)))
            emergency(here)
            assert server.next()["to"] == "eleanor@mail.example"
            assert "showNotification" in asked(f"{origin}/push.js", certificate)
        assert telling.wishes(here.patient).number == 1
    assert (tmp_path / "push.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "no key"])
def test_a_key_for_browsers_that_is_none_is_said_at_the_start(tmp_path: Path, text: str) -> None:
    (tmp_path / "push.key").write_text(text)
    (tmp_path / "push.key").chmod(0o600)
    place = PortalListen("https://portal.example", push=PushSender("mailto:a@b.example", str(tmp_path / "push.key")))
    with listen("127.0.0.1", 0) as listener, pytest.raises(SettingsUnfit, match="take it away"):
        portal_beside(place, listener)


def asked(address: str, certificate: Path) -> str:
    """What is at an address."""
    trust = ssl.create_default_context(cafile=str(certificate))
    with urllib.request.urlopen(address, context=trust, timeout=60) as came:
        return str(came.read().decode())


def test_the_settings_of_the_page_are_read(tmp_path: Path) -> None:
    said = "\n".join(re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
    own = NodeSettings("RA1", "genesis", "keys", "ledger", "socket", ("a", "b"))
    (tmp_path / NODE_FILE).write_text(f"{node_toml(own)}\n{said}", encoding="utf-8")
    found = read_node(tmp_path).portal
    assert found is not None
    assert (found.origin, found.port, found.service_name) == (
        "https://records.example.nhs.uk",
        8444,
        "My health record",
    )
    assert [each.fhir for each in found.launchers] == ["https://ehr.riverside.example/fhir"]


def test_every_setting_is_on_the_page() -> None:
    said = set(re.findall(r"`(\w+)`", PAGE.split("| setting |")[1].split("\n\n")[0]))
    assert said == set(PortalListen.__struct_fields__)
