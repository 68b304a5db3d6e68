"""What the signer's server gives out: files under a policy, and the hash of both that is published on the ledger."""

import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from salus.crypto.hashing import sha256, tagged
from salus.portal import signer
from salus.portal.signer import Signer, signer_page
from salus.portal.signer.app import signer_app

PORTAL = "https://records.example"
PAGE = Path(signer.__file__).parent / "page"
SCRIPTS = sorted(PAGE.glob("*.js"))


@pytest.fixture(scope="module")
def page() -> Signer:
    return signer_page(portal=PORTAL, chain="salus-test")


@pytest.fixture(scope="module")
def client(page: Signer) -> TestClient:
    return TestClient(signer_app(page))


def test_what_is_served_leads_to_the_published_hash(page: Signer, client: TestClient) -> None:
    """As somebody who compares would: from the manifest's paths and what a browser gets, and from nothing else."""
    paths = [line.split("  ")[1] for line in client.get("/manifest.txt").text.splitlines()[:-2]]
    assert paths == sorted(paths)
    served = [client.get(f"/{path}") for path in paths]
    parts = [served[0].headers["content-security-policy"].encode()]
    for path, each in zip(paths, served, strict=True):
        parts += [path.encode(), each.headers["content-type"].encode(), sha256(each.content)]
    assert tagged("salus/signer/page/1", *parts) == page.hash()
    assert client.get("/manifest.txt").text.splitlines()[-1] == f"{page.hash().hex()}  all"


@pytest.mark.parametrize("changed", ["file", "type", "policy", "portal", "chain", "file left out"])
def test_the_hash_covers(page: Signer, changed: str) -> None:
    first, *rest = page.files
    others = {
        "file": Signer((signer.PageFile(first.path, first.content_type, first.content + b" "), *rest), page.policy),
        "type": Signer((signer.PageFile(first.path, "text/plain", first.content), *rest), page.policy),
        "policy": Signer(page.files, page.policy.replace("'none'", "*", 1)),
        "portal": signer_page(portal="https://other.example", chain="salus-test"),
        "chain": signer_page(portal=PORTAL, chain="salus-other"),
        "file left out": Signer(tuple(rest), page.policy),
    }
    assert others[changed].hash() != page.hash()


def test_every_answer_keeps_others_out_and_remembers_nobody(client: TestClient) -> None:
    for path in ("/", "/page.js", "/signer.css", "/manifest.txt"):
        answer = client.get(path)
        assert answer.status_code == 200
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert f"connect-src {PORTAL};" in policy
        assert "unsafe" not in policy
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "set-cookie" not in answer.headers
        assert "access-control-allow-origin" not in answer.headers


def test_a_browser_that_has_a_file_is_told_so_and_one_that_has_another_gets_it(client: TestClient) -> None:
    first = client.get("/page.js")
    again = client.get("/page.js", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["content-security-policy"] == first.headers["content-security-policy"]
    other = client.get("/kinds.js", headers={"if-none-match": first.headers["etag"]})
    assert other.status_code == 200


@pytest.mark.parametrize(("method", "path"), [("POST", "/"), ("PUT", "/page.js"), ("GET", "/../app.py"), ("GET", "/x")])
def test_nothing_else_is_served(client: TestClient, method: str, path: str) -> None:
    assert client.request(method, path).status_code in {404, 405}


@pytest.mark.parametrize(
    "portal",
    [
        "records.example",
        "https://records.example/",
        "https://a.example; script-src *",
        "https://a.example https://b",
        "",
    ],
)
def test_what_is_no_origin_makes_no_page(portal: str) -> None:
    with pytest.raises(ValueError, match="expected the portal's origin"):
        signer_page(portal=portal, chain="salus-test")


def test_the_page_is_ours_and_plain() -> None:
    """No script of others, no markup from text, no storage, no word to the console, nothing inline."""
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<script[^>]*>", html) == ['<script type="module" src="page.js">']
    assert not re.search(r"style=|<style| on\w+=", html)
    text = "\n".join(each.read_text(encoding="utf-8") for each in SCRIPTS)
    for word in ("innerHTML", "insertAdjacentHTML", "document.write", "eval(", "localStorage", "sessionStorage",
                 "indexedDB", "document.cookie", "console.", "postMessage", "WebSocket", "sendBeacon"):  # fmt: skip
        assert word not in text, word
    assert set(re.findall(r'from "([^"]+)"', text)) <= {f"./{each.name}" for each in SCRIPTS} | {"./configuration.js"}


def test_without_javascript_the_page_says_where_to_go() -> None:
    """Read from the file: a Chromium whose scripts Playwright switched off showed nothing of it."""
    said = re.findall(r"<noscript>(.*)</noscript>", (PAGE / "index.html").read_text(encoding="utf-8"), re.DOTALL)
    assert len(said) == 1
    assert "to act for you" in said[0]
    assert 'lang="cy"' in said[0]


def test_every_script_is_asked_for_at_once() -> None:
    """So that a slow connection waits once, not once for each import of an import."""
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    early = re.findall(r'<link rel="modulepreload" href="([\w.]+)">', html)
    assert sorted([*early, "page.js"]) == sorted([each.name for each in SCRIPTS] + ["configuration.js"])


def test_both_languages_say_the_same_things() -> None:
    text = (PAGE / "strings.js").read_text(encoding="utf-8")
    english, welsh = text.split("const WELSH")
    entry = re.compile(r'^ +"?([\w.-]+)"?: "(.*?)",$|"((?:verb|may)\.\d)": "([^"]*)"', re.MULTILINE)

    def table(part: str) -> dict[str, set[str]]:
        rows = [(first or third, second or fourth) for first, second, third, fourth in entry.findall(part)]
        return {key: set(re.findall(r"\{(\w+)\}", words)) for key, words in rows}

    assert len(table(english)) > 150
    assert table(english) == table(welsh)


def test_every_text_that_the_code_asks_for_is_in_the_table() -> None:
    table = (PAGE / "strings.js").read_text(encoding="utf-8")
    text = "\n".join(each.read_text(encoding="utf-8") for each in SCRIPTS if each.name != "strings.js")
    asked = set(re.findall(r'say\(language, "([\w.-]+)"', text)) | set(re.findall(r'button\("\w+", "(\w+)"', text))
    assert len(asked) > 25
    missing = [key for key in asked if not re.search(rf'^ +"?{re.escape(key)}"?: "', table, re.MULTILINE)]
    assert missing == []
