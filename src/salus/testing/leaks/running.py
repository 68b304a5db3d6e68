"""Running the paths: the same question about both patients, and what differs in the answers."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from salus.testing.leaks.awaiting import Answer, Ask, awaited
from salus.testing.leaks.paths import Path
from salus.testing.leaks.subjects import Subject, Subjects

PAGES_MAX: Final = 20
TOLD: Final = ("etag", "location", "last-modified", "content-location", "allow")
"""Header fields that are compared; others say nothing of a resource."""
VOLATILE: Final = (
    re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[0-9.:Z+-]*"),
    re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT"),
    re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
    re.compile(r"(_page|_getpages|page|token|ct|_getpagesoffset)=[^\"&\s]+"),
    re.compile(r"(?<![A-Za-z0-9.-])[A-Za-z0-9.-]{64}(?![A-Za-z0-9.-])"),
    re.compile(r"\"versionId\":\s*\"\d+\""),
)
"""What changes from one answer to the next, or from one patient to the other, whatever is asked; ids that are made."""
NEXT: Final = re.compile(r'"relation":\s*"next",\s*"url":\s*"([^"]+)"|"url":\s*"([^"]+)",\s*"relation":\s*"next"')


@dataclass(frozen=True)
class Finding:
    """A path, and what it leaks; `leak` is empty where it leaks nothing."""

    path: Path
    leak: str
    status: int


def run(ask: Ask, subjects: Subjects, paths: tuple[Path, ...]) -> Iterator[Finding]:
    """Ask every path about both patients; yield what each leaks."""
    for path in paths:
        first, second = (_asked(ask, path, each, subjects.canary) for each in (subjects.with_secret, subjects.without))
        yield Finding(path, _leak(path, first, second, subjects), first[0].status)


def _asked(ask: Ask, path: Path, subject: Subject, canary: str) -> list[Answer]:
    fields = {"content-type": "application/fhir+json"} if path.body else {}
    fields |= {name: _filled(value, subject, canary) for name, value in path.headers.items()}
    url = quote(_filled(path.url, subject, canary), safe="/?&=:|$_*.,-")
    answers = [ask(path.method, url, fields, _filled(path.body, subject, canary))]
    if path.awaits:
        return awaited(ask, answers[0])
    while path.follows and len(answers) < PAGES_MAX:
        found = NEXT.search(answers[-1].text)
        if found is None:
            break
        answers.append(ask("GET", (found[1] or found[2]).replace("&amp;", "&"), {}, ""))
    return answers


def _filled(text: str, subject: Subject, canary: str) -> str:
    for name, value in {**subject.names, "canary": canary}.items():
        text = text.replace("{" + name + "}", value)
    return text


def _leak(path: Path, first: list[Answer], second: list[Answer], subjects: Subjects) -> str:
    asked = _filled(path.url + path.body + "".join(path.headers.values()), subjects.with_secret, subjects.canary)
    told = "".join(each.text for each in first)
    if subjects.canary in told and subjects.canary not in asked:
        return f"{path.hint}: its words are in the answer"
    if len(first) != len(second):
        return f"{path.hint}: {len(first)} pages, {len(second)} without it"
    for with_it, without in zip(first, second, strict=True):
        if with_it.status != without.status:
            return f"{path.hint}: status {with_it.status}, {without.status} without it"
        both = (subjects.with_secret, subjects.without)
        ours = [_plain(each, of, path) for each, of in zip((with_it, without), both, strict=True)]
        if ours[0] != ours[1]:
            return f"{path.hint}: the answer differs from that without it"
    return ""


def _plain(answer: Answer, subject: Subject, path: Path) -> tuple[dict[str, str], str]:
    """An answer without what differs anyway: ids of the patient's own, times, versions, links."""
    headers = {name: answer.headers[name] for name in TOLD if name in answer.headers}
    names = {} if path.is_whole else subject.names
    return {name: _same(value, names) for name, value in headers.items()}, _same(answer.text, names)


def _same(text: str, names: Mapping[str, str]) -> str:
    for name, value in names.items():
        text = text.replace(value, f"<{name}>")
    if names:
        text = text.replace(names["patient"].partition("-")[2], "<run>")
    for pattern in VOLATILE:
        text = pattern.sub("<...>", text)
    return text
