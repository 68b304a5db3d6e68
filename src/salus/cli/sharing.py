"""Choices at a custodian's desk: made with the patient's wallet, or with the key that the custodian holds."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from salus.cli.output import Facts
from salus.cli.persons import find_patient
from salus.cli.wallets import OpenWallet
from salus.clinical.uk_time import uk_time
from salus.contracts import consent, membership
from salus.contracts.patients import Actor
from salus.contracts.provisions import Provision
from salus.contracts.residuals import choice_tree
from salus.ledger.identifiers import OrganisationId, Pseudonym
from salus.node import documents
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.errors import Refusal, Refused
from salus.node.opening import open_node
from salus.node.services import choices
from salus.sdk import wallet as wallets
from salus.sdk.choice_words import sentences
from salus.sdk.wallet import Relationship

ACTORS = {
    Actor.PATIENT: "the patient",
    Actor.DELEGATE: "somebody the patient lets act",
    Actor.CUSTODIAN: "the custodian, for the patient",
}


@dataclass(frozen=True)
class Shared:
    """A choice in force with its rules, who made it and when."""

    choice: bytes
    tree: Provision
    actor: Actor
    filed_at_s: int


@dataclass(frozen=True)
class Sharing:
    """One patient's choices at one node; `wallet` is None where the custodian holds the key."""

    node: Node
    pseudonym: Pseudonym
    wallet: OpenWallet | None

    def file(self, tree: Provision) -> Shared:
        """File a choice. Raises Refused or NotNow."""
        if self.wallet is None:
            choice = choices.file_by_custodian(self.node, self.pseudonym, tree)
        else:
            now_s = self.node.clock()
            signed = wallets.sign_choice(self.wallet.wallet, self._mine(self.wallet), tree, time_s=now_s)
            choices.take_choice(self.node, signed.raw, signed.message, signed.residual)
            mine = self._mine(self.wallet)
            self.wallet.put(wallets.keep_choice(self.wallet.wallet, mine, signed, time_s=now_s))
            choice = signed.message.choice
        return next(each for each in self.in_force() if each.choice == choice)

    def withdraw(self, choice: bytes) -> None:
        """Withdraw a choice. Raises Refused or NotNow."""
        if self.wallet is None:
            choices.withdraw_by_custodian(self.node, self.pseudonym, choice)
            return
        now_s = self.node.clock()
        signed = wallets.sign_withdrawal(self.wallet.wallet, self._mine(self.wallet), choice, time_s=now_s)
        choices.take_withdrawal(self.node, signed.raw, signed.message, signed.residual)
        self.wallet.put(wallets.keep_withdrawal(self.wallet.wallet, self._mine(self.wallet), choice, time_s=now_s))

    def in_force(self) -> list[Shared]:
        """Return the choices in force. Raises Refused when the node does not hold the rules of one."""
        with self.node.engine.snapshot() as reader:
            current = consent.choices(reader, self.pseudonym).choices
        return [Shared(each.choice, self._tree(each.commitment), each.actor, each.filed_at_s) for each in current]

    def names(self) -> dict[OrganisationId, str]:
        """Return what members are called."""
        with self.node.engine.snapshot() as reader:
            named = {
                code: membership.ORGANISATIONS.get(reader, code)
                for choice in self.in_force()
                for code in _organisations(choice.tree)
            }
        return {code: row.name for code, row in named.items() if row is not None}

    def _tree(self, commitment: bytes) -> Provision:
        kept = documents.find(self.node.vault, Kind.CHOICE, commitment)
        if kept is None:
            raise Refused(Refusal.RULES_MISSING, "the rules of a choice are not held here: deliver them again")
        return choice_tree(choices.RESIDUAL.decode(kept))

    def _mine(self, wallet: OpenWallet) -> Relationship:
        return wallets.relationship(wallet.wallet, chain=self.node.chain, custodian=self.node.organisation)


@contextmanager
def opened(
    node: Path, person: tuple[str | None, str | None, str | None], wallet: tuple[Path | None, Path | None]
) -> Iterator[Sharing]:
    """Open a node at whose desk a patient makes choices.

    Args:
        person: NHS number, date of birth, pseudonym, as far as they were given.
        wallet: the wallet and its key file; without one the custodian's key is used.
    """
    path, key_file = wallet
    own = OpenWallet(path, key_file) if path is not None else None
    number, born, pseudonym = person
    with open_node(node) as desk:
        if own is not None:
            mine = wallets.relationship(own.wallet, chain=desk.chain, custodian=desk.organisation)
            yield Sharing(desk, mine.pseudonym, own)
        else:
            yield Sharing(desk, find_patient(desk, number=number, born=born, pseudonym=pseudonym), None)


def show_choices(sharing: Sharing, shown: Sequence[Shared]) -> tuple[Facts, list[str]]:
    """Return choices as facts, and as sentences numbered as receipts number them."""
    names = sharing.names()
    facts, lines = [], []
    for each in shown:
        said = sentences(each.tree, names)
        facts.append(
            {
                "choice": each.choice,
                "made_by": each.actor.name.lower(),
                "filed_at_s": each.filed_at_s,
                "sentences": [{"path": one.path, "words": one.words} for one in said],
            }
        )
        lines.append(f"choice {each.choice.hex()[:8]}, by {ACTORS[each.actor]}, {uk_time(each.filed_at_s)}")
        lines += [f"  {one.path:<6}{one.words}" for one in said]
    return {"pseudonym": sharing.pseudonym, "choices": facts}, lines


def _organisations(tree: Provision) -> set[OrganisationId]:
    return set(tree.organisations).union(*map(_organisations, tree.provisions))
