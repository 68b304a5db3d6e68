"""Write docs/spec/contracts.md and docs/spec/contracts-tables.md from the contracts themselves.

Numbers, fields and types come from the declarations, rules from the docstrings of the handlers, examples from the
scenario tables: what a second implementation is built from is what runs.
"""

import inspect
import re
from collections.abc import Iterator
from enum import IntEnum
from types import ModuleType
from typing import Any

from msgspec import inspect as types
from msgspec import structs

from salus.contracts import access, adoption, consent, decision, genesis, membership, patients, records, tickets
from salus.contracts.provisions import Condition, Gate, Provision, SureDenial
from salus.ledger.contract import Contract
from salus.ledger.machine import message_tag
from salus.ledger.state import Table
from tests.contracts.network import MEMBERS, STRANGERS
from tests.contracts.scenario import Row, Scenario, camel, read_tables
from tests.contracts.transitions import LISTED
from tests.contracts.trees import OWN

MODULES = (membership, patients, records, consent, tickets, access)
ELSEWHERE = (Provision, Gate, Condition, SureDenial)
"""Structs that provisions.md describes."""

TABLE_KEYS = {
    "membership.organisations": "organisation: text",
    "membership.keys": "[organisation: text, use: KeyUse]",
    "membership.owners": "SHA-256 of the key: 32 bytes",
    "membership.validators": "organisation: text",
    "membership.certificates": "[organisation: text, certificate: 32 bytes]",
    "membership.network": "the number 0",
    "membership.policies": "organisation: text, empty for the network's",
    "membership.files": "[organisation: text, name: text]",
    "membership.proposals": "proposal: 16 bytes",
    "membership.accusations": "the accuser, organisation: text",
    "membership.upgrades": "the number 0",
    "membership.before": "the number 0",
    "membership.cases": "organisation: text",
    "patients.relationships": "pseudonym: 16 bytes",
    "patients.recoveries": "pseudonym: 16 bytes",
    "records.marks": "[pseudonym: 16 bytes, entry: 32 bytes]",
    "records.erasures": "pseudonym: 16 bytes",
    "consent.choices": "pseudonym: 16 bytes",
    "tickets.tickets": "the ticket's key: 32 bytes",
    "access.permits": "permit: 16 bytes",
    "access.emergencies": "permit: 16 bytes",
    "access.unreviewed": "session key: 32 bytes; or organisation: text",
}
TABLE_ENDS = {
    "membership.certificates": "`expires_at_s`",
    "membership.proposals": "`expires_at_s`",
    "membership.accusations": "`until_s`",
    "tickets.tickets": "`expires_at_s` + 86,400",
    "access.permits": "`until_s` + 604,800",
}

FURTHER_RULES = {
    "membership": (
        ("Seats", membership.check_seat),
        ("Doing an action", membership.carry_out),
        ("Rules by height", membership.check_rules),
        ("The end of a block", membership.end_block),
    )
}
"""Rules that several messages share, or that no message is needed for."""

HEAD = """# Contracts

The rules of the network, one contract after the other, lowest first; a contract asks only those below it.
This page is generated from the contracts (`make docs`); [contracts-tables.md](contracts-tables.md) has the scenarios
that show each rule at work.
It is meant to be enough, with [machine.md](machine.md) and [provisions.md](provisions.md), to write a second
implementation that gives the same answers.

How to read it:

- A message is the array of its tag, at place 0, and its fields at the places of the table; so is an outcome. A row of a
  proved table is the array of its fields, without a tag. All fields are always present. Encoding: machine.md.
- *One of* several structs: each has a number before its name, its tag, which is at place 0 of its array.
- A key of a table is the encoding of the value that is named; a key in brackets is an array.
- The tag of a message is 100 × the contract's number and its place in the contract. An outcome has the tag of its
  message, or one of its own where a message has two outcomes.
- *Signed by* a key: the key is among the transaction's signers, else SignatureMissing (11). Signed by an organisation:
  by the current key of its row `membership.keys` with the use TRANSACTION. Signed by one of several keys: by the first
  signer, in the transaction's order, that is one of them.
- The steps of a message are checked in their order; the first that fails rejects the transaction with the number of
  the rejection. Nothing is written unless all steps of all messages pass.
- *Write* a table means its row for what the message names. A field of the row, or of the outcome, has the value of the
  message's field of the same name; the steps say the others.
- *Block's time* is in whole seconds. *The block's day* is the block's time divided by 86,400, rounded down.
- A fit Ed25519 key has 32 bytes, is the canonical encoding of a point of the curve (y below 2^255 - 19), and its point
  has the prime order, thus neither small nor mixed order.
- *Tagged hash* (tag) of parts: SHA-256 over the tag's length (1 byte), the tag, and for each part its length (8 bytes,
  big-endian) and the part.
- Digests, commitments and roots are 32 bytes and are compared with nothing here, unless a step says so.
"""


