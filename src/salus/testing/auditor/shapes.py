"""What messages look like, straight from the tables of docs/spec/contracts.md: each field's name and what it may be.

A message is a dictionary here: its fields by name, and its tag under "tag".
"""

import re
from collections.abc import Callable
from typing import Any, Final

Check = Callable[[Any], bool]
Message = dict[str, Any]
Shape = tuple[tuple[str, Check], ...]


def integer(low: int, high: int) -> Check:
    """An integer within bounds, both included."""
    return lambda value: type(value) is int and low <= value <= high


def size(low: int, high: int) -> Check:
    """Bytes, so many of them."""
    return lambda value: type(value) is bytes and low <= len(value) <= high


def text(pattern: str) -> Check:
    """Text that matches."""
    compiled = re.compile(pattern)
    return lambda value: type(value) is str and compiled.match(value) is not None


def array(item: Check, low: int = 0, high: int = 1 << 32) -> Check:
    """An array of so many."""
    return lambda value: type(value) is list and low <= len(value) <= high and all(map(item, value))


def struct(*items: Check) -> Check:
    """An array of exactly these."""
    return lambda value: (
        type(value) is list
        and len(value) == len(items)
        and all(item(each) for item, each in zip(items, value, strict=True))
    )


def one_of(shapes: dict[int, Check]) -> Check:
    """An array whose first element is a tag, and the others what its shape says."""
    return lambda value: (
        type(value) is list
        and len(value) > 0
        and type(value[0]) is int
        and value[0] in shapes
        and shapes[value[0]](value[1:])
    )


def boolean(value: Any) -> bool:
    """True or false."""
    return type(value) is bool


def any_length(low: int, high: int) -> Check:
    """Text of so many characters."""
    return lambda value: type(value) is str and low <= len(value) <= high


def any_text(value: Any) -> bool:
    """Text."""
    return type(value) is str


ORGANISATION: Final = text(r"^[A-Z0-9]{2,12}\Z")
FILE_NAME: Final = text(r"^[a-z0-9][a-z0-9._-]{0,63}\Z")
ID: Final = size(16, 16)
DIGEST: Final = size(32, 32)
MAYBE_DIGEST: Final = size(0, 32)
SECONDS: Final = integer(0, (1 << 40) - 1)
COUNT: Final = integer(0, (1 << 53) - 1)
POSITIVE: Final = integer(1, (1 << 31) - 1)
DAY: Final = integer(0, 2_932_896)
PLACE: Final = integer(0, 15)
USES: Final = integer(1, 10_000)

ROLE_CLASS: Final = integer(1, 8)
PURPOSE: Final = integer(1, 8)
VERB: Final = integer(1, 4)
KEY_USE: Final = integer(1, 6)
CERTIFICATE_KIND: Final = integer(1, 2)
HOLDER: Final = integer(1, 2)
KEY_KIND: Final = integer(1, 2)
END: Final = integer(1, 2)
VERDICT: Final = integer(1, 2)

# provisions.md, Gate: the decoder sees to shape and enumerations, all else is refused by `check_gate`
ANY_INTEGER: Final = integer(-(1 << 63), (1 << 64) - 1)
CONDITION: Final = struct(array(any_text), array(ROLE_CLASS), array(PURPOSE), array(VERB), ANY_INTEGER, ANY_INTEGER)
GATE: Final = struct(array(CONDITION), array(struct(CONDITION, array(CONDITION))))

# provisions.md, Provision: what is not a matter of shape is a policy's fitness (`is_fit_tree`)
PROVISION_DEPTH_MAX: Final = 100


def provision(value: Any, depth: int = 0) -> bool:
    """A provision, with its exceptions."""
    fields: tuple[Check, ...] = (
        integer(0, 1), array(any_text), array(ROLE_CLASS), array(PURPOSE), array(VERB), *[ANY_INTEGER] * 4,
        array(any_text), array(any_text), array(any_text), array(size(0, 1 << 32)),
        array(struct(integer(1, 4), size(0, 1 << 32))),
        array(lambda each: depth < PROVISION_DEPTH_MAX and provision(each, depth + 1)),
    )  # fmt: skip
    return struct(*fields)(value)


LEDGER_ACCESS: Final = integer(1, 3)
POWER: Final = integer(0, (1 << 31) - 1)
ACTION: Final = one_of(
    {
        1: struct(
            ORGANISATION, any_length(1, 120), array(ROLE_CLASS, 0, 8), LEDGER_ACCESS, any_length(0, 200),
            array(struct(KEY_USE, size(32, 1217)), 1, 6),
        ),
        2: struct(ORGANISATION),
        3: struct(text(r"^([A-Z0-9]{2,12})?\Z"), array(provision, 0, 64)),
        4: struct(POSITIVE, COUNT),
        5: struct(ORGANISATION, LEDGER_ACCESS, POWER),
        6: struct(ORGANISATION, SECONDS),
    }
)  # fmt: skip

