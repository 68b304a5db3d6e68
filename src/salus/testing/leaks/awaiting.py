"""Exports among the paths: what a server makes while it is waited for, file by file (FHIR Bulk Data Access)."""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

POLLS_MAX: Final = 60
FILES_MAX: Final = 50
WAIT_S_MAX: Final = 5
_MANIFEST: Final = {"accept": "application/json"}
ADDRESS: Final = re.compile(r'"(url|continuesInFile|request)"\s*:\s*"[^"]*"')
"""Addresses in a manifest are of one export, and differ from the next one's, whatever is in it."""


@dataclass(frozen=True)
class Answer:
    """What a server answered; names of header fields in lower case."""

    status: int
    headers: Mapping[str, str]
    text: str = field(repr=False)


Ask = Callable[[str, str, Mapping[str, str], str], Answer]
"""Asks as the reader who may not see the secret: method, path below the base or whole address, fields, body."""


def awaited(ask: Ask, begun: Answer) -> list[Answer]:
    """Return what an export has: how it began, its manifest, its files; and let the server forget it."""
    status = begun.headers.get("content-location", "")
    answers = [replace(begun, headers={name: each for name, each in begun.headers.items() if each != status})]
    if begun.status != 202 or not status:
        return answers
    manifest = _complete(ask, status)
    answers.append(Answer(manifest.status, {}, ADDRESS.sub("", manifest.text)))
    if manifest.status == 200:
        for url in _files(manifest.text)[:FILES_MAX]:
            file = ask("GET", url, {"accept": "application/fhir+ndjson"}, "")
            answers.append(Answer(file.status, {}, file.text))
        ask("DELETE", status, {}, "")
    return answers


def _complete(ask: Ask, status: str) -> Answer:
    answer = ask("GET", status, _MANIFEST, "")
    for _ in range(POLLS_MAX):
        if answer.status != 202:
            break
        asked = answer.headers.get("retry-after", "")
        time.sleep(min(int(asked) if asked.isdecimal() else 1, WAIT_S_MAX))
        answer = ask("GET", status, _MANIFEST, "")
    return answer


def _files(manifest: str) -> list[str]:
    try:
        said = json.loads(manifest)
    except json.JSONDecodeError:
        return []
    return [str(each["url"]) for of in ("output", "deleted", "error") for each in said.get(of, ())]
