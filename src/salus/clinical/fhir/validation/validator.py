"""The validator: a resource and the profiles that it must conform to in, issues out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from salus.clinical.fhir.definitions import Definitions, r4
from salus.clinical.fhir.fhirpath import Node, Surroundings, system
from salus.clinical.fhir.validation.conformance import check_search_parameter
from salus.clinical.fhir.validation.contexts import is_allowed
from salus.clinical.fhir.validation.fields import Check
from salus.clinical.fhir.validation.issues import EnoughIssues, Issue, Place, Run
from salus.clinical.fhir.validation.profiles import Profiles
from salus.clinical.fhir.validation.shapes import Shapes
from salus.clinical.fhir.validation.terms import Terms

WITHOUT_OWN: Final = frozenset({"Element", "BackboneElement", "Narrative", "Reference", "xhtml"})
"""Types whose invariants are all checked by hand."""


class Validator:
    """Validates resources; what it compiles for a type or profile it keeps, so one per process is enough."""

    def __init__(self, definitions: Definitions, *, with_invariants: bool = True) -> None:
        """Validate by these definitions, R4's or a `Library` with profiles beside them.

        Args:
            definitions: where types, profiles and value sets are looked up.
            with_invariants: whether rules in FHIRPath are evaluated; they cost most of the time.
        """
        terms = Terms(definitions)
        self._definitions = definitions
        self._profiles = Profiles(definitions, terms)
        self._with_invariants = with_invariants
        self._shapes = Shapes(definitions, terms, self._also)
        self._around = Surroundings(is_member=lambda node, url: in_value_set(terms, node, url))

    def validate(self, resource: Mapping[str, Any], profiles: Iterable[str] = ()) -> tuple[Issue, ...]:
        """Everything that is wrong with a resource as `strict_json` reads it, in the order in which it was met.

        Args:
            resource: the resource; the profiles that it names itself (`meta.profile`) are asked too.
            profiles: addresses of more profiles that it must conform to.

        The result has at most `ISSUES_MAX` issues. No issue repeats content of the resource (P4).
        """
        run = Run(around=self._around)
        kind = resource.get("resourceType")
        place = (None, kind if type(kind) is str and kind in self._shapes.resource_types else "Resource")
        try:
            self._shapes.resource(resource, place, run)
            if kind == "SearchParameter":
                check_search_parameter(dict(resource), place, run, self._definitions)
            run.resource = run.root = Node(resource, kind if isinstance(kind, str) else None)
            self._conform(resource, profiles, place, run)
        except EnoughIssues:
            pass
        return tuple(run.issues)

    def _also(self, kind: str) -> Check | None:
        if kind == "Extension":
            return self._extension
        if not self._with_invariants or kind in WITHOUT_OWN:
            return None
        return self._profiles.check_of(kind)

    def _extension(self, value: Any, place: Place, run: Run) -> None:
        url = value.get("url")
        defined = self._definitions.structure(url) if type(url) is str and ":" in url else None
        if defined is None or defined.type != "Extension":
            return
        within = run.resource.type if run.resource else None
        if within and not is_allowed(defined, place, within, self._definitions):
            text = "expected an extension that its definition allows here"
            run.add(place, "structure", "extension-context", text)
        if check := self._profiles.check_of(defined.url):
            check(value, place, run)

    def _conform(self, resource: Mapping[str, Any], profiles: Iterable[str], place: Place, run: Run) -> None:
        meta = resource.get("meta")
        claimed = meta.get("profile") if isinstance(meta, dict) else None
        named = [each for each in claimed if type(each) is str] if isinstance(claimed, list) else []
        for url in dict.fromkeys((*named, *profiles)):
            kind = self._profiles.type_of(url)
            check = self._profiles.check_of(url) if kind else None
            if check is None:
                text = "A profile that the resource names could not be found, so it was not checked"
                run.add((place, "meta"), "structure", "profile-unknown", text, "warning")
            elif kind not in (resource.get("resourceType"), "DomainResource", "Resource"):
                run.add(place, "structure", "profile-type", f"expected a {kind}, as the profile is one of it")
            else:
                check(resource, place, run)


def in_value_set(terms: Terms, node: Node, url: str) -> bool | None:
    """Whether a code, Coding or CodeableConcept is in a value set; None when that cannot be told."""
    codes = terms.codes(url)
    value = system(node)
    listed = value.get("coding", [value]) if isinstance(value, dict) else []
    if isinstance(value, str):
        found: Callable[[], bool] = lambda: any(code == value for _, code in codes.known)  # noqa: E731
    else:
        found = lambda: any((each.get("system"), each.get("code")) in codes.known for each in listed)  # noqa: E731
    return True if found() else None if not codes.is_closed else False


@lru_cache(maxsize=1)
def base_validator() -> Validator:
    """The validator by R4's own definitions. Raises DefinitionsMissing."""
    return Validator(r4())


def has_errors(issues: tuple[Issue, ...]) -> bool:
    """Whether the resource is not to be accepted."""
    return any(each.severity == "error" for each in issues)
