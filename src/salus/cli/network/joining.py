"""salus network invite, join, peers: how an organisation comes to a network that runs, and whose nodes are let in."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from salus.cli.failures import NO, TRY_LATER, Failure
from salus.cli.options import FILE, FOLDER, NEW_FILE, as_json_option
from salus.cli.output import Facts, progress, show, table

if TYPE_CHECKING:
    from salus.engines.base import Engine, SealedHeight
    from salus.node.network.folder import MemberFolder
    from salus.node.network.member_file import MemberFile


@click.command(name="invite", short_help="Write an invitation for an organisation that wants to join.")
@click.argument("folder", type=FOLDER)
@click.option("--output", "-o", "output", required=True, type=NEW_FILE, help="The invitation, a new file.")
@as_json_option
def invite(folder: Path, output: Path, as_json: bool) -> None:
    """Write what an organisation needs to join: genesis, a header to trust, and where the members' nodes are.

    Nothing in it is secret. Read its fingerprint to the candidate over the telephone: with it the candidate believes
    this member, and after that nobody.

    \b
    Example:
      salus network invite ./rz1 --output ./north.invitation
    """
    from salus.contracts.membership import KeyUse
    from salus.ledger.comet.header import header_hash
    from salus.ledger.encoding import encode
    from salus.ledger.identifiers import Digest
    from salus.node.network import files
    from salus.node.network.folder import open_folder
    from salus.node.network.invitation import FORMAT, Invitation, decode_invitation
    from salus.node.network.invitation import invite as sign
    from salus.node.opening import founding, open_node

    member = open_folder(folder)
    every = member.comet().snapshot_blocks
    first = founding(member.genesis()).first_height
    with open_node(member.node) as node:
        newest = node.require_fresh().height
        has_snapshot = newest - newest % every >= first
        if not has_snapshot and first > 1:
            words = f"the first snapshot is made at height {first + -first % every}, the ledger has {newest}"
            raise Failure(TRY_LATER, words, "try again then: the blocks alone do not have what was adopted")
        sealed = _trusted(node.engine, max(first, newest - newest % every - every))
        key = node.signing(KeyUse.TRANSACTION)
    invitation = Invitation(
        format=FORMAT,
        organisation=member.organisation,
        genesis=encode(member.genesis()),
        members=tuple(member.members()),
        height=sealed.signed.header.height,
        header=Digest(header_hash(sealed.signed.header)),
        snapshot_blocks=every if has_snapshot else 0,
    )
    data = sign(invitation, key)
    decode_invitation(data)
    files.write_new(output, data)
    facts: Facts = {"invitation": str(output), "height": invitation.height, "fingerprint": invitation.fingerprint()}
    lines = [
        f"invitation to {member.genesis().chain}: {output}, header {invitation.height} is to be trusted",
        f"its fingerprint, to read to the candidate: {invitation.fingerprint()}",
    ]
    show(facts, lines, as_json=as_json)


@click.command(name="join", short_help="Take an invitation, and ask to be admitted.")
@click.argument("folder", type=FOLDER)
@click.argument("invitation", type=FILE)
@as_json_option
def join(folder: Path, invitation: Path, as_json: bool) -> None:
    """Take INVITATION into FOLDER, which salus network init made, and write the request to be admitted.

    The request goes to the member that invited: it proposes the admission, and the others vote. It is good for three
    days; the same command makes another. Once admitted, start: the ledger begins with a snapshot, after the header that
    the invitation names.

    \b
    Example:
      salus network join ./ry5 ./north.invitation
    """
    import secrets

    from salus.node.network.admission import request_admission
    from salus.node.network.folder import REQUEST, open_folder
    from salus.node.network.folder import join as take
    from salus.node.network.invitation import decode_invitation

    member = open_folder(folder)
    found = decode_invitation(invitation.read_bytes())
    take(member, found)
    with progress("signing"):
        data = request_admission(
            member.member(), member.keys(), found.sponsor(), now_s=int(time.time()), nonce=secrets.token_bytes(16)
        )
    request = folder / f"{member.organisation}{REQUEST}"
    request.write_bytes(data)
    facts: Facts = {
        "chain": found.document().chain,
        "invited_by": found.organisation,
        "fingerprint": found.fingerprint(),
        "request": str(request),
        "own_fingerprint": member.member().fingerprint(),
    }
    lines = [
        f"invited to {found.document().chain} by {found.organisation}",
        f"fingerprint of the invitation, to compare with {found.organisation}: {found.fingerprint()}",
        f"request to be admitted, for {found.organisation} and for everybody who votes: {request}",
        f"fingerprint of {member.organisation}, to read to them: {member.member().fingerprint()}",
        f"next, when {member.organisation} is admitted: salus network start {folder}",
    ]
    show(facts, lines, as_json=as_json)


@click.command(name="peers", short_help="Whose nodes are let in, and let another in.")
@click.argument("folder", type=FOLDER)
@click.option("--add", "added", multiple=True, type=FILE, help="A member file, or a request: that member is let in.")
@click.option("--drop", "dropped", multiple=True, metavar="CODE", help="That member is let in no longer.")
@as_json_option
def peers(folder: Path, added: tuple[Path, ...], dropped: tuple[str, ...], as_json: bool) -> None:
    """Show which members' nodes FOLDER's node connects to and lets in; nobody else's.

    Who is added must be a member on the ledger, with the key in the file. A running salus network start takes the
    change within seconds, and starts its ledger process again for it; otherwise the next start does.

    \b
    Example:
      salus network peers ./rz1 --add ./RY5.request
      salus network peers ./rz1 --drop RZ4
    """
    from salus.node.network.folder import add_members, drop_member, member_in, open_folder

    member = open_folder(folder)
    files = [member_in(path.read_bytes()) for path in added]
    if files:
        _require_members(member, files)
    changed = add_members(member, files) if files else []
    for code in dropped:
        drop_member(member, code.upper())
    others = [each for each in member.members() if each.organisation != member.organisation]
    facts: Facts = {
        "peers": [{"organisation": each.organisation, "peer": str(each.peer())} for each in others],
        "added": changed,
        "dropped": [code.upper() for code in dropped],
    }
    rows = [[each.organisation, f"{each.host}:{each.port}", each.fingerprint()] for each in others]
    show(facts, table(["member", "node", "fingerprint"], rows), as_json=as_json)


def _trusted(engine: "Engine", wanted: int) -> "SealedHeight":
    sealed = engine.signed_header(max(1, wanted))
    if sealed is None:
        raise Failure(TRY_LATER, "the ledger has not that header yet, or no longer", "try again in a moment")
    return sealed


def _require_members(folder: "MemberFolder", files: "list[MemberFile]") -> None:
    """Raise Failure unless each is a member on the ledger, with the transaction key that signed its file."""
    from salus.contracts.membership import KeyUse, current_key
    from salus.ledger.identifiers import OrganisationId
    from salus.node.opening import open_node

    with open_node(folder.node) as node, node.engine.snapshot() as snapshot:
        for each in files:
            known = current_key(snapshot, OrganisationId(each.organisation), KeyUse.TRANSACTION)
            if known != each.key(KeyUse.TRANSACTION):
                words = f"expected a member with the key in the file, {each.organisation} is none on this ledger"
                raise Failure(NO, words, "first it is admitted: salus network propose, salus network vote")
