"""Made: what is derived of one patient and may be seen by somebody, within their reach; who makes which type.

Whatever an interface shows of what is derived, it has from here: a search, a chart, an export (R4).
"""

from collections.abc import Sequence
from typing import Final

from msgspec import json

from salus.clinical.fhir.renaming import with_version
from salus.clinical.fhir.search.index import index
from salus.clinical.fhir.search.matching import meets
from salus.clinical.fhir.search.queries import Filter
from salus.contracts.provisions import Verb
from salus.ledger.identifiers import Pseudonym
from salus.node.assemble import Node
from salus.node.services import audit_events, companions, consents, delegates
from salus.node.services.derived import Derived, Make, is_patient, may_see
from salus.node.services.respond import Login, Responder
from salus.node.services.search import Search

READING: Final = "r"
SEARCHING: Final = "s"
EXPORTING: Final = "x"
_VERBS: Final = {READING: Verb.READ, SEARCHING: Verb.SEARCH, EXPORTING: Verb.EXPORT}
MADE_BY: Final[dict[str, Make]] = {
    audit_events.KIND: audit_events.audit_events_of,
    consents.KIND: consents.consents_of,
    delegates.KIND: delegates.delegates_of,
}


FOR_THE_PATIENT: Final = (consents.KIND, delegates.KIND, audit_events.KIND)
"""What comes along with a patient's whole chart without being named, for the patient themself."""
IN_CHARTS: Final = (*FOR_THE_PATIENT, companions.PROVENANCE)
"""What comes along where it is named; no pointers, since a chart has what they point to."""


def with_charts(login: Login, types: Sequence[str]) -> list[str]:
    """Return the types of what is made that come along with a whole chart.

    Args:
        types: those that are named; none for all.
    """
    if not types:
        return list(FOR_THE_PATIENT) if is_patient(login) else []
    return [each for each in IN_CHARTS if each in types]


class Made:
    """What is derived, for one request.

    Args:
        search: how far whoever asks may go.
        use: for what: `READING`, `SEARCHING` or `EXPORTING`; what is no companion is read, unless it is exported.
    """

    def __init__(self, node: Node, responder: Responder, login: Login, search: Search, use: str) -> None:
        self._node, self._responder, self._login = node, responder, login
        self._search, self._verb = search, _VERBS[use]
        self._asked = Verb.EXPORT if use == EXPORTING else Verb.READ

    def visible(self, kind: str, pseudonym: bytes, *, only: bytes = b"") -> list[Derived]:
        """Return everything of a type and a patient that may be seen, the newest first, without showing it.

        Args:
            only: for companions of one record alone, what is one version's under the pseudonym.

        Raises:
            FhirRejected: the scopes are narrowed by what cannot be asked of this type.
            Refused, NotNow: as `may_see`.
        """
        of = (self._node, self._responder, self._login)
        if not self._search.may(kind):
            return []
        if kind in companions.KINDS:
            within = self._search.meets
            made = companions.companions_of(*of, kind, Pseudonym(pseudonym), self._verb, within=within, only=only)
        else:
            made = MADE_BY[kind](self._node, pseudonym) if may_see(*of, pseudonym, kind, self._asked) else []
        narrowed = self._search.narrowed(kind)
        return made if not narrowed else [each for each in made if any(is_met(each, filters) for filters in narrowed)]

    def released(self, some: Sequence[Derived]) -> list[Derived]:
        """Return what goes out of what may be seen: a companion with its version, which leaves a receipt.

        Raises:
            Refused, NotNow: as `show`.
        """
        told = [each for each in some if each.of is not None]
        of = (self._node, self._responder, self._login)
        gone_out = companions.released(*of, told, self._verb, within=self._search.meets)
        names = {each.shown.logical_id for each in gone_out}
        return [each for each in some if each.of is None or each.shown.logical_id in names]


def is_met(derived: Derived, filters: Sequence[Filter]) -> bool:
    """Tell whether something derived meets filters. Raises FhirRejected for those that cannot be asked of it."""
    shown = derived.shown
    said = with_version(shown.body, version=shown.version, updated_s=shown.updated_s)
    return meets(index(shown.type, json.decode(said)), filters)
