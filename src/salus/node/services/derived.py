"""Derived: resources that are made from the ledger and never stored, and who may see those of a patient.

They are no records: no receipt lists them. What the ledger knows of a patient is shown to the patient, and to whom a
rule lets see that type by its name, under a permit that is committed and live, so that the history says that it was
asked for (R1, R4). A privacy officer of this organisation sees the trail and the choices, and leaves a look in the
history instead (decision 0034). To others it is as if it were not.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from salus.contracts.provisions import Effect, Provision, Purpose, Record, Request, RoleClass, Verb, day_of, explain
from salus.crypto.hashing import sha256
from salus.ledger.identifiers import Digest, Pseudonym
from salus.node.assemble import Node
from salus.node.members import read_time_s
from salus.node.projections import resources
from salus.node.services import choices, officers
from salus.node.services.respond import Login, Responder
from salus.node.services.show import Shown, Wanted

FOR_OFFICERS: Final = frozenset({"AuditEvent", "Consent"})
"""What an officer needs to see what happened, and why it was allowed."""
NUMBER_BYTES: Final = 7
"""So many bytes of a hash stand for something derived in a link to a page: a database keeps eight, with a sign."""


@dataclass(frozen=True)
class Derived:
    """A resource that was made from the ledger.

    Args:
        number: which nothing else of its type and patient has, and which it keeps while nothing new happens to it.
        is_active: whether it still holds; of what happened once it always does.
        of: the record version that it tells of, and with which it is decided on; None for what is no companion.
    """

    number: int
    shown: Shown = field(repr=False)
    is_active: bool = True
    of: Wanted | None = None


Make = Callable[[Node, bytes], list[Derived]]
"""Makes all resources of one type and one patient, the newest first; asks nobody who they are."""


def number_of(logical_id: str) -> int:
    """Return a number for what has an id of its own and nothing that counts it."""
    return int.from_bytes(sha256(logical_id.encode())[:NUMBER_BYTES], "big")


def is_patient(login: Login) -> bool:
    """Tell whether a patient asks for themself; whose records these are, the permit finds out."""
    return (login.role_class, login.purpose) == (RoleClass.PATIENT_SIDE, Purpose.PATRQT)


def has_patient(node: Node, pseudonym: bytes) -> bool:
    """Tell whether it is written down here who a patient is: of whom it is not, `may_see` lets nobody see anything."""
    return resources.patient_of(node, pseudonym) is not None


def may_see(
    node: Node, responder: Responder, login: Login, pseudonym: bytes, kind: str, verb: Verb = Verb.READ
) -> bool:
    """Tell whether somebody may see what the ledger knows of a patient, as resources of one type.

    1. A privacy officer does, of these types, one patient at a time, whose history has the look before.
    2. Else it is the patient who asks, or a rule that permits it names the type: a permit for everything else does not
       mean what the patient has decided about it.
    3. A permit for them is committed and live, whoever asks is current, and the rules let the patient's own Patient go.

    Raises:
        Refused: the session or the rules do not fit.
        NotNow: the ledger is out of reach.
    """
    patient = resources.patient_of(node, pseudonym)
    if patient is None:
        return False
    if officers.is_officer(login) and kind in FOR_OFFICERS and verb is Verb.READ:
        officers.look(node, login.session, patient.pseudonym)  # 1
        return True
    if not (is_patient(login) or _is_named(node, login, patient.pseudonym, kind, verb)):  # 2
        return False
    return bool(responder.allowed(login, patient.pseudonym, verb, [patient.key]))  # 3


def _is_named(node: Node, login: Login, pseudonym: Pseudonym, kind: str, verb: Verb) -> bool:
    """Tell whether a rule that names a type permits it to somebody, and none denies it."""
    with node.engine.snapshot() as reader:
        day = day_of(read_time_s(reader, node.clock))
        held = choices.rules_for(node, reader, pseudonym, ticket=Digest(b""))
    who = bytes(login.session.certificate.root())
    request = Request(node.organisation, login.role_class, login.purpose, verb, day, who)
    rules = held.rules
    trees = [*rules.network, *rules.custodian, *(each.tree for each in rules.choices)]
    said = [(tree, *explain(tree, request, Record(ids=(), classes=(kind,)))) for tree in trees]
    if held.missing or any(effect is Effect.DENY for _, effect, _ in said):
        return False
    return any(effect is Effect.PERMIT and kind in _classes_on(tree, path) for tree, effect, path in said)


def _classes_on(tree: Provision, path: str) -> Iterator[str]:
    """The classes that a provision and those above it name; `1` is the root's path, `1.2` that of its exception 2."""
    yield from tree.classes
    for number in path.split(".")[1:]:
        tree = tree.provisions[int(number) - 1]
        yield from tree.classes
