"""How a command fails: an exit status, what is wrong, what to do.

Our exceptions say *expected …, came …: do …*; here that becomes `error:` and `hint:`. An exception that is none of
ours is a fault of the program and is not caught.
"""

import errno

NO = 1
BAD_INPUT = 2
TRY_LATER = 3


class Failure(Exception):
    """A command that fails.

    Args:
        status: the exit status.
        words: what was expected and what came; nothing about a person.
        hint: what to do.
    """

    def __init__(self, status: int, words: str, hint: str) -> None:
        super().__init__(words)
        self.status = status
        self.words = words
        self.hint = hint


DEFAULT_HINTS = {
    NO: "salus audit shows what is permitted, and why",
    BAD_INPUT: "salus --help lists the commands, salus COMMAND --help their arguments",
    TRY_LATER: "try again in a moment; salus status shows what is there",
}


def failure_of(error: Exception) -> Failure | None:
    """Return the failure that an exception of ours means; None for any other."""
    if isinstance(error, OSError):
        return _of_system(error)
    for status, kinds in _kinds().items():
        if isinstance(error, kinds):
            words, hint = split(str(error))
            return Failure(status, words, hint or DEFAULT_HINTS[status])
    return None


def split(words: str) -> tuple[str, str]:
    """Split a message of ours into what is wrong and what to do; the second is empty when it says nothing."""
    wrong, separator, remedy = words.rpartition(": ")
    return (wrong, remedy) if separator else (words, "")


def _kinds() -> dict[int, tuple[type[Exception], ...]]:
    """The exceptions of each status; imported only when something has failed."""
    from salus.clinical.fhir.faults import FhirRejected
    from salus.clinical.nhs_number import NhsNumberInvalid
    from salus.contracts.genesis import GenesisInvalid
    from salus.contracts.provisions import ProvisionInvalid
    from salus.engines import base
    from salus.ledger.contract import Rejected
    from salus.ledger.machine import ChainMismatch
    from salus.ledger.verifier import TrustRootInvalid, VerificationFailed
    from salus.node.config import SettingsUnfit
    from salus.node.errors import NotNow, Refused
    from salus.node.journal import JournalDamaged
    from salus.node.keys import KeysUnfit
    from salus.node.schema import SchemaNewer
    from salus.sdk.following import HeaderAbsent
    from salus.sdk.wallet import WalletRefuses
    from salus.sdk.wallet_files import WalletFileUnfit
    from salus.testing.population import FolderInUse
    from salus.vault import errors as vault

    return {
        TRY_LATER: (NotNow, base.Unavailable, vault.Unavailable, HeaderAbsent),
        NO: (Refused, Rejected, WalletRefuses, VerificationFailed),
        BAD_INPUT: (
            *(FhirRejected, NhsNumberInvalid, GenesisInvalid, ProvisionInvalid, ChainMismatch, SettingsUnfit),
            *(TrustRootInvalid, JournalDamaged, KeysUnfit, SchemaNewer, WalletFileUnfit, FolderInUse, vault.Rejected),
        ),
    }


def _of_system(error: OSError) -> Failure:
    where = f" {error.filename}" if error.filename else ""
    words = f"{error.strerror or type(error).__name__}:{where}".rstrip(":")
    if isinstance(error, FileExistsError):
        return Failure(BAD_INPUT, words, "name a new file, or move the old one away")
    if isinstance(error, (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)):
        return Failure(BAD_INPUT, words, "check the path, and who may read it")
    if error.errno == errno.ENOSPC:
        return Failure(TRY_LATER, words, "free some room on the disk, then run the same again")
    return Failure(TRY_LATER, words, DEFAULT_HINTS[TRY_LATER])
