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
from salus.node.config import NODE_FILE, NodeSettings, node_toml, read_node
from salus.node.listen_settings import PortalListen
from salus.portal.verifier.build import FILE_NAME, single_file
from salus.testing.world import HOSPITAL, world
from tests.api.fhir.served import self_signed
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


def asked(address: str, certificate: Path) -> str:
    """What is at an address."""
    trust = ssl.create_default_context(cafile=str(certificate))
    with urllib.request.urlopen(address, context=trust, timeout=10) as came:
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
