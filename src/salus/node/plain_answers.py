"""Answers of the exchange that are not sealed: what a node says to whom it could not, or would not, open a body for.

JSON with a refusal's number and words of ours, nothing of the request (P4). Signed like every answer when the request
could be read: a caller acts on no refusal that somebody on the way could have written.
"""

from typing import Final, NoReturn

import msgspec

from salus.node.errors import Busy, NotNow, Refusal, Refused

NOT_NOW: Final = 0
RETRY_AFTER_S: Final = {429: 1, 503: 2}
"""By status: a full queue moves in a moment, and what is away is given longer."""
_STATUS: Final = {
    Refusal.SENDER_UNKNOWN: 403,
    Refusal.SIGNATURE_UNFIT: 401,
    Refusal.REPLAYED: 409,
    Refusal.TOO_MANY: 429,
    Refusal.NOT_YOURS: 404,
    Refusal.NOT_A_VALIDATOR: 404,
}


class PlainAnswer(msgspec.Struct, frozen=True):
    """A refusal's number, 0 for *not now*, and words for people."""

    refusal: int
    words: str


_DECODER: Final = msgspec.json.Decoder(PlainAnswer)


def plain(error: Refused | NotNow) -> tuple[int, bytes]:
    """Return the HTTP status and the body that say an error."""
    if isinstance(error, NotNow):
        return 429 if isinstance(error, Busy) else 503, plain_body(NOT_NOW, str(error))
    return _STATUS.get(error.refusal, 400), plain_body(error.refusal, error.words)


def plain_body(refusal: int, words: str) -> bytes:
    """Return the JSON body of an unsealed answer."""
    return msgspec.json.encode(PlainAnswer(refusal, words))


def raise_plain(body: bytes) -> NoReturn:
    """Raise the Refused or NotNow that an authentic unsealed answer says."""
    try:
        said = _DECODER.decode(body)
        refusal = Refusal(said.refusal) if said.refusal != NOT_NOW else None
    except (msgspec.DecodeError, ValueError) as error:
        raise NotNow("the other node answers with what this release does not know: try later") from error
    if refusal is None:
        raise NotNow(said.words)
    raise Refused(refusal, said.words)