def contracts_page() -> str:
    """The page of all contracts."""
    parts = [HEAD, *(_contract(module) for module in MODULES), _alive(), _record(), _genesis()]
    return "\n".join(parts)


def tables_page() -> str:
    """The page of all scenario tables."""
    parts = [TABLES_HEAD, _members(), _trees()]
    file = ""
    for scenario in read_tables():
        if scenario.file != file:
            file = scenario.file
            parts.append(f"## {file.partition('-')[2].capitalize()}\n")
        parts.append(_scenario(scenario))
    return "\n".join(parts)


TABLES_HEAD = """# Contracts: scenarios

Generated from `tests/contracts/tables` (`make docs`); each table runs from genesis on a ledger of its own, on every
engine. [contracts.md](contracts.md) has the rules.

- A line is a step, an arrow, and what comes of it. A step without an arrow is in one transaction with the next one.
- `rejected: KeyKnown 208` is the rejection and its number; `permitted: Choice` the basis, `denied: …` the reason.
- `waits` and `carried` are what a proposal comes to, `accused` and `suspended` what an accusation does. A proposal ends
  in 7 days; `as v1` names it; what is admitted has one key, for transactions.
- Each table begins at 2026-03-01 09:00:00 UTC (1772355600) and each transaction is alone in its block, at that time
  until `later` moves it. `+15m` is 900 seconds; `s`, `m`, `h`, `d` are seconds, minutes, hours, days.
- What a step does not say: a certificate ends in 30 days and is a person's; a key has no end; a ticket has one use and
  ends in a day; a request is for 900 seconds; the holder is the patient; no evidence; the custodian is who enrolled; a
  patient acts with the pseudonym's first key, `by` names another; the signers are those of the rules, `signed by` names
  others.
- `hospital` is also the name of its transaction key, `hospital/http` that of its key for another use. Every other name
  stands for a key, a pseudonym, a digest of its own.
- `given` lines change what genesis writes.
- *each check in turn* tables make everything wrong at once and put right one thing after the other: they walk down the
  steps of a message.
"""


def _contract(module: ModuleType) -> str:
    contract: Contract = module.CONTRACT
    lines = [f"## {contract.number}. {contract.name.capitalize()}\n", _prose(module.__doc__)]
    lines += [f"### State of {contract.name}\n"]
    lines += [_table(table) for table in contract.tables.values()]
    lines += [_index(name) for name in contract.indexes]
    lines += _structs(contract)
    lines += [f"### Messages of {contract.name}\n"]
    for message, handler in contract.handlers.items():
        lines += [f"#### {message_tag(message)} {message.__name__}\n", _prose(message.__doc__), _fields(message)]
        lines += [_prose(handler.__doc__)]
        for outcome in contract.outcomes[message]:
            title = f"*Outcome {message_tag(outcome)} {outcome.__name__}*"
            lines += [f"{title}: {_prose(outcome.__doc__)}", _fields(outcome)]
    for title, rule in FURTHER_RULES.get(contract.name, ()):
        lines += [f"#### {title}\n", _prose(rule.__doc__)]
    lines += [f"### Transitions of {contract.name}\n", _transitions(contract)]
    lines += [f"### Rejections of {contract.name}, in order of precedence\n", _members_of(module.Rejection)]
    lines += [f"### Numbers of {contract.name}\n", *_enumerations(contract)]
    return "\n".join(lines)


def _transitions(contract: Contract) -> str:
    lines = [line.split(": ") for line in LISTED.strip().splitlines() if line.startswith(f"{contract.name}.")]
    rows = [f"| {table} | {move} | {messages} |" for table, move, messages in lines]
    return "\n".join(["| table | from -> to | by |", "|---|---|---|", *rows]) + "\n"


