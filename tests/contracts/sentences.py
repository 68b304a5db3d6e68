"""How a sentence of the scenario tables is taken apart: a phrase and options after commas.

`ann files c1 as practice, by ann-phone`: what a phrase does not say has the default that its row in `steps` gives it.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from salus.contracts.provisions import day_of
from salus.ledger.identifiers import ProposalId
from salus.ledger.transactions import Message
from tests.contracts.network import digest

SPANS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
OPTIONS = (
    "by", "signed by", "until", "held by", "recovery", "key", "evidence", "uses", "for", "at", "ticket", "as", "kind",
    "session", "nonce", "expires", "commitment", "role", "keys", "access", "power", "height",
    "checked by", "second",
)  # fmt: skip
FLAGS = ("closed", "not unique")


@dataclass
class Places:
    """What names of a table stand for so far: permits and proposals by their label, custodians of patients."""

    time_s: int
    permits: dict[str, bytes]
    custodians: dict[str, str]
    proposals: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Sentence:
    """One step, taken apart."""

    groups: dict[str, str]
    options: dict[str, str]
    places: Places

    def __getitem__(self, name: str) -> str:
        return self.groups[name]

    def option(self, name: str, default: str = "") -> str:
        return self.options.get(name, default)

    @property
    def custodian(self) -> str:
        """The custodian of the patient, unless the step says another."""
        return self.option("at", self.places.custodians.get(self.groups.get("patient", ""), "hospital"))

    @property
    def actor(self) -> str:
        """The key with which a patient acts."""
        return self.option("by", self["patient"])

    @property
    def recoverer(self) -> str:
        """The key with which guardians recover for a patient."""
        return self.option("by", f"{self['patient']}-recovery")

    @property
    def commitment(self) -> bytes:
        return digest(self.option("commitment", "what stays off the ledger"))

    def permit(self) -> bytes:
        return self.places.permits.get(self["permit"]) or digest(self["permit"])[:16]

    def proposal(self) -> ProposalId:
        return ProposalId(self.places.proposals.get(self["proposal"]) or digest(self["proposal"])[:16])

    def until_s(self, default: str) -> int:
        text = self.option("until", default)
        return 0 if text == "never" else self.places.time_s + span_s(text)

    def evidence(self) -> int:
        text = self.option("evidence", "none")
        today = day_of(self.places.time_s)
        named = {"none": 0, "today": today, "yesterday": today - 1, "tomorrow": today + 1}
        return named[text] if text in named else int(text)

    def place_of(self, name: str, signers: Sequence[str]) -> int:
        """The place of a session key among the signers; the last possible one when it is not there."""
        if self.option("session"):
            return int(self.option("session"))
        return signers.index(name) if name in signers else 15


@dataclass(frozen=True)
class Step:
    """What a sentence asks: a message as soon as the signers are known, and who signs it by rule."""

    message: Callable[[Sequence[str]], Message]
    signers: tuple[str, ...]


Builder = Callable[[Sentence], Step]
PHRASES: list[tuple[re.Pattern[str], Builder]] = []


def phrase(pattern: str) -> Callable[[Builder], Builder]:
    """Register a phrase; `{name}` in it stands for one word."""

    def register(builder: Builder) -> Builder:
        PHRASES.append((re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[\\w./-]+)", pattern)), builder))
        return builder

    return register


def option_of(text: str) -> tuple[str, str]:
    """An option's name and value; a flag's value is yes."""
    if text in FLAGS:
        return text, "yes"
    for name in OPTIONS:
        if text.startswith(f"{name} "):
            return name, text.removeprefix(f"{name} ")
    raise ValueError(f"no option of the tables: {text!r}")


def span_s(text: str) -> int:
    """Seconds of `+15m`, `-1s`, or a sum of them such as `+7d+1s`."""
    parts = re.findall(r"([+-]\d+)([smhd])", text)
    assert "".join(number + unit for number, unit in parts) == text, text
    return sum(int(number) * SPANS_S[unit] for number, unit in parts)
