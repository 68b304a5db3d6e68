"""Peers in the same process, without a network: the same asks and answers, for tests and for one-machine tools."""

from collections.abc import Iterator, Mapping

from salus.ledger.identifiers import OrganisationId
from salus.node.answer import answer, answer_stream
from salus.node.assemble import Node
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.exchange import Answer, Ask, NotNowAnswer, RefusedAnswer, StreamAsk


class LocalPeers:
    """Other nodes as objects.

    Args:
        organisation: who asks.
        nodes: the others by organisation.
    """

    def __init__(self, organisation: OrganisationId, nodes: Mapping[OrganisationId, Node]) -> None:
        self._organisation = organisation
        self._nodes = nodes

    def ask(self, organisation: OrganisationId, ask: Ask) -> Answer:
        """Ask another node. Raises Refused or NotNow."""
        return raised(answer(self._nodes[organisation], self._organisation, ask))

    def stream(self, organisation: OrganisationId, ask: StreamAsk) -> Iterator[bytes]:
        """Receive sealed segments. Raises Refused or NotNow."""
        return answer_stream(self._nodes[organisation], self._organisation, ask)


def raised(came: Answer) -> Answer:
    """Return an answer, or raise the refusal that it is."""
    if isinstance(came, RefusedAnswer):
        raise Refused(Refusal(came.refusal), came.words)
    if isinstance(came, NotNowAnswer):
        raise NotNow(came.words)
    return came
