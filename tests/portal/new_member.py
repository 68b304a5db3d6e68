"""A new member's request, as it makes one for a member of the network."""

from __future__ import annotations

from pathlib import Path

import msgspec

from salus.contracts.membership import KeyUse
from salus.ledger.identifiers import OrganisationId
from salus.node.assemble import Node
from salus.node.network.admission import request_admission
from salus.node.network.folder import Place, make_folder, open_folder


def request_for(sponsor: Node, folder: Path, code: str) -> bytes:
    """What "Third Trust" makes for a member that it has asked to propose it."""
    place = Place(
        organisation=OrganisationId(code),
        name="Third Trust",
        kind="hospital",
        host="10.0.0.9",
        bind="0.0.0.0",
        port=26_656,
        node_port=8301,
    )
    now_s = sponsor.clock()
    make_folder(folder / code, place, chain=sponsor.chain, now_s=now_s)
    made = open_folder(folder / code)
    mine = made.member()
    keys = mine.keys | {"transaction": sponsor.signing(KeyUse.TRANSACTION).public}
    asked = msgspec.structs.replace(mine, organisation=sponsor.organisation, keys=keys)
    return request_admission(mine, made.keys(), asked, now_s=now_s, nonce=b"n" * 16)