def _table(table: Table[object, object]) -> str:
    value = table_value(table)
    ends = TABLE_ENDS.get(table.name)
    lines = [f"**`{table.name}`**, key {TABLE_KEYS[table.name]}, value {shown(types.type_info(value))}."]
    assert (ends is not None) == (table.expires_at_s is not None), table.name
    if ends:
        lines.append(f"The sweep may remove a row from {ends} on.")
    return "\n".join(lines) + "\n"


def table_value(table: Table[object, object]) -> type:
    """The type of a table's rows."""
    value: type = table._decoder.inner.type  # the one place that knows it
    return value


def _index(name: str) -> str:
    return f"Index `{name}`: see machine.md.\n"


def _structs(contract: Contract) -> list[str]:
    """The structs of a contract's tables, and those inside them, each once."""
    seen: dict[type, None] = {}
    for table in contract.tables.values():
        _collect(types.type_info(table_value(table)), seen)
    return [f"*{_titled(each)}*: {_prose(each.__doc__)}\n{_fields(each)}" for each in seen if each not in ELSEWHERE]


def _titled(struct: type[Any]) -> str:
    """The name of a struct; before it its tag, which is the element at place 0."""
    tag = struct.__struct_config__.tag
    return struct.__name__ if tag is None else f"{tag} {struct.__name__}"


def _collect(kind: types.Type, seen: dict[type, None]) -> None:
    if isinstance(kind, types.StructType) and kind.cls not in seen:
        seen[kind.cls] = None
        if kind.cls not in ELSEWHERE:
            for field in kind.fields:
                _collect(field.type, seen)
    elif isinstance(kind, types.VarTupleType):
        _collect(kind.item_type, seen)
    elif isinstance(kind, types.UnionType):
        for each in kind.types:
            _collect(each, seen)


def _fields(struct: type) -> str:
    info = types.type_info(struct)
    assert isinstance(info, types.StructType)
    if not info.fields:
        return ""
    first = 0 if info.tag is None else 1  # the tag is the element before
    rows = [f"| {place} | {field.name} | {shown(field.type)} |" for place, field in enumerate(info.fields, first)]
    return "\n".join(["| # | field | type |", "|---|---|---|", *rows]) + "\n"


def shown(kind: types.Type) -> str:
    """A type in words."""
    match kind:
        case types.IntType():
            return _integer(kind)
        case types.BytesType():
            return _sized("bytes", kind.min_length, kind.max_length)
        case types.StrType():
            pattern = f", matching `{kind.pattern.replace('|', chr(92) + '|')}`" if kind.pattern else ""
            return _sized("text", kind.min_length, kind.max_length) + pattern
        case types.BoolType():
            return "boolean"
        case types.EnumType() | types.CustomType():
            return kind.cls.__name__
        case types.StructType():
            return f"[{kind.cls.__name__}](provisions.md)" if kind.cls in ELSEWHERE else kind.cls.__name__
        case types.VarTupleType():
            return _sized(f"array of {shown(kind.item_type)}", kind.min_length, kind.max_length)
        case types.UnionType():
            return "one of " + ", ".join(shown(each) for each in kind.types)
    raise AssertionError(f"a type that the pages do not know: {kind}")


def _integer(kind: types.IntType) -> str:
    low = kind.ge if kind.ge is not None else None
    high = kind.le if kind.le is not None else None if kind.lt is None else kind.lt - 1
    if low is None and high is None:
        return "integer"
    if high is not None and high > 1 << 20 and (high + 1) & high == 0:
        return f"integer, {low} to 2^{high.bit_length()} - 1"
    return f"integer, {low} to {high:,}"


def _sized(what: str, low: int | None, high: int | None) -> str:
    if low is None and high is None:
        return what
    if low == high:
        return f"{high} {what}" if what == "bytes" else f"{what}, {high} of them"
    return f"{what}, {low or 0} to {high:,}"


def _enumerations(contract: Contract) -> list[str]:
    """Every enumeration that a contract's structs use and that provisions.md does not have."""
    seen: dict[type[IntEnum], None] = {}
    structs: list[type] = [table_value(table) for table in contract.tables.values()]
    for message, outcomes in contract.outcomes.items():
        structs += [message, *outcomes]
    for struct in structs:
        _collect_enumerations(types.type_info(struct), seen)
    return [f"*{each.__name__}*: {_prose(each.__doc__)}\n{_members_of(each)}" for each in seen]


