"""The portal serves the verifier page to anybody, with its trust file in it, and nothing of who came."""

from dataclasses import replace
from typing import Any

import pytest
from starlette.testclient import TestClient

from salus.portal.app import VERIFIER, Portal
from salus.portal.settings import PortalSettings
from salus.portal.verifier.build import FILE_NAME, POLICY, served_files, single_file
from tests.portal.verifier.test_checks import FOLDER

TRUST = (FOLDER / "four.trust.json").read_bytes()
SETTINGS = PortalSettings("https://portal.example", trust=lambda: TRUST)


class Bare(Portal):
    """A portal without a node: its routes alone."""

    def __init__(self, settings: PortalSettings) -> None:
        self.settings = settings


def answers(settings: PortalSettings) -> dict[str, Any]:
    client = TestClient(Bare(settings).app(), base_url=settings.origin)
    names = [VERIFIER, *(f"{VERIFIER}{each.name}" for each in served_files()[1:])]
    return {name: client.get(name) for name in names}


@pytest.mark.promise("L5")
def test_the_page_and_the_file_begin_with_the_portals_trust() -> None:
    came = answers(SETTINGS)
    assert {name: each.content for name, each in came.items()} == {
        VERIFIER if each.name == "index.html" else f"{VERIFIER}{each.name}": each.content
        for each in served_files(TRUST)
    }
    assert came[f"{VERIFIER}{FILE_NAME}"].content == single_file(TRUST)
    bare = answers(replace(SETTINGS, trust=bytes))
    assert bare[f"{VERIFIER}{FILE_NAME}"].content == single_file() != single_file(TRUST)


def test_no_answer_sets_a_cookie_or_lets_in_anything_from_elsewhere() -> None:
    for name, each in answers(SETTINGS).items():
        assert (name, each.status_code, "set-cookie" in each.headers) == (name, 200, False)
        assert each.headers["content-security-policy"] == POLICY
        assert each.headers["x-content-type-options"] == "nosniff"
    assert "unsafe" not in POLICY
    assert POLICY.startswith("default-src 'none';")
