"""Bodies of the exchange: an ask is sealed to the recipient's registered HPKE key, its answer under a key inside it.

Promises: whoever ends TLS in between reads neither; a body opens only on the chain, between the two ends and on the
path that it was sealed for, an answer only for the ask that it answers; a copy kept today stays closed to a quantum
computer (hybrid HPKE). Sizes are rounded up, so that *nothing* is as long as a match. Never says who sealed: that is
the signature's part. Byte formats: docs/spec/exchange.md.
"""

from dataclasses import dataclass, field
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from salus.crypto import sealing
from salus.crypto.hpke import HpkeKey, open_with, seal_to
from salus.crypto.sealing import SealBroken
from salus.ledger.encoding import EncodingInvalid, decoder, encode
from salus.ledger.identifiers import OrganisationId
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.exchange import Answer, Ask, RefusedAnswer

ASK_PATH: Final = "/exchange/1/ask"
STREAM_PATH: Final = "/exchange/1/stream"
ASK_TAG: Final = "salus/ask/1"
ANSWER_TAG: Final = "salus/answer/1"
ASK_BODY_BYTES_MAX: Final = 1 << 20
"""The largest ask is a choice: 64 kB of transaction and 16 kB of rules."""
PADDED_TO_BYTES: Final = 256
"""Up to 255 bytes of padding have a MessagePack header of one size."""

Padding = Annotated[bytes, Meta(max_length=PADDED_TO_BYTES - 1)]


class AskBody(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What is inside a sealed ask: the key for its answer, 32 random bytes of this ask alone, and the ask."""

    answer_key: Annotated[bytes, Meta(min_length=32, max_length=32)]
    ask: Ask
    padding: Padding


class AnswerBody(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What is inside a sealed answer."""

    answer: Answer
    padding: Padding


@dataclass(frozen=True)
class Route:
    """Between whom, on which chain, on which path: what an ask is bound to. `sender` is empty for a device."""

    chain: str
    sender: OrganisationId
    recipient: OrganisationId
    path: str


@dataclass(frozen=True)
class OpenedAsk:
    """An ask, and the key under which its answer goes back."""

    ask: Ask
    answer_key: bytes = field(repr=False)


_ASK = decoder(AskBody)
_ANSWER = decoder(AnswerBody)


def seal_ask(ask: Ask, *, to: bytes, route: Route) -> tuple[bytes, bytes]:
    """Seal an ask under a fresh answer key; return the body and that key.

    Args:
        to: the recipient's registered HPKE key.
    """
    answer_key = sealing.new_key()
    plain = _padded(AskBody(answer_key, ask, b""))
    return seal_to(to, plain, info=ask_info(route)), answer_key


def open_ask(key: HpkeKey, body: bytes, route: Route) -> OpenedAsk:
    """Open an ask. Raises Refused (MESSAGE_UNFIT) for a body sealed for another end or use, or not canonical."""
    try:
        opened: AskBody = _ASK.decode(open_with(key, body, info=ask_info(route)))
    except SealBroken as error:
        raise Refused(Refusal.MESSAGE_UNFIT, "expected a body sealed to this node's key, for this path") from error
    except EncodingInvalid as error:
        raise Refused(Refusal.MESSAGE_UNFIT, "expected one ask in canonical MessagePack") from error
    return OpenedAsk(opened.ask, opened.answer_key)


def seal_answer(answer: Answer, *, answer_key: bytes, route: Route, ask_digest: bytes) -> bytes:
    """Seal an answer.

    Args:
        ask_digest: SHA-256 of the body that asked.
    """
    return sealing.seal(answer_key, _padded(AnswerBody(answer, b"")), answer_bound(route, ask_digest))


def open_answer(body: bytes, *, answer_key: bytes, route: Route, ask_digest: bytes) -> Answer:
    """Open an answer. Raises NotNow: what does not open, or not to an answer, is none."""
    try:
        plain = sealing.open_sealed(answer_key, body, answer_bound(route, ask_digest))
        opened: AnswerBody = _ANSWER.decode(plain)
    except (SealBroken, EncodingInvalid) as error:
        raise NotNow(f"{route.recipient} answered with what is no answer to this ask: try later") from error
    require_known(opened.answer)
    return opened.answer


def require_known(answer: Answer) -> None:
    """Raise NotNow for a refusal whose number this release does not know: a newer one may act on it."""
    if isinstance(answer, RefusedAnswer) and answer.refusal not in set(Refusal):
        raise NotNow(f"the other node refuses with number {answer.refusal}, unknown here: use the newest release")


def ask_info(route: Route) -> bytes:
    """Return the HPKE `info` of an ask."""
    return encode((ASK_TAG, route.chain, route.sender, route.recipient, route.path))


def answer_bound(route: Route, ask_digest: bytes) -> bytes:
    """Return what a sealed answer is bound to."""
    return encode((ANSWER_TAG, route.chain, route.sender, route.recipient, route.path, ask_digest))


def _padded(body: AskBody | AnswerBody) -> bytes:
    plain = encode(body)
    return encode(msgspec.structs.replace(body, padding=bytes(-len(plain) % PADDED_TO_BYTES)))
