"""Each way in which a command fails has its exit status, what is wrong, and what to do."""

import errno

import pytest

from salus.cli.failures import BAD_INPUT, NO, TRY_LATER, Failure, failure_of, split
from salus.clinical.fhir import Fault, FhirRejected
from salus.engines import base
from salus.ledger.verifier import TrustRootInvalid
from salus.node.config import SettingsUnfit
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.keys import KeysUnfit
from salus.sdk.following import HeaderAbsent
from salus.sdk.wallet import WalletRefuses
from salus.sdk.wallet_files import WalletFileUnfit
from salus.vault import errors as vault

FHIR = FhirRejected(Fault.NOT_JSON, expected="JSON", came="another text", hint="send JSON", place="line 3")

CASES: dict[str, tuple[Exception, tuple[int, str, str]]] = {
    "refused": (Refused(Refusal.PERMIT_DEAD, "permit ended: ask again"), (NO, "permit ended", "ask again")),
    "not now": (NotNow("the ledger is away: try later"), (TRY_LATER, "the ledger is away", "try later")),
    "ledger away": (base.Unavailable("no answer: start it"), (TRY_LATER, "no answer", "start it")),
    "vault away": (vault.Unavailable("disk full: free some"), (TRY_LATER, "disk full", "free some")),
    "vault says no": (vault.RootGone("root 3: restore it"), (BAD_INPUT, "root 3", "restore it")),
    "settings": (SettingsUnfit("no file: name one"), (BAD_INPUT, "no file", "name one")),
    "keys": (KeysUnfit("exposed: chmod 600 it"), (BAD_INPUT, "exposed", "chmod 600 it")),
    "FHIR": (FHIR, (BAD_INPUT, "line 3: expected JSON, came another text", "send JSON")),
    "wallet refuses": (WalletRefuses("two pseudonyms: sign each"), (NO, "two pseudonyms", "sign each")),
    "wallet file": (WalletFileUnfit("changed: take a copy"), (BAD_INPUT, "changed", "take a copy")),
    "no header": (HeaderAbsent("no block 9: name another"), (TRY_LATER, "no block 9", "name another")),
    "trust": (TrustRootInvalid("newer: get it again"), (BAD_INPUT, "newer", "get it again")),
    "missing": (
        FileNotFoundError(errno.ENOENT, "No such file or directory", "x"),
        (BAD_INPUT, "No such file or directory: x", "check the path, and who may read it"),
    ),
    "there already": (
        FileExistsError(errno.EEXIST, "File exists", "x"),
        (BAD_INPUT, "File exists: x", "name a new file, or move the old one away"),
    ),
    "disk full": (
        OSError(errno.ENOSPC, "No space left on device"),
        (TRY_LATER, "No space left on device", "free some room on the disk, then run the same again"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_failure(name: str) -> None:
    error, expected = CASES[name]
    failure = failure_of(error)
    assert failure is not None
    assert (failure.status, failure.words, failure.hint) == expected


def test_without_a_remedy_there_is_a_hint_all_the_same() -> None:
    failure = failure_of(NotNow("nothing answers"))
    assert isinstance(failure, Failure)
    assert failure.hint == "try again in a moment; salus status shows what is there"


def test_a_fault_of_the_program_is_no_failure() -> None:
    assert failure_of(ValueError("we are wrong")) is None
    assert failure_of(AssertionError("we are wrong")) is None


def test_the_remedy_comes_last() -> None:
    assert split("expected a: b, came c: do d") == ("expected a: b, came c", "do d")
    assert split("no remedy") == ("no remedy", "")
