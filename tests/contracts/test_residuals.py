"""What stands behind a commitment: each residual reads back as it was written, and is refused in any other shape."""

from collections.abc import Callable

import pytest

from salus.contracts import residuals
from salus.contracts.provisions import Provision, ProvisionInvalid, ProvisionType
from salus.contracts.residuals import (
    PersonCertificate,
    RequestResidual,
    ResidualInvalid,
    Scope,
    Session,
    certify_session,
    commit_certificate,
    commit_choice,
    commit_request,
)
from salus.crypto.signing import SigningKey
from salus.ledger.encoding import EncodingInvalid, encode
from salus.ledger.fields import CommittedFields, commit_fields
from salus.ledger.identifiers import OrganisationId, PublicKey

pytestmark = pytest.mark.promise("P1", "P2")

SECRET = bytes(32)
KEY = SigningKey.from_seed(bytes(32))
TREE = Provision(type=ProvisionType.PERMIT)
PERSON = PersonCertificate(OrganisationId("A81001"), "A. Person", "GP", "GMC 1", (), PublicKey(KEY.public))
SESSION = certify_session(Session(PublicKey(KEY.public), OrganisationId("RVJ"), 0, 60), KEY)
REQUEST = RequestResidual(bytes(16), Scope(), commit_certificate(PERSON, secret=SECRET), SESSION, "asked by telephone")
REQUEST_VALUES = commit_request(REQUEST, secret=SECRET).values


def committed(*values: object) -> CommittedFields:
    return commit_fields(values, secret=SECRET)


def request_with(place: int, value: bytes) -> CommittedFields:
    return CommittedFields(SECRET, (*REQUEST_VALUES[:place], value, *REQUEST_VALUES[place + 1 :]))


def test_each_reads_back_as_it_was_written() -> None:
    assert residuals.reason_words(residuals.reason("moved away", SECRET)) == "moved away"
    assert residuals.choice_tree(commit_choice(TREE, secret=SECRET)) == TREE
    assert residuals.person_certificate(commit_certificate(PERSON, secret=SECRET)) == PERSON
    assert residuals.request_residual(commit_request(REQUEST, secret=SECRET)) == REQUEST


REFUSED: dict[str, tuple[Callable[[CommittedFields], object], CommittedFields, type[Exception]]] = {
    "a reason without words": (residuals.reason_words, committed(), ResidualInvalid),
    "two reasons": (residuals.reason_words, committed("one", "two"), ResidualInvalid),
    "a reason that is a number": (residuals.reason_words, committed(1), EncodingInvalid),
    "a reason of 2,001 characters": (residuals.reason_words, committed("x" * 2001), EncodingInvalid),
    "no rules": (residuals.choice_tree, committed(), ResidualInvalid),
    "rules twice": (residuals.choice_tree, committed(TREE, TREE), ResidualInvalid),
    "rules that are a word": (residuals.choice_tree, committed("permit"), ProvisionInvalid),
    "a certificate of nobody": (residuals.person_certificate, committed("A. Person"), EncodingInvalid),
    "a request with a field too few": (
        residuals.request_residual, CommittedFields(SECRET, REQUEST_VALUES[:4]), ResidualInvalid,
    ),
    "a request with a field too many": (
        residuals.request_residual, CommittedFields(SECRET, (*REQUEST_VALUES, b"\xa0")), ResidualInvalid,
    ),
    "a request id of 15 bytes": (residuals.request_residual, request_with(0, encode(bytes(15))), EncodingInvalid),
    "a request id of 17 bytes": (residuals.request_residual, request_with(0, encode(bytes(17))), EncodingInvalid),
    **{
        f"a request whose field {place} is another's": (
            residuals.request_residual, request_with(place, REQUEST_VALUES[(place + 1) % 5]), EncodingInvalid,
        )
        for place in range(5)
    },
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_another_shape_is_refused(name: str) -> None:
    read, residual, error = REFUSED[name]
    with pytest.raises(error):
        read(residual)
