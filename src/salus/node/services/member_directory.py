"""Member directory: the ledger's members as Organization and Endpoint, and those of this organisation's own staff who
treat as Practitioner and PractitionerRole, found as any resource of the directory is.

What is published follows the ledger: upkeep writes what has changed and takes away who is no member any more, or whose
certificate or account has ended. Nobody else writes under these ids (`store`). Names of staff come from the accounts of
this node: the ledger has none (P1).
"""

from collections.abc import Iterator
from typing import Final

from salus.clinical.fhir.resources import parse
from salus.contracts import membership, residuals
from salus.contracts.provisions import RoleClass
from salus.ledger.identifiers import CertificateId
from salus.node.acting import Staff
from salus.node.assemble import Node
from salus.node.members import read_time_s
from salus.node.projections import resources
from salus.node.services import ledger_reads
from salus.node.services.accounts import Accounts
from salus.node.services.ledger_reads import MemberRead
from salus.node.services.store import Deletion, Write, store
from salus.node.shapes import members
from salus.node.shapes.members import StaffFacts

WHO_TREAT: Final = (RoleClass.CLINICAL, RoleClass.PHARMACY)
"""Of whom a patient may know; who works in an office, or looks as an officer, is in no directory."""


def publish(node: Node) -> int:
    """Put the directory right; return how many resources changed. Without a search index there is nobody to read it.

    Raises:
        NotNow: the ledger is away.
    """
    if not node.has_index:
        return 0
    wanted = [Write(parse(body)) for body in _bodies(node)]
    names = {(each.resource.type, each.resource.id) for each in wanted}
    there = [name for kind, prefix in members.PREFIXES.items() for name in resources.directory_of(node, [kind], prefix)]
    gone = [Deletion(*name) for name in there if name not in names]
    return sum(each.is_new for each in store(node, [*wanted, *gone], is_ledger=True))


def _bodies(node: Node) -> Iterator[bytes]:
    for member in ledger_reads.members(node):
        yield from _shapes(member)
    for facts in _staff(node):
        yield members.practitioner(facts)
        yield members.practitioner_role(facts)


def _shapes(member: MemberRead) -> Iterator[bytes]:
    code, address = member.organisation, member.endpoint
    yield members.organization(code, member.name, member.role_classes, has_endpoint=bool(address))
    if address:
        yield members.endpoint(code, address, is_suspended=member.is_suspended)


def _staff(node: Node) -> list[StaffFacts]:
    """Those who have an account and a certificate in force, and treat; somebody with two accounts once."""
    staff: dict[bytes, StaffFacts] = {}
    with node.engine.snapshot() as reader:
        time_s = read_time_s(reader, node.clock)
        for each in Accounts.of(node).all():
            of = each.account.acts_as
            if not isinstance(of, Staff) or of.role_class not in WHO_TREAT:
                continue
            certificate = CertificateId(of.certificate.root())
            row = membership.certificate_in_force(reader, node.organisation, certificate, time_s=time_s)
            if row is not None:
                said = residuals.person_certificate(of.certificate)
                staff[certificate] = StaffFacts(
                    organisation=node.organisation,
                    certificate=certificate,
                    name=said.name,
                    role=said.role,
                    registration=said.registration,
                    role_class=of.role_class.name.lower(),
                    until_s=row.expires_at_s,
                )
    return list(staff.values())