def _collect_enumerations(kind: types.Type, seen: dict[type[IntEnum], None]) -> None:
    if isinstance(kind, types.EnumType) and not kind.cls.__module__.startswith("salus.contracts.provisions"):
        assert issubclass(kind.cls, IntEnum)
        seen[kind.cls] = None
    elif isinstance(kind, types.StructType) and kind.cls not in ELSEWHERE:
        for field in kind.fields:
            _collect_enumerations(field.type, seen)
    elif isinstance(kind, types.VarTupleType):
        _collect_enumerations(kind.item_type, seen)
    elif isinstance(kind, types.UnionType):
        for each in kind.types:
            _collect_enumerations(each, seen)


def _members_of(numbers: type[IntEnum]) -> str:
    is_rejection = numbers.__name__ == "Rejection"
    rows = [f"| {each.value} | {camel(each) if is_rejection else each.name} |" for each in numbers]
    return "\n".join(["| number | name |", "|---|---|", *rows]) + "\n"


def _alive() -> str:
    return "## Whether a permit is alive\n\n" + _prose(access.require_live.__doc__)


def _record() -> str:
    lines = ["## The decision on one record\n", _prose(decision.__doc__), _prose(decision.decide.__doc__)]
    for struct in (decision.Rules, decision.ChoiceRules, decision.RecordDecision):
        lines += [f"*{struct.__name__}*: {_prose(struct.__doc__)}", _fields(struct)]
    return "\n".join([*lines, f"*Source*: {_prose(decision.Source.__doc__)}\n{_members_of(decision.Source)}"])


def _genesis() -> str:
    lines = ["## Genesis\n", _prose(genesis.__doc__), "The document is the array of the fields of *Genesis*.\n"]
    for struct in (genesis.Genesis, genesis.Founder, genesis.FirstPolicy, genesis.FirstValidator):
        lines += [f"*{struct.__name__}*: {_prose(struct.__doc__)}", _fields(struct)]
    limits = ", ".join(f"{name} {value:,}" for name, value in structs.asdict(genesis.DEFAULT_NETWORK).items())
    lines += [f"Unless the members agree on others, the limits of *Network* are: {limits}.\n"]
    lines += ["The document is valid if:\n", _prose(genesis.check.__doc__).partition("\n\n")[2]]
    lines += ["The first rows, in this order:\n", _prose(genesis.genesis_rows.__doc__).partition("\n\n")[2]]
    lines += ["## Adoption\n", _prose(adoption.__doc__)]
    lines += ["The document is the array of the fields of *Genesis*, format 2, then `adopted`: *AdoptedLedger*.\n"]
    lines += [f"*AdoptedLedger*: {_prose(genesis.AdoptedLedger.__doc__)}", _fields(genesis.AdoptedLedger)]
    rules = _prose(adoption.adoption_rows.__doc__).partition("\n\n")[2]
    lines += ["What is written over the adopted tables, at their height and the time of genesis:\n", rules]
    return "\n".join(lines)


def _prose(text: str | None) -> str:
    assert text, "every part of a contract has a docstring"
    words, _, arguments = inspect.cleandoc(text).partition("\n\nArgs:\n")
    arguments = arguments.partition("\n\nRaises:")[0]
    listed = re.sub(r"^    (\w[\w, ]*): ", r"- \1: ", arguments, flags=re.MULTILINE)
    return "\n\n".join(part for part in (words, re.sub(r"^    +", "  ", listed, flags=re.MULTILINE)) if part) + "\n"


def _members() -> str:
    rows = [
        f"| {name} | {code} | {', '.join(role.name for role in roles)} |" for name, (code, roles) in MEMBERS.items()
    ]
    head = ["## Members and choices of the tables\n", "| name | code | role classes |", "|---|---|---|"]
    rows += [f"| {name} | {code} | no member at first |" for name, code in STRANGERS.items()]
    return "\n".join([*head, *rows]) + "\n"


def _trees() -> str:
    words = "Choices and policies are those of provisions.md, and these:\n"
    return f"{words}\n```choices\n{OWN.read_text(encoding='utf-8').strip()}\n```\n"


def _scenario(scenario: Scenario) -> str:
    return "\n".join([f"### {scenario.title}\n", "```text", *_lines(scenario), "```\n"])


def _lines(scenario: Scenario) -> Iterator[str]:
    width = max((len(row.text) for row in scenario.rows if row.expected and len(row.text) < 90), default=0)
    for row in scenario.rows:
        yield _line(row, width)


def _line(row: Row, width: int) -> str:
    return row.text if row.expected is None else f"{row.text:<{width}} -> {row.expected}"
