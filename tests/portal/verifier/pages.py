"""The verifier page in Chromium: offline from a file, or as it is served; every request that it makes is noted."""

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Route
from starlette.applications import Starlette
from starlette.testclient import TestClient

from salus.portal.verifier.routes import verifier_routes
from tests.apps.browser import DESKTOP, TIMEOUT_MS
from tests.ledger.proof_world import NOW_S

_DROP = """async files => {
    const result = document.getElementById("result");
    const shown = [];
    for (const file of files) {
        const transfer = new DataTransfer();
        const bytes = Uint8Array.from(atob(file), each => each.charCodeAt(0));
        transfer.items.add(new File([bytes], "a.salus-receipt"));
        document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
        while (result.ariaBusy !== "false") await new Promise(done => setTimeout(done));
        shown.push([result.querySelector("h2")?.lastChild.textContent ?? "", result.textContent]);
    }
    return shown;
}"""
HOME = "https://portal.salus.example"
PREFIX = "/check/"


@dataclass
class Opened:
    """The page, and what it asked for or complained of."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def give(self, data: bytes, *, to: str = "receipt") -> None:
        """Choose a file, and wait until something came of it."""
        payload: Any = {"name": f"a.salus-{to}", "mimeType": "application/octet-stream", "buffer": data}
        self.page.set_input_files(f"#{to}", payload)
        self.wait()

    def trust(self, data: bytes) -> None:
        """Choose a trust file."""
        self.give(data, to="trust")
        assert self.page.locator("#trusted").inner_text().startswith("You trust ")

    def drop(self, files: Sequence[bytes]) -> list[tuple[str, str]]:
        """Drop files one after the other; return the title and all words of what came of each."""
        shown = self.page.evaluate(_DROP, [base64.b64encode(each).decode("ascii") for each in files])
        return [(title, text) for title, text in shown]

    def wait(self) -> None:
        """Wait until everything is done that was asked for."""
        self.page.wait_for_selector("#result[aria-busy=false]", state="attached")

    def title(self) -> str:
        """What the result is headed by, without its mark."""
        return self.page.locator("#result h2").evaluate("each => each.lastChild.textContent")  # type: ignore[no-any-return]

    def text(self) -> str:
        """All words of the result, those of details too."""
        return self.page.locator("#result").evaluate("each => each.textContent")  # type: ignore[no-any-return]


@contextmanager
def opened(
    browser: Browser, source: Path | None = None, *, home: str = HOME, address: str = "", **context: Any
) -> Iterator[Opened]:
    """Open the page: a file, with the network away, or the served one."""
    with browser.new_context(**{"viewport": DESKTOP, **context}) as made:
        page = made.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        one = Opened(page)
        page.on("request", lambda request: one.requests.append(request.url))
        page.on("console", lambda message: one.complaints.append(message.text))
        page.on("pageerror", lambda error: one.complaints.append(str(error)))
        page.clock.set_fixed_time(NOW_S)
        if source is None:
            served = TestClient(Starlette(routes=verifier_routes(PREFIX)), base_url=home)
            made.route("**", lambda route: _answer(route, served))
            page.goto(f"{home}{PREFIX}{address}")
        else:
            made.set_offline(True)
            page.goto(f"{source.as_uri()}{address}")
        if context.get("java_script_enabled", True) and not home.startswith("http:"):
            one.wait()
        yield one


def _answer(route: Route, served: TestClient) -> None:
    answer = served.get(route.request.url)
    route.fulfill(status=answer.status_code, headers=dict(answer.headers), body=answer.content)
