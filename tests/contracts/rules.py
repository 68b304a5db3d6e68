"""What a handler's docstring says that it checks: the names of rejections, step by step, as the pages print them."""

import inspect
import re

from salus.contracts import CONTRACTS
from salus.ledger.transactions import Message
from tests.contracts.scenario import camel, rejection_names

STEP = re.compile(r"^(\d+)\. ", re.MULTILINE)
AS_ANOTHER = re.compile(r"^(\d+)\. (?:to|and) (\d+)\. as (\w+)[.,:]")
DENIALS = re.compile(r"Denied \w+(, \w+)*")
SIGNATURE_MISSING = "SignatureMissing"

MESSAGES = {message.__name__: message for contract in CONTRACTS for message in contract.handlers}
NAMES = {camel(each) for contract in CONTRACTS for each in rejection_names(contract)} | {SIGNATURE_MISSING}


def checks(message: type[Message]) -> list[str]:
    """The rejections of a message in the order of its steps, each step's once."""
    return [name for _, names in numbered(message) for name in names]


def numbered(message: type[Message]) -> list[tuple[int, list[str]]]:
    """(number of the step, its rejections) in order; steps that are another message's stand as they are there."""
    found: list[tuple[int, list[str]]] = []
    for text in steps_of(message):
        another = AS_ANOTHER.match(text)
        if another:
            first, last, name = int(another[1]), int(another[2]), another[3]
            found += [(number, names) for number, names in numbered(MESSAGES[name]) if first <= number <= last]
        else:
            found.append((int(text.partition(".")[0]), rejections_in(text)))
    return found


def steps_of(message: type[Message]) -> list[str]:
    """The numbered steps of a handler's docstring, each with its number."""
    (contract,) = (contract for contract in CONTRACTS if message in contract.handlers)
    text = inspect.getdoc(contract.handlers[message]) or ""
    starts = [match.start() for match in STEP.finditer(text)]
    return [text[start:end].strip() for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]


def rejections_in(step: str) -> list[str]:
    """The rejections that a step names; who has to sign is missed when the signature is."""
    words = re.findall(r"\b[A-Z]\w+\b", DENIALS.sub("", step))
    found = [word for word in words if word in NAMES]
    if "igned by" in step and SIGNATURE_MISSING not in found:
        found.insert(0, SIGNATURE_MISSING)
    return list(dict.fromkeys(found))
