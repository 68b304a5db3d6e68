"""Derived: resources that are made from the ledger and never stored, and who may see those of a patient.

They are no records: no receipt lists them. What the ledger knows of a patient is shown to the patient, and to whom a
rule lets see that type by its name, under a permit that is committed and live, so that the history says that it was
asked for (R1, R4); to others it is as if it were not.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from salus.contracts.provisions import Effect, Provision, Purpose, Record, Request, RoleClass, Verb, day_of, explain
from salus.ledger.identifiers import Digest, Pseudonym
from salus.node.assemble import Node
from salus.node.members import read_time_s
from salus.node.projections import resources
from salus.node.services import choices
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


def may_see(node: Node, responder: Responder, login: Login, pseudonym: bytes, kind: str) -> bool:
    """Tell whether somebody may see what the ledger knows of a patient, as resources of one type.

    1. It is the patient who asks, or a rule that permits it names the type: a permit for everything else does not
       mean what the patient has decided about it.
    2. A permit for them is committed and live, whoever asks is current, and the rules let the patient's own Patient go.

    Raises:
        Refused: the session or the rules do not fit.
        NotNow: the ledger is out of reach.
    """
    patient = resources.patient_of(node, pseudonym)
    if patient is None or not (is_patient(login) or _is_named(node, login, patient.pseudonym, kind)):  # 1
        return False
    return bool(responder.allowed(login, patient.pseudonym, Verb.READ, [patient.key]))  # 2


def _is_named(node: Node, login: Login, pseudonym: Pseudonym, kind: str) -> bool:
    """Tell whether a rule that names a type permits it to somebody, and none denies it."""
    with node.engine.snapshot() as reader:
        day = day_of(read_time_s(reader, node.clock))
        held = choices.rules_for(node, reader, pseudonym, ticket=Digest(b""))
    who = bytes(login.session.certificate.root())
    request = Request(node.organisation, login.role_class, login.purpose, Verb.READ, day, who)
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
