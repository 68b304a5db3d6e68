"""What an access and a relationship cost in bytes of the ledger (DESIGN §9); the figures are printed (`pytest -s`).

Counted are the bytes of the formats: transactions as they are in blocks, leaves, and rows with their keys. A permit's
row goes when its ends have closed it; it is shown apart, as what an access takes while its permit lives.
"""

from collections.abc import Sequence

import pytest

from salus.contracts.access import CommitReleases, End, RequestAccess, permit_id
from salus.contracts.consent import FileConsent
from salus.contracts.patients import Enrol, Holder
from salus.contracts.provisions import Purpose, RoleClass, Verb, gate
from salus.ledger.outcomes import TransactionResult, decode_leaf
from salus.ledger.state import STATE
from salus.ledger.transactions import Message, sign
from tests.contracts.network import CHAIN, Given, MemoryLedger, digest, first_rows, key, organisation, pseudonym
from tests.contracts.trees import TREES

ACCESS_BYTES_MAX = 900
RELATIONSHIP_BYTES_MAX = 1_500
BATCH = 16


class Account:
    """A ledger that counts what each transaction adds."""

    def __init__(self) -> None:
        self.ledger = MemoryLedger(first_rows(Given()))
        self.parts: list[tuple[str, int]] = []
        self._nonce = 0

    def submit(self, what: str, messages: Sequence[Message], *signers: str, share: int = 1) -> TransactionResult:
        """Submit a transaction; count a share of its bytes and of its leaves."""
        self._nonce += 1
        raw = sign(
            messages, chain=CHAIN, keys=[key(name) for name in signers], expires_at_s=self.ledger.time_s + 60,
            nonce=digest(f"nonce {self._nonce}")[:16],
        )  # fmt: skip
        (result,) = self.ledger.submit([raw])
        assert result.code == 0, result.reason
        self.parts.append((f"{what}: transaction", -(-len(raw) // share)))
        self.parts.append((f"{what}: leaf", -(-sum(map(len, result.leaves)) // share)))
        return result

    def rows(self, table: str) -> int:
        """The bytes of a table's rows with their keys."""
        rows = self.ledger.store.rows[STATE].items()
        return sum(len(place) + len(row) for place, row in rows if place.startswith(table.encode() + b"\x00"))

    def total(self, title: str) -> int:
        """Print the account; return the sum."""
        total = sum(size for _, size in self.parts)
        print(f"\n{title}: {total} bytes")
        for what, size in self.parts:
            print(f"  {size:5} {what}")
        return total


def enrol(account: Account, name: str) -> None:
    message = Enrol(pseudonym(name), organisation("hospital"), key(name).public, Holder.PATIENT,
                    key(f"{name}-recovery").public, digest("commitment"))  # fmt: skip
    account.submit("Enrol", [message], "hospital", name)


def file_consent(account: Account, name: str, tree: str) -> None:
    message = FileConsent(pseudonym(name), digest("c1")[:16], gate(TREES[tree]), digest("rules"), 0)
    account.submit("FileConsent", [message], name)


def request(account: Account, name: str, number: int) -> bytes:
    message = RequestAccess(
        pseudonym(name), organisation("hospital"), organisation("practice"), RoleClass.CLINICAL, Purpose.TREAT,
        Verb.READ, 900, 0, digest(f"reader {number}"), b"", digest(f"residual {number}"),
    )  # fmt: skip
    result = account.submit("RequestAccess", [message], "okafor", "practice")
    leaf = decode_leaf(result.leaves[0])
    return permit_id(leaf.transaction, leaf.index)


def anchor(account: Account, permits: list[tuple[str, bytes]], end: End, signer: str) -> None:
    messages = [
        CommitReleases(pseudonym(name), permit, end, digest(f"receipts {permit.hex()} {end}"), is_closed=True)
        for name, permit in permits
    ]
    account.submit(f"CommitReleases of the {end.name.lower()}, 1 of {BATCH}", messages, signer, share=BATCH)


def test_bytes_per_access() -> None:
    account = Account()
    permits = []
    for number in range(BATCH):
        enrol(account, f"patient {number}")
        file_consent(account, f"patient {number}", "practice")
        account.parts.clear()
        permits.append((f"patient {number}", request(account, f"patient {number}", number)))
    row = account.rows("access.permits") // BATCH
    anchor(account, permits, End.CUSTODIAN, "hospital")
    anchor(account, permits, End.REQUESTER, "practice")
    total = account.total("access")
    print(f"  {row:5} while the permit lives: its row")
    assert account.rows("access.permits") == 0, "an access that both ends closed leaves no row"
    assert total <= ACCESS_BYTES_MAX


@pytest.mark.parametrize("tree", ["practice", "no-psychiatry", "insurer"])
def test_bytes_per_relationship_with_one_choice(tree: str) -> None:
    account = Account()
    enrol(account, "ann")
    file_consent(account, "ann", tree)
    for table in ("patients.relationships", "consent.choices", "machine.history"):
        account.parts.append((f"row of {table}", account.rows(table)))
    assert account.total(f"relationship with the choice {tree}") < RELATIONSHIP_BYTES_MAX
