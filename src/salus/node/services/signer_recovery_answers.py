"""What the signer page answered about recovery, held against what was asked; see `signer_answers`.

The page says by which recovery key it signed; that it is in force, the ledger decides.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from salus.contracts.patients import (
    CancelRecovery,
    ChangeRecoveryKey,
    FinishRecovery,
    StartRecovery,
    UndoRecoveryKey,
)
from salus.ledger.identifiers import Digest, PublicKey
from salus.node.services.signer_parts import Part, Signed, members, need, read_ending, read_whole
from salus.node.services.signer_requests import (
    BeginRecovery,
    ChangeGuardians,
    ChooseGuardians,
    EndRecovery,
    Item,
    KeepGuardians,
    SigningRequest,
    StopRecovery,
)


def _guardians_chosen(request: SigningRequest, item: ChooseGuardians, said: Mapping[str, str]) -> Signed:
    pseudonym, key, second, *rest = members(said, "pseudonym", "key", "second", "transaction", "residual")
    whole = read_whole(request, rest)
    need(pseudonym == item.pseudonym and len(second) == (32 if item.second else 0))
    message = ChangeRecoveryKey(item.pseudonym, PublicKey(key), Digest(second), whole.root())
    return whole.of(message, why="guardians chosen")


def _recovery_begun(request: SigningRequest, item: BeginRecovery, said: Mapping[str, str]) -> Signed:
    pseudonym, key, recovery, *rest = members(said, "pseudonym", "key", "recovery", "transaction", "residual")
    whole = read_whole(request, rest, signers=2)
    need(pseudonym == item.pseudonym and whole.signers == (recovery, key))
    message = StartRecovery(item.pseudonym, PublicKey(key), whole.root())
    return whole.of(message, why="the device was lost")


def _guardians_changed(request: SigningRequest, item: ChangeGuardians, said: Mapping[str, str]) -> Signed:
    pseudonym, key, second, recovery, *rest = members(
        said, "pseudonym", "key", "second", "recovery", "transaction", "residual"
    )
    whole = read_whole(request, rest)
    need(pseudonym == item.pseudonym and whole.signers == (recovery,) and recovery == item.recovery)
    need(len(second) == (32 if item.second else 0))
    message = ChangeRecoveryKey(item.pseudonym, PublicKey(key), Digest(second), whole.root())
    return whole.of(message, why="guardians chosen")


def _by_guardians(make: Callable[[Any, Digest], FinishRecovery | UndoRecoveryKey], why: str) -> Callable[..., Part]:
    """Read what guardians alone sign, by the key that is named, if one was."""

    def read(request: SigningRequest, item: EndRecovery | KeepGuardians, said: Mapping[str, str]) -> Signed:
        pseudonym, recovery, *rest = members(said, "pseudonym", "recovery", "transaction", "residual")
        whole = read_whole(request, rest)
        need(pseudonym == item.pseudonym and whole.signers == (recovery,))
        need(isinstance(item, EndRecovery) or recovery == item.recovery)
        return whole.of(make(item, whole.root()), why=why)

    return read


def _end(item: EndRecovery, root: Digest) -> FinishRecovery:
    return FinishRecovery(item.pseudonym, root)


def _undoing(item: KeepGuardians, root: Digest) -> UndoRecoveryKey:
    return UndoRecoveryKey(item.pseudonym, root)


def _cancellation(item: StopRecovery, root: Digest) -> CancelRecovery:
    return CancelRecovery(item.pseudonym, root)


READERS: Final[Mapping[type[Item], Callable[..., Part]]] = {
    StopRecovery: read_ending(_cancellation, "cancelled by the patient"),
    ChooseGuardians: _guardians_chosen,
    ChangeGuardians: _guardians_changed,
    KeepGuardians: _by_guardians(_undoing, "undone"),
    BeginRecovery: _recovery_begun,
    EndRecovery: _by_guardians(_end, "recovered"),
}
"""A reader for each kind of item."""
