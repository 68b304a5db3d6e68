"""Who a caller is said to be: behind something that ends TLS, and by fields that anybody writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import msgspec
import pytest
from sqlalchemy import delete

from salus.api.exchange.serve import listen, uvicorn_config
from salus.api.fhir.serve import running
from salus.node import schema
from salus.node.config import NODE_FILE, NodeSettings, SettingsUnfit, node_toml, read_node
from salus.node.listen_settings import FhirListen, PortalListen
from salus.node.services import accounts as account_service
from tests.portal.portal_world import PASSWORD, TOKEN, Hospital, portal

FIELD = "X-Forwarded-For"
FROM_MAX = 5
pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with portal(tmp_path_factory.mktemp("portal")) as made:
        yield made


@pytest.fixture
def here(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> Hospital:
    """Nobody has tried anything for a while; five tries are many."""
    monkeypatch.setattr(account_service, "TRIES_FROM_MAX", FROM_MAX)
    with hospital.node.vault.database.writing() as connection:
        connection.execute(delete(schema.tallies))
    return hospital


@contextmanager
def served(here: Hospital, field: str) -> Iterator[str]:
    """The portal on this machine, as for something that ends TLS; its address."""
    with listen("127.0.0.1", 0) as listener:
        config = uvicorn_config(here.portal.app(), date_header=True, caller_field=field)
        with running(config, listener, name="portal"):
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def sign_in(place: str, name: str, password: str, *said: str) -> int:
    """Try to sign in; the status. `said` is what stands in each field of who calls."""
    heads = [(FIELD, each) for each in said] + [("forwarded", "for=198.51.100.99"), ("x-real-ip", "198.51.100.99")]
    with httpx2.Client() as client:
        page = client.get(f"{place}/sign-in", headers=heads)
        cookie = page.headers["set-cookie"].partition(";")[0]
        found = TOKEN.search(page.text)
        assert found is not None
        fields = {"form": found.group(1), "name": name, "password": password}
        return client.post(f"{place}/sign-in", data=fields, headers=[*heads, ("cookie", cookie)]).status_code


def guesses(place: str, *said: str) -> list[int]:
    """One try more than there are, each on another name, with `{}` in what is said replaced by another number."""
    return [
        sign_in(place, f"name-{each}", "a common password", *(one.format(each) for one in said))
        for each in range(FROM_MAX + 1)
    ]


SPENT = [400] * FROM_MAX + [429]


def test_one_who_guesses_shuts_nobody_else_out_behind_what_ends_tls(here: Hospital) -> None:
    with served(here, FIELD) as place:
        assert guesses(place, "203.0.113.1") == SPENT
        assert sign_in(place, "eleanor", PASSWORD, "203.0.113.1") == 429
        assert sign_in(place, "eleanor", PASSWORD, "203.0.113.2") == 303


@pytest.mark.parametrize(
    "said",
    [
        ("198.51.100.{}, 203.0.113.1",),
        ("198.51.100.{},203.0.113.1",),
        ("198.51.100.{}", "203.0.113.1"),
        ("198.51.100.{}", "198.51.100.{}, 203.0.113.1"),
        ("198.51.100.{}, not an address",),
        ("198.51.100.{},",),
        ("unknown-{}",),
    ],
    ids=str,
)
def test_who_writes_the_field_themselves_is_nobody_else(here: Hospital, said: tuple[str, ...]) -> None:
    """What ends TLS writes at the end; whatever stands before that, anybody may have written."""
    with served(here, FIELD) as place:
        assert guesses(place, *said) == SPENT


def test_without_the_setting_no_field_is_believed(here: Hospital) -> None:
    with served(here, "") as place:
        assert guesses(place, "203.0.113.{}") == SPENT


TLS = {"host": "10.0.0.1", "certificate": "a.pem", "key": "a.key"}


@pytest.mark.parametrize("table", ["fhir", "portal"])
@pytest.mark.parametrize("changed", [TLS, {"certificate": "a.pem", "key": "a.key"}, {"caller_field": "a b"}])
def test_where_callers_come_by_themselves_no_field_can_be_set(
    tmp_path: Path, table: str, changed: dict[str, str]
) -> None:
    fhir, page = FhirListen("https://f.example/R4"), PortalListen("https://r.example")
    settings = NodeSettings("RA1", "genesis", "keys", "ledger", "socket", ("a", "b"), fhir=fhir, portal=page)
    good = msgspec.structs.replace(getattr(settings, table), caller_field=FIELD)
    (tmp_path / NODE_FILE).write_text(node_toml(msgspec.structs.replace(settings, **{table: good})))
    assert getattr(read_node(tmp_path), table).caller_field == FIELD
    bad = msgspec.structs.replace(good, **changed)
    (tmp_path / NODE_FILE).write_text(node_toml(msgspec.structs.replace(settings, **{table: bad})))
    with pytest.raises(SettingsUnfit, match="caller_field"):
        read_node(tmp_path)
