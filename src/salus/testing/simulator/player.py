"""From drafts to signed bytes, legal or broken: wrong signers, changed fields, bad envelopes, replays."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from salus.crypto.signing import SigningKey
from salus.testing.auditor import Auditor
from salus.testing.auditor.canonical import decode, encode
from salus.testing.auditor.gates import conditions_of
from salus.testing.auditor.transactions import TAG
from salus.testing.simulator.cast import CHAIN, CODES, KeyRing
from salus.testing.simulator.drafter import Draft, Drafter
from salus.testing.simulator.drafts import BUILDERS, WEIGHTS

BROKEN: Final = 0.3
REPLAYED: Final = 0.06
LONG: Final = 0.03
REQUEST: Final = 601
FILE_CONSENT: Final = 401
HEAVY_CONDITIONS: Final = 300
SENT_MAX: Final = 300
TAGS: Final = tuple(BUILDERS)


@dataclass
class Body:
    """A transaction's parts before they are signed; whatever is in them is encoded as it is."""

    chain: str
    signers: list[bytes]
    expires_at_s: int
    nonce: bytes
    messages: list[Any]
    keys: list[SigningKey]
    format: int = 1


@dataclass
class Player:
    """Sends transactions to a network.

    Args:
        broken: how often a transaction is broken on purpose.
        favourites: messages that come more often; two are chosen when none is given.
        sent: what was sent before, to be sent again.
    """

    auditor: Auditor
    keys: KeyRing
    chance: Random
    broken: float = BROKEN
    favourites: Sequence[int] = ()
    sent: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        patients_max = self.chance.choice((2, 5, 10, 30))
        self._drafter = Drafter(self.auditor, self.keys, self.chance, self.auditor.time_s, patients_max)
        policies = self.auditor.table("membership.policies").values()
        self._is_heavy = sum(conditions_of(gate) for policy in policies for gate in policy[2]) > HEAVY_CONDITIONS
        chosen = self.chance.sample(TAGS, 2)  # also when it is not needed: a seed's other chances stay what they are
        favourites = set(self.favourites or chosen)
        self._weights = [WEIGHTS.get(tag, 2.0) * (8 if tag in favourites else 1) for tag in TAGS]

    def transaction(self, time_s: int) -> bytes:
        """Return a transaction for a block of about this time."""
        if self.sent and self.chance.random() < REPLAYED:
            return self.chance.choice(self.sent)
        self._drafter.time_s = time_s
        body = self._body(time_s)
        raw = self._broken(body) if self.chance.random() < self.broken else signed(body)
        self.sent = [*self.sent[-SENT_MAX:], raw]
        return raw

    def of(self, tag: int, time_s: int) -> bytes:
        """Return an unbroken transaction with a message of this kind."""
        self._drafter.time_s = time_s
        return signed(self._put_together(BUILDERS[tag](self._drafter), time_s))

    def with_text(self, text: str, time_s: int) -> bytes:
        """Return a choice whose gate names an organisation by this text, which is no code."""
        self._drafter.time_s = time_s
        (draft,) = BUILDERS[FILE_CONSENT](self._drafter)
        draft.message[3] = [[[[text], [], [], [], 0, 1]], []]
        return signed(self._put_together([draft], time_s))

    def _body(self, time_s: int) -> Body:
        drafts: list[Draft] = []
        if self._is_heavy and self.chance.random() < LONG:  # policies are compared each time
            drafts = BUILDERS[REQUEST](self._drafter) * 60
        for _ in range(self.chance.choice((1, 1, 1, 1, 2, 3))):
            (tag,) = self.chance.choices(TAGS, self._weights)
            drafts += BUILDERS[tag](self._drafter)
        return self._put_together(drafts, time_s)

    def _put_together(self, drafts: list[Draft], time_s: int) -> Body:
        keys = list({key.public: key for draft in drafts for key in draft.signers}.values())
        for draft in drafts:
            if draft.session is not None:
                draft.message[draft.session_at] = [key.public for key in keys].index(draft.session.public)
        expires_at_s = time_s + self.chance.choice((30, 60, 300, 590))
        messages = [draft.message for draft in drafts]
        return Body(CHAIN, [key.public for key in keys], expires_at_s, self.chance.randbytes(16), messages, keys)

    def _broken(self, body: Body) -> bytes:
        (kind,) = self.chance.choices(("body", "field", "bytes"), (4, 10, 2))
        if kind == "body":
            self.chance.choice(BREAKS)(body, self.chance)
            return signed(body)
        if kind == "field":
            self._change_field(body)
            return signed(body)
        return self.chance.choice(BYTE_BREAKS)(signed(body), self.chance)

    def _change_field(self, body: Body) -> None:
        message = self.chance.choice(body.messages)
        place = self.chance.randrange(len(message))
        message[place] = self._changed(message[place])

    def _changed(self, value: Any) -> Any:
        if isinstance(value, bool):
            return not value
        if isinstance(value, int):
            return self.chance.choice((0, 1, value + 1, value - 1, -1, 1 << 53, (1 << 64) - 1, b"", value + 86_400))
        if isinstance(value, str):
            return self.chance.choice((*CODES, "", "zz", "X\n", value + "\u0301", value + "é", 7))
        if isinstance(value, list):
            return self._changed_list(value)
        return self._changed_bytes(value)

    def _changed_bytes(self, value: bytes) -> Any:
        known = self.auditor.table("patients.relationships")
        others = [key[2:] for key in list(known)[:20]] if len(value) == 16 else [self.keys.any(self.chance).public]
        small_order = bytes(32)
        return self.chance.choice((*others, value[:-1], value + b"\0", b"", self.chance.randbytes(len(value)),
                                   small_order, "text"))  # fmt: skip

    def _changed_list(self, value: list[Any]) -> Any:
        if not value or self.chance.random() < 0.2:
            return self.chance.choice(([], [1], [1, 1], [2, 1], ["RX1"], [[]], [9], "no list"))
        place = self.chance.randrange(len(value))
        changed = list(value)
        if self.chance.random() < 0.2:
            return self.chance.choice((changed[:-1], [*changed, changed[0]], changed[::-1]))
        changed[place] = self._changed(changed[place])
        return changed


