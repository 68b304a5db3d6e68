"""Member directory: the ledger's members as Organization and Endpoint, found as any resource of the directory is.

What is published follows the ledger: upkeep writes what has changed and takes away who is no member any more. Nobody
else writes under these ids (`store`).
"""

from collections.abc import Iterator

from salus.clinical.fhir.resources import parse
from salus.node.assemble import Node
from salus.node.projections import resources
from salus.node.services import ledger_reads
from salus.node.services.ledger_reads import MemberRead
from salus.node.services.store import Deletion, Write, store
from salus.node.shapes import members


def publish(node: Node) -> int:
    """Put the directory right; return how many resources changed. Without a search index there is nobody to read it.

    Raises:
        NotNow: the ledger is away.
    """
    if not node.has_index:
        return 0
    wanted = [Write(parse(body)) for member in ledger_reads.members(node) for body in _shapes(member)]
    names = {(each.resource.type, each.resource.id) for each in wanted}
    there = resources.directory_of(node, members.TYPES, members.PREFIX)
    gone = [Deletion(*name) for name in there if name not in names]
    return sum(each.is_new for each in store(node, [*wanted, *gone], is_ledger=True))


def _shapes(member: MemberRead) -> Iterator[bytes]:
    code, address = member.organisation, member.endpoint
    yield members.organization(code, member.name, member.role_classes, has_endpoint=bool(address))
    if address:
        yield members.endpoint(code, address, is_suspended=member.is_suspended)
