"""Launches: another system's user opens a record here, with no second sign-in (SMART App Launch 2.2, EHR launch).

This node is an app of that system, which the operator has named with the addresses of its endpoints.

Promises: nothing is asked of a system that is not named, nor of an address that is not written in the settings; the
user is who the signed ID token says, as that system's own (`fhirUser`); the patient is read only when somebody here
has been found for that user, and is then looked for here as though typed in.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from salus.clinical.fhir import FhirRejected, demographics
from salus.clinical.fhir.elements import text
from salus.clinical.fhir.strict_json import read_object
from salus.node.assemble import Node
from salus.node.errors import Refusal, Refused
from salus.node.listen_settings import Launcher
from salus.node.services.outside_sign_in import Begun, Fetch, OutsideSignIn, fetch

LAUNCH_CHARACTERS_MAX: Final = 2_048
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_USER: Final = re.compile(r"(?:Practitioner|PractitionerRole)/[A-Za-z0-9\-.]{1,64}")


@dataclass(frozen=True)
class LaunchedBy:
    """Who came from another system, as it names them, and what it let this node read: one patient, or none.

    Args:
        system: as people read it.
        user: the address of the system's own resource for the person who signed in there.
    """

    system: str
    issuer: str
    user: str = field(repr=False)
    level: str
    patient: str = field(repr=False)
    token: str = field(repr=False)


class LaunchedPatient(msgspec.Struct, frozen=True, array_like=True):
    """Whom another system had open.

    Args:
        system: which, as people read it.
        number: ten digits, or empty where it does not say; born: YYYY-MM-DD, or empty.
    """

    system: str
    number: str = ""
    born: str = ""

    def __repr__(self) -> str:
        """Hide who it is."""
        return "LaunchedPatient(…)"


class Launches:
    """Lets users of other systems in, and reads whom they had open there."""

    def __init__(
        self, node: Node, launchers: Sequence[Launcher], *, back: Callable[[str], str], fetching: Fetch = fetch
    ) -> None:
        """Read by what this node shows itself to them. Raises SettingsUnfit.

        Args:
            back: the address to which a system of that name sends people back: another for each (RFC 9700 4.4.2).
        """
        self._launchers = {each.name: each for each in launchers}
        self._fetch = fetching
        self._sign_in = OutsideSignIn(node, launchers, back=back, fetching=fetching)

    def begin(self, iss: str, launch: str) -> tuple[Begun, str]:
        """Return what to remember of a launch that begins, and where the browser goes.

        Args:
            iss, launch: as the other system gave them to the browser.

        Raises:
            Refused: SIGN_IN_UNFIT, no such system is named here, or it named no launch.
        """
        launcher = next((each for each in self._launchers.values() if each.fhir == iss), None)
        if launcher is None:
            raise Refused(Refusal.SIGN_IN_UNFIT, "no record is opened from there: ask who runs this service")
        if not 1 <= len(launch) <= LAUNCH_CHARACTERS_MAX:
            raise _unfit(launcher)
        return self._sign_in.begin(launcher.name, {"launch": launch, "aud": launcher.fhir})

    def finish(self, name: str, begun: tuple[Begun, ...], fields: dict[str, str]) -> LaunchedBy:
        """Return who came. Raises as `OutsideSignIn.complete`."""
        finished = self._sign_in.complete(name, begun, fields)
        launcher = self._launchers[name]
        try:
            context = msgspec.json.decode(finished.answer, type=_Context)
        except (msgspec.DecodeError, RecursionError) as error:
            raise _unfit(launcher) from error
        user = str(finished.claims.get("fhirUser", "")).removeprefix(f"{launcher.fhir}/")
        if not _USER.fullmatch(user) or not _ID.fullmatch(context.patient or "none"):
            raise _unfit(launcher)
        who = finished.who
        address = f"{launcher.fhir}/{user}"
        return LaunchedBy(launcher.title, who.issuer, address, who.level, context.patient, context.access_token)

    def patient_of(self, name: str, came: LaunchedBy) -> LaunchedPatient:
        """Read whom the other system had open, at its FHIR server.

        Raises:
            Refused: SIGN_IN_UNFIT, it answered for somebody or something else.
            NotNow: it does not answer.
        """
        launcher = self._launchers[name]
        if not came.patient:
            return LaunchedPatient(came.system)
        body = self._fetch(f"{launcher.fhir}/Patient/{came.patient}", None, came.token)
        try:
            said, content = demographics(body), read_object(body)
        except FhirRejected as error:
            raise _unfit(launcher) from error
        if text(content, "id") != came.patient:
            raise _unfit(launcher)
        number = said.nhs_number.digits if said.nhs_number is not None else ""
        return LaunchedPatient(came.system, number, said.birth_date or "")


class _Context(msgspec.Struct):
    """What the token endpoint says beside the ID token (SMART App Launch 2.2, 2.0.11)."""

    access_token: str
    patient: str = ""


def _unfit(launcher: Launcher) -> Refused:
    return Refused(Refusal.SIGN_IN_UNFIT, f"{launcher.title} did not open the record: open it there once more")