MESSAGES: Final[dict[int, Shape]] = {
    101: (
        ("organisation", ORGANISATION),
        ("certificate", DIGEST),
        ("kind", CERTIFICATE_KIND),
        ("role_classes", array(ROLE_CLASS, 1, 8)),
        ("expires_at_s", SECONDS),
    ),
    102: (("organisation", ORGANISATION), ("certificate", DIGEST)),
    103: (("organisation", ORGANISATION), ("use", KEY_USE), ("key", size(32, 1217))),
    104: (("organisation", ORGANISATION), ("name", FILE_NAME), ("digest", DIGEST)),
    105: (("organisation", ORGANISATION), ("action", ACTION), ("expires_at_s", SECONDS)),
    106: (("organisation", ORGANISATION), ("proposal", ID), ("is_in_favour", boolean)),
    107: (("organisation", ORGANISATION), ("accused", ORGANISATION), ("commitment", DIGEST)),
    108: (("organisation", ORGANISATION), ("key", DIGEST)),
    201: (
        ("pseudonym", ID),
        ("custodian", ORGANISATION),
        ("key", DIGEST),
        ("holder", HOLDER),
        ("recovery_key", MAYBE_DIGEST),
        ("commitment", DIGEST),
    ),
    202: (("pseudonym", ID), ("key", DIGEST), ("holder", HOLDER), ("commitment", DIGEST)),
    203: (("pseudonym", ID), ("key", DIGEST), ("recovery_key", MAYBE_DIGEST), ("commitment", DIGEST)),
    204: (
        ("pseudonym", ID),
        ("key", DIGEST),
        ("kind", KEY_KIND),
        ("expires_at_s", SECONDS),
        ("commitment", DIGEST),
    ),
    205: (("pseudonym", ID), ("key", DIGEST), ("commitment", DIGEST)),
    206: (("pseudonym", ID), ("commitment", DIGEST)),
    207: (("pseudonym", ID), ("key", DIGEST), ("commitment", DIGEST)),
    208: (("pseudonym", ID), ("commitment", DIGEST)),
    209: (("pseudonym", ID), ("recovery_key", DIGEST), ("second_key", MAYBE_DIGEST), ("commitment", DIGEST)),
    210: (("pseudonym", ID), ("commitment", DIGEST)),
    211: (("pseudonym", ID), ("commitment", DIGEST)),
    301: (("pseudonym", ID), ("custodian", ORGANISATION), ("root", DIGEST), ("size", COUNT)),
    302: (("pseudonym", ID), ("custodian", ORGANISATION), ("entry", DIGEST), ("commitment", DIGEST)),
    303: (
        ("pseudonym", ID),
        ("custodian", ORGANISATION),
        ("entry", DIGEST),
        ("by", DIGEST),
        ("commitment", DIGEST),
    ),
    304: (("pseudonym", ID), ("custodian", ORGANISATION), ("entry", DIGEST), ("commitment", DIGEST)),
    305: (("pseudonym", ID), ("custodian", ORGANISATION), ("commitment", DIGEST)),
    401: (
        ("pseudonym", ID),
        ("choice", ID),
        ("gate", GATE),
        ("commitment", DIGEST),
        ("evidence_on_day", DAY),
    ),
    402: (("pseudonym", ID), ("choice", ID), ("commitment", DIGEST), ("evidence_on_day", DAY)),
    501: (
        ("pseudonym", ID),
        ("ticket", DIGEST),
        ("condition", CONDITION),
        ("uses_max", USES),
        ("expires_at_s", SECONDS),
        ("commitment", DIGEST),
    ),
    502: (("pseudonym", ID), ("ticket", DIGEST), ("commitment", DIGEST)),
    503: (("pseudonym", ID), ("ticket", DIGEST), ("session", PLACE)),
    504: (
        ("pseudonym", ID),
        ("ticket", DIGEST),
        ("narrower", DIGEST),
        ("condition", CONDITION),
        ("uses_max", USES),
        ("expires_at_s", SECONDS),
        ("commitment", DIGEST),
    ),
    601: (
        ("pseudonym", ID),
        ("custodian", ORGANISATION),
        ("requester", ORGANISATION),
        ("role_class", ROLE_CLASS),
        ("purpose", PURPOSE),
        ("verb", VERB),
        ("duration_s", POSITIVE),
        ("session", PLACE),
        ("reader_key", DIGEST),
        ("ticket", MAYBE_DIGEST),
        ("residual", DIGEST),
    ),
    602: (
        ("pseudonym", ID),
        ("permit", size(0, 16)),
        ("end", END),
        ("root", DIGEST),
        ("is_closed", boolean),
    ),
    603: (
        ("pseudonym", ID),
        ("permit", ID),
        ("session", PLACE),
        ("verdict", VERDICT),
        ("commitment", DIGEST),
    ),
    604: (("pseudonym", ID), ("permit", ID), ("commitment", DIGEST)),
}
"""Fields by tag, from place 1 on; the tag itself is at place 0."""


class ShapeUnfit(Exception):
    """A value is no message of these tables."""


def message_of(value: Any) -> Message:
    """Return a message from its decoded array. Raises ShapeUnfit."""
    if type(value) is not list or not value or type(value[0]) is not int or value[0] not in MESSAGES:
        raise ShapeUnfit("no message has this tag")
    shape = MESSAGES[value[0]]
    if len(value) != len(shape) + 1:
        raise ShapeUnfit(f"{value[0]} has {len(shape)} fields, came {len(value) - 1}")
    for (name, check), field in zip(shape, value[1:], strict=True):
        if not check(field):
            raise ShapeUnfit(f"{value[0]} {name} is out of bounds")
    return {"tag": value[0], **{name: field for (name, _), field in zip(shape, value[1:], strict=True)}}
