"""Codes against the definitions: bindings of elements, and what can be said of a code by its system alone.

Never says that a code is wrong where its system or set is not wholly here: then it says nothing.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from salus.clinical.fhir.definitions import Binding, CodeSystem, Definitions
from salus.clinical.fhir.definitions.expansion import Codes, Expander
from salus.clinical.fhir.validation.issues import Place, Run, Severity
from salus.clinical.fhir.validation.primitives import uri

ABSOLUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:.+")
SEVERITY: Final[dict[str, Severity]] = {"required": "error", "extensible": "warning"}
SYSTEM_CHARS_MAX: Final = 1000  # no system is so long; what is kept of a client's words is bounded
KEPT: Final = 4096  # systems that one process remembers; beyond that they are looked up again


class Terms:
    """Looks codes up in the definitions, and in what is loaded beside them."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._expander = Expander(definitions.value_set, definitions.code_system)
        self.system_fault = lru_cache(KEPT)(self._system_fault)
        self.codes_of_system = lru_cache(KEPT)(self._codes_of_system)
        self.codes_if_sound = lru_cache(KEPT)(self._codes_if_sound)

    def codes(self, value_set: str) -> Codes:
        """The codes of a value set; a version that the address names is not compared."""
        return self._expander.codes(value_set.partition("|")[0])

    def check_coding(self, coding: dict[str, Any], place: Place, run: Run) -> None:
        """Check a Coding by its system alone."""
        system, code = coding.get("system"), coding.get("code")
        if type(system) is not str or len(system) > SYSTEM_CHARS_MAX:
            return
        fault = self.system_fault(system)
        if fault:
            run.add((place, "system"), "invalid", "coding-system", fault)
        codes = self.codes_of_system(system)
        if codes is not None and type(code) is str and code not in codes and code.lower() not in codes:
            run.add((place, "code"), "code-invalid", "coding-code", "expected a code of the system, came another")

    def _codes_if_sound(self, system: str) -> frozenset[str] | None:
        """The codes that a system has, None for any; no code of one that is not sound."""
        return frozenset() if uri(system) or self.system_fault(system) else self.codes_of_system(system)

    def _system_fault(self, system: str) -> str:
        if not ABSOLUTE.fullmatch(system):
            return "Coding.system must be an absolute reference, not a local reference"
        if "/ValueSet/" in system and self._definitions.value_set(system) is not None:
            return "The Coding references a value set, not a code system"
        return ""

    def _codes_of_system(self, system: str) -> frozenset[str] | None:
        found = self._definitions.code_system(system)
        return None if found is None or not found.is_complete else codes_of(found)


def codes_of(system: CodeSystem) -> frozenset[str]:
    """The codes as they are written; where case means nothing also in lower case."""
    codes = frozenset(each.code for each in system.concepts)
    return codes if system.is_case_sensitive else codes | {code.lower() for code in codes}


class Bound:
    """One binding of one element."""

    def __init__(self, binding: Binding, terms: Terms, path: str) -> None:
        self.binding, self.terms, self.path = binding, terms, path
        self.severity = SEVERITY[binding.strength]
        self._codes: Codes | None = None

    @property
    def codes(self) -> Codes:
        """What is in the value set, expanded when it is first asked for."""
        if self._codes is None:
            self._codes = self.terms.codes(self.binding.value_set)
        return self._codes

    def check(self, value: object, place: Place, run: Run) -> None:
        """Check a code, Coding, CodeableConcept, Quantity or uri, whichever the value is."""
        if type(value) is str:
            if not self._may_have_code(value):
                self._refuse(place, run)
        elif isinstance(value, dict):
            if type(value.get("coding")) is list:
                self._check_concept(value["coding"], place, run)
            elif "code" in value and not self._may_have(value):
                self._refuse(place, run)
            elif "code" not in value and "coding" not in value and "extension" not in value:
                self._refuse_none(value, place, run)

    def _check_concept(self, codings: list[Any], place: Place, run: Run) -> None:
        listed = [each for each in codings if isinstance(each, dict)]
        coded = [each for each in listed if "code" in each]
        if coded and not any(self._may_have(each) for each in coded):
            self._refuse(place, run)

    def _may_have(self, coding: dict[str, Any]) -> bool:
        system, code = coding.get("system"), coding.get("code")
        if type(system) is not str or type(code) is not str:
            return type(code) is not str or self._may_have_code(code)
        return self.codes.may_have(system, code)

    def _may_have_code(self, code: str) -> bool:
        codes = self.codes
        return not codes.is_closed or any(known == code for _, known in codes.known)

    def _refuse(self, place: Place, run: Run) -> None:
        text = f"expected a code of the value set {self.binding.value_set}, came another"
        run.add(place, "code-invalid", f"binding-{self.binding.strength}", text, self.severity)

    def _refuse_none(self, value: dict[str, Any], place: Place, run: Run) -> None:
        if self.severity == "error" and "text" in value:
            text = f"expected a code of the value set {self.binding.value_set}, came none"
            run.add(place, "code-invalid", f"binding-{self.binding.strength}", text, self.severity)
