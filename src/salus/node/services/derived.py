"""Derived: resources that are made from the ledger and never stored, and who may see those of a patient.

They are no records: no receipt lists them. What the ledger knows of a patient is shown to the patient, under a permit
that is committed and live, so that the history says that it was asked for (R1, R4); to others it is as if it were not.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from salus.contracts.provisions import Purpose, RoleClass, Verb
from salus.node.assemble import Node
from salus.node.projections import resources
from salus.node.services.respond import Login, Responder
from salus.node.services.show import Shown


@dataclass(frozen=True)
class Derived:
    """A resource that was made from the ledger.

    Args:
        number: which nothing else of its type and patient has, and which it keeps while nothing new happens to it.
        is_active: whether it still holds; of what happened once it always does.
    """

    number: int
    shown: Shown = field(repr=False)
    is_active: bool = True


Make = Callable[[Node, bytes], list[Derived]]
"""Makes all resources of one type and one patient, the newest first; asks nobody who they are."""


def is_patient(login: Login) -> bool:
    """Tell whether a patient asks for themself; whose records these are, the permit finds out."""
    return (login.role_class, login.purpose) == (RoleClass.PATIENT_SIDE, Purpose.PATRQT)


def may_see(node: Node, responder: Responder, login: Login, pseudonym: bytes) -> bool:
    """Tell whether somebody may see what the ledger knows of a patient.

    1. It is the patient who asks.
    2. A permit for them is committed and live, their session certified by a key of this pseudonym, and the rules let
       the patient's own Patient go.

    Raises:
        Refused: the session or the rules do not fit.
        NotNow: the ledger is out of reach.
    """
    if not is_patient(login):  # 1
        return False
    patient = resources.patient_of(node, pseudonym)
    return patient is not None and bool(responder.allowed(login, patient.pseudonym, Verb.READ, [patient.key]))  # 2
