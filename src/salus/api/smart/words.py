"""What scopes are called on a page for people."""

import re
from typing import Final

from salus.api.smart.scopes import ANY, Context, Scope, parse, resources

VERBS: Final = (("r", "see"), ("s", "search"), ("c", "add"), ("u", "change"), ("d", "delete"))
OTHERS: Final = {
    "openid": "know that it is you each time",
    "fhirUser": "know which entry of this organisation you are",
    "profile": "know which entry of this organisation you are",
    "launch": "know which patient you were looking at",
    "launch/patient": "know which patient it is about",
    "online_access": "go on while you are signed in, for up to 12 hours",
    "offline_access": "go on for 90 days, also while you are away",
}


def words_of(scopes: tuple[str, ...], *, is_patient: bool) -> list[tuple[str, str]]:
    """Return (scope, words) for each scope, those about records first."""
    of_records = [str(each) for each in resources(scopes)]
    said = [(each, _records(parse(each), is_patient=is_patient)) for each in of_records]
    return said + [(each, OTHERS[each]) for each in scopes if each in OTHERS]


def _records(scope: Scope, *, is_patient: bool) -> str:
    verbs = [verb for letter, verb in VERBS if letter in scope.interactions]
    listed = verbs[0] if len(verbs) == 1 else f"{', '.join(verbs[:-1])} and {verbs[-1]}"
    kind = "all records" if scope.type == ANY else f"records of the kind {_spaced(scope.type)}"
    about_one = " about you" if is_patient else " about this patient"
    whose = about_one if scope.context is Context.PATIENT else " that you may see"
    where = " and ".join(f"{name} is {value}" for name, value in scope.narrowing)
    return f"{listed} {kind}{whose}" + (f", where {where}" if where else "")


def _spaced(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
