"""Delegates: a patient lets somebody act, as far as they say; both sign, and the terms stay off the ledger."""

from datetime import date
from typing import Final

from salus.clinical.uk_time import uk_date, uk_datetime
from salus.contracts.patients import AddKey, KeyKind
from salus.contracts.residuals import DelegateTerms, Relation, commit_delegate
from salus.crypto.sealing import new_key
from salus.crypto.signing import SigningKey
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import PublicKey
from salus.sdk.wallet import Relationship, Wallet, sign

WHO: Final = {
    Relation.PARENT: "your parent",
    Relation.CARER: "your carer",
    Relation.ATTORNEY: "your attorney",
    Relation.OTHER: "your helper",
}


def sign_delegate(
    wallet: Wallet, of: Relationship, key: SigningKey, terms: DelegateTerms, *, time_s: int, expires_at_s: int = 0
) -> tuple[bytes, CommittedFields]:
    """Sign what lets a delegate act, with both keys; return it with the terms for the custodian.

    Args:
        key: the delegate's, for this relationship alone (P7).
        time_s, expires_at_s: Unix seconds; 0 for no end but that of the terms.

    Raises:
        ResidualInvalid: terms that no custodian takes, such as a parent's without an age.
    """
    residual = commit_delegate("let act by the patient", terms, secret=new_key())
    message = AddKey(of.pseudonym, PublicKey(key.public), KeyKind.DELEGATE, expires_at_s, residual.root())
    return sign(wallet, of, message, time_s=time_s, also=(key,)), residual


def delegate_words(terms: DelegateTerms, *, until: date | None) -> str:
    """Return who a delegate is, and until when: `your parent Mary, who may act for you until 1 March 2027`.

    Args:
        until: the day on which it ends, by the key or by the patient's age; None for no end.
    """
    end = "" if until is None else f" until {uk_date(until)}"
    return f"{WHO[terms.relation]} {terms.name}, who may act for you{end}"


def day_of_end(expires_at_s: int) -> date | None:
    """Return the day on which a key ends, as the clocks of the UK show it; None for one without an end."""
    return uk_datetime(expires_at_s).date() if expires_at_s else None