def signed(body: Body) -> bytes:
    """Return the bytes of a transaction, signed by its keys."""
    signers: Any = body.signers
    encoded = encode([body.format, body.chain, signers, body.expires_at_s, body.nonce, body.messages])
    return encode([encoded, [key.sign_tagged(TAG, encoded) for key in body.keys]])


def _drop_signer(body: Body, chance: Random) -> None:
    place = chance.randrange(len(body.signers))
    del body.signers[place], body.keys[place]


def _add_signer(body: Body, chance: Random) -> None:
    key = SigningKey.from_seed(chance.randbytes(32))
    place = chance.randrange(len(body.signers) + 1)
    body.signers.insert(place, key.public)
    body.keys.insert(place, key)


def _swap_signers(body: Body, _chance: Random) -> None:
    body.signers.reverse()
    body.keys.reverse()


def _same_signer_twice(body: Body, _chance: Random) -> None:
    body.signers.append(body.signers[0])
    body.keys.append(body.keys[0])


def _sign_with_others(body: Body, chance: Random) -> None:
    body.keys = [SigningKey.from_seed(chance.randbytes(32)) for _ in body.keys]


def _fewer_signatures(body: Body, _chance: Random) -> None:
    body.keys = body.keys[:-1]


def _many_signers(body: Body, chance: Random) -> None:
    body.keys = [SigningKey.from_seed(chance.randbytes(32)) for _ in range(17)]
    body.signers = [key.public for key in body.keys]


def _set(name: str, *values: Any) -> Callable[[Body, Random], None]:
    def change(body: Body, chance: Random) -> None:
        setattr(body, name, chance.choice(values))

    return change


def _expiry(body: Body, chance: Random) -> None:
    body.expires_at_s += chance.choice((-10_000, -30, -60, 10_000, 571, 600, -body.expires_at_s))


def _messages_twice(body: Body, _chance: Random) -> None:
    body.messages = body.messages * 2


BREAKS: Final[Sequence[Callable[[Body, Random], None]]] = (
    _drop_signer,
    _add_signer,
    _swap_signers,
    _same_signer_twice,
    _sign_with_others,
    _fewer_signatures,
    _many_signers,
    _set("chain", "other", "", "x" * 51, CHAIN + "\u0301"),
    _set("nonce", b"", bytes(15), bytes(17)),
    _set("messages", [], [[999]], [[101]], [7], [[]]),
    _set("format", 0, 2),
    _expiry,
    _messages_twice,
)


def _flip(raw: bytes, chance: Random) -> bytes:
    place = chance.randrange(len(raw))
    return raw[:place] + bytes([raw[place] ^ 1 << chance.randrange(8)]) + raw[place + 1 :]


def _longer_integer(raw: bytes, _chance: Random) -> bytes:
    """The body's format as a longer integer: the same value in other bytes."""
    body, signatures = decode(raw)  # type: ignore[misc, str-unpack]
    assert isinstance(body, bytes)
    return encode([body[:1] + b"\xcc\x01" + body[2:], signatures])


BYTE_BREAKS: Final[Sequence[Callable[[bytes, Random], bytes]]] = (
    _flip,
    _flip,
    _longer_integer,
    lambda raw, _chance: raw + b"\0",
    lambda raw, _chance: raw[:-1],
    lambda _raw, chance: chance.randbytes(chance.randrange(100)),
    lambda raw, _chance: raw + bytes(70_000),
)
