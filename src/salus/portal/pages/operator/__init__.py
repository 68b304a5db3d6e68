"""The operator's pages: the network and its votes, this node and what it has to do; nothing personal is on them."""

from typing import Final

from salus.portal.call import Page
from salus.portal.pages.operator import admit, network, node, propose

PAGES: Final[tuple[Page, ...]] = (network.PAGE, propose.PAGE, admit.PAGE, node.PAGE)
