"""The asking end of own proofs: a member without a ledger process at a validator (docs/spec/own-proofs.md).

Promises: an answer counts only when it is the validator's own, to this very request; an outcome counts only with its
proof under what the member trusts. The age of the member's state is that of the newest header that it verified.
"""

import secrets
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from salus.crypto.hashing import sha256
from salus.crypto.signing import SigningKey
from salus.ledger.encoding import Decoder, EncodingInvalid, encode
from salus.ledger.identifiers import Digest, OrganisationId
from salus.ledger.outcomes import TransactionResult
from salus.ledger.proofs import LightBlock
from salus.ledger.verifier import Trust, VerifiedOutcome, verify_outcome, verify_state
from salus.ledger.verifier.state import verify_header
from salus.node.errors import NotNow
from salus.node.http_signatures import (
    NONCE_BYTES,
    MessageUnsigned,
    RequestHead,
    gather,
    sign_request,
    verify_answer,
)
from salus.node.ledger_answers import (
    BLOCK,
    HEADER_PATH,
    OUTCOME_PATH,
    PROOF_PATH,
    PROOFS,
    RESULT,
    SUBMIT_PATH,
    At,
    Named,
)
from salus.node.plain_answers import raise_plain

TIMEOUT_S: Final = 45.0
"""Longer than a submission waits for its outcome."""
NS: Final = 10**9


@dataclass(frozen=True)
class Validator:
    """Whom to ask.

    Args:
        endpoint: its registered endpoint, without a slash at its end; `path` is the part of it after the host.
        http_key: its registered http key.
    """

    organisation: OrganisationId
    endpoint: str
    path: str
    http_key: bytes


class ValidatorLedger:
    """One member's end; one thread uses it.

    Args:
        key: the member's registered http key.
        trust: a trust root or store, from a trust file.
        clock: Unix seconds.
    """

    def __init__(
        self,
        member: OrganisationId,
        key: SigningKey,
        validator: Validator,
        trust: Trust,
        *,
        clock: Callable[[], float] = time.time,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._member = member
        self._key = key
        self._validator = validator
        self._trust = trust
        self._clock = clock
        self._verified_s = 0
        self._client = httpx2.Client(verify=tls if tls is not None else True, timeout=TIMEOUT_S, trust_env=False)

    def submit(self, raw: bytes) -> TransactionResult:
        """Submit a transaction of this member. Raises Refused or NotNow; then the same bytes can be sent again."""
        result: TransactionResult = self._ask(SUBMIT_PATH, raw, RESULT)
        return result

    def outcome(self, name: Digest) -> TransactionResult:
        """Return what the validator says of a transaction; not proved. Raises Refused (NOT_YOURS) or NotNow."""
        result: TransactionResult = self._ask(OUTCOME_PATH, encode(Named(name)), RESULT)
        return result

    def proved(self, name: Digest) -> list[VerifiedOutcome]:
        """Return the outcomes of a transaction, each verified.

        Raises:
            Refused: NOT_YOURS.
            NotNow: no answer, or one of another transaction.
            VerificationFailed: a proof does not hold.
        """
        verified = []
        for bundle in self._ask(PROOF_PATH, encode(Named(name)), PROOFS):
            state = verify_state(self._trust, bundle.signed, now_s=int(self._clock()))
            self._saw(state.time_s)
            verified.append(verify_outcome(state, bundle.outcome))
        if any(each.leaf.transaction != name for each in verified):
            raise NotNow("the validator proves another transaction than was asked: ask another validator")
        return verified

    def header(self, height: int = 0) -> LightBlock:
        """Return a verified signed header, the newest for 0. Raises NotNow or VerificationFailed."""
        block: LightBlock = self._ask(HEADER_PATH, encode(At(height)), BLOCK)
        signed = verify_header(self._trust, block.header, block.validators, now_s=int(self._clock()))
        self._saw(signed.header.time_ns // NS)
        return block

    def age_s(self) -> float:
        """Return how old the newest header is that was verified here, in seconds; infinite before the first."""
        return max(0.0, self._clock() - self._verified_s) if self._verified_s else float("inf")

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def _saw(self, time_s: int) -> None:
        self._verified_s = max(self._verified_s, time_s)

    def _ask(self, path: str, body: bytes, kind: Decoder) -> Any:
        to = self._validator
        head = RequestHead(to.path + path, self._member, to.organisation, sha256(body))
        request = sign_request(head, self._key, created_s=int(self._clock()), nonce=secrets.token_bytes(NONCE_BYTES))
        try:
            came = self._client.post(to.endpoint + path, content=body, headers=request.fields())
        except httpx2.TransportError as error:
            raise NotNow(f"{to.organisation} does not answer ({type(error).__name__}): try later") from error
        fields = gather(came.headers.raw)
        try:
            verify_answer(request, status=came.status_code, fields=fields, body=came.content, key=to.http_key)
        except MessageUnsigned as error:
            raise NotNow(f"what came is not {to.organisation}'s answer: {error}") from error
        if came.status_code != 200:
            raise_plain(came.content)
        try:
            return kind.decode(came.content)
        except EncodingInvalid as error:
            raise NotNow("the validator answers in what this release does not know: use a newer one") from error
