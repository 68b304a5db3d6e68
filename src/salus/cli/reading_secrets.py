"""Reading secrets at a node: its patient gives two members a share each, and asks for both after a recovery."""

import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from salus.crypto.hpke import HpkeKey
from salus.ledger.identifiers import OrganisationId
from salus.ledger.recovery_shares import KeptShare
from salus.node.assemble import Node
from salus.node.errors import NotNow
from salus.node.exchange import Done, GiveShareAsk, KeepShareAsk, ShareAnswer
from salus.node.http_peers import node_peers
from salus.node.services import recovery_shares
from salus.sdk import reading_secrets
from salus.sdk.wallet import Relationship, Wallet


def keep_shares(
    desk: Node,
    wallet: Wallet,
    of: Relationship,
    seeds: Sequence[bytes],
    members: tuple[OrganisationId, OrganisationId],
) -> None:
    """Have two members keep a share each; once more, and the new ones take the place of the old.

    The desk's own comes last, since another member may be away: then the old two still belong together.

    Raises:
        WalletRefuses: one member twice.
        Refused: a member does not take it; NotNow: one is away, or says something else. Do it again then, for both.
    """
    signed = reading_secrets.protect(wallet, of, seeds, members, time_s=desk.clock())
    with closing(node_peers(desk)) as peers:
        for each in sorted(signed, key=lambda one: one.kept.member == desk.organisation):
            ask = KeepShareAsk(each.kept, each.signature)
            if each.kept.member == desk.organisation:
                recovery_shares.keep(desk, ask)
            elif not isinstance(peers.ask(each.kept.member, ask), Done):
                raise NotNow(f"{each.kept.member} does not say that it keeps its share: do it again, for both")


def ask_shares(
    desk: Node, wallet: Wallet, of: Relationship, members: tuple[OrganisationId, OrganisationId]
) -> tuple[KeptShare, KeptShare]:
    """Return what two members kept, for the key that a finished recovery put in the lost one's place.

    Raises:
        Refused: a member keeps nothing, or no recovery of this wallet's is finished; NotNow: one is away.
        WalletRefuses: an answer does not open.
    """
    height, given = desk.engine.status().height, []
    with closing(node_peers(desk)) as peers:
        for member in members:
            signed = reading_secrets.ask(wallet, of, member, height=height, time_s=desk.clock())
            ask = GiveShareAsk(signed.asked, signed.signature)
            came = recovery_shares.give(desk, ask) if member == desk.organisation else peers.ask(member, ask)
            if not isinstance(came, ShareAnswer):
                raise NotNow(f"{member} answers something else than its share: try later")
            given.append(reading_secrets.open_given(signed, came.sealed))
    return given[0], given[1]


def write_key(path: Path, key: HpkeKey) -> None:
    """Write a reading key, readable by its owner only. Raises FileExistsError."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(key.private)
