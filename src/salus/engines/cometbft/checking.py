"""Which bytes are transactions: decoded and verified once, and remembered while they may come again.

Bytes come three times: to the mempool, in a proposal, in a decided block. Checking a signature costs more than most
messages do, so its verdict is kept. What fails is not kept: it can always be told again.
"""

import threading
from collections.abc import Sequence

from salus.engines.verifier import Verifier
from salus.ledger import transactions
from salus.ledger.encoding import Decoder
from salus.ledger.transactions import NotATransaction, Transaction

REMEMBERED_MAX = 60_000
"""Transactions: a full mempool and a block."""
FORGOTTEN_AT_ONCE = 4_096

Checked = Transaction | NotATransaction


class Checker:
    """Tells transactions of one chain from other bytes. For any thread.

    Args:
        verifier: checks signatures; used by one thread at a time.
    """

    def __init__(self, chain: str, messages: Decoder, verifier: Verifier) -> None:
        self._chain = chain
        self._messages = messages
        self._verifier = verifier
        self._verifying = threading.Lock()
        self._known: dict[bytes, Transaction] = {}
        self._changing = threading.Lock()

    def remember(self, transaction: Transaction) -> None:
        """Keep one whose signatures were verified elsewhere."""
        with self._changing:
            self._known[transaction.raw] = transaction
            if len(self._known) > REMEMBERED_MAX:
                for raw in list(self._known)[:FORGOTTEN_AT_ONCE]:  # the oldest
                    del self._known[raw]

    def known(self, raw: bytes) -> Transaction | None:
        """Return a transaction that was verified before; None when it was not, or was forgotten."""
        return self._known.get(raw)

    def forget(self, raws: Sequence[bytes]) -> None:
        """Forget bytes that are in a committed block: they are seen from now on."""
        with self._changing:
            for raw in raws:
                self._known.pop(raw, None)

    def check(self, raws: Sequence[bytes]) -> list[Checked]:
        """Say of each what it is: a pure function of the bytes. Raises VerifierLost."""
        return self.verify(self.decode(raws))

    def decode(self, raws: Sequence[bytes]) -> list[Checked]:
        """Say of each what it is if its signatures hold: they are not looked at."""
        return [self._known.get(raw) or self._decode(raw) for raw in raws]

    def verify(self, decoded: Sequence[Checked]) -> list[Checked]:
        """Say of what was decoded what it is: signatures that are new are verified together. Raises VerifierLost."""
        checked = list(decoded)
        new = [
            place for place, each in enumerate(checked) if isinstance(each, Transaction) and each.raw not in self._known
        ]
        if new:
            self._verify(checked, new)
        return checked

    def close(self) -> None:
        """Let the verifier go."""
        self._verifier.close()

    def _verify(self, checked: list[Checked], places: list[int]) -> None:
        new = [each for place in places if isinstance(each := checked[place], Transaction)]
        with self._verifying:
            self._verifier.send(
                [(each.body_bytes, tuple(each.body.signers), each.signatures) for each in new],
            )
            verdicts = self._verifier.receive()
        for place, transaction, holds in zip(places, new, verdicts, strict=True):
            if holds:
                self.remember(transaction)
            else:
                checked[place] = NotATransaction("expected signatures of all signers: one does not verify")

    def _decode(self, raw: bytes) -> Checked:
        try:
            return transactions.decode(raw, chain=self._chain, messages=self._messages)
        except NotATransaction as error:
            return error
