"""What scopes are called on a page for people."""

from typing import Final

from salus.api.smart.scopes import ANY, Context, Scope, parse, resources
from salus.clinical.fhir.kinds import kind_of

VERBS: Final = (("rs", "see"), ("c", "add"), ("u", "change"), ("d", "delete"))
OTHERS: Final = {
    "openid": "recognise you when you come back",
    "fhirUser": "know who you are in the records of this organisation",
    "profile": "know who you are in the records of this organisation",
    "launch": "know which patient you were looking at",
    "launch/patient": "know which patient it is about",
    "online_access": "go on while you are signed in, for up to 12 hours",
    "offline_access": "go on for 90 days, also while you are away",
    "salus/history": "see who looked at your records, with the proof",
    "salus/tickets": "see, give and end tickets, by which others may see these records",
    "salus/ledger": "read which members there are, and what the ledger answered this organisation",
}


def words_of(scopes: tuple[str, ...], *, is_patient: bool) -> list[tuple[str, str]]:
    """Return (scope, words) for each scope, those about records first."""
    of_records = [str(each) for each in resources(scopes)]
    said = [(each, _records(parse(each), is_patient=is_patient)) for each in of_records]
    return said + [(each, OTHERS[each]) for each in scopes if each in OTHERS]


def _records(scope: Scope, *, is_patient: bool) -> str:
    verbs = [verb for letters, verb in VERBS if set(letters) & set(scope.interactions)]
    listed = verbs[0] if len(verbs) == 1 else f"{', '.join(verbs[:-1])} and {verbs[-1]}"
    kind = "records of every kind" if scope.type == ANY else kind_of(scope.type)
    whose = ("your " if is_patient else "this patient’s ") if scope.context is Context.PATIENT else ""
    limit = "" if whose else " that you may see yourself"
    where = " and ".join(f"{name} is {value}" for name, value in scope.narrowing)
    return f"{listed} {whose}{kind}{limit}" + (f", where {where}" if where else "")
