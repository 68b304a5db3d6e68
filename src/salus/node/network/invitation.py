"""The invitation: what a member gives to an organisation that wants to join, so that it can begin in the middle.

With it the candidate knows the network's genesis, a header that the member names, and everybody's node. It believes the
member for that header and for nothing after it: CometBFT's light client checks the rest.
"""

from typing import Annotated, Final

from msgspec import Meta

from salus.contracts.genesis import Genesis, GenesisInvalid, decode_genesis, genesis_hash
from salus.contracts.membership import KeyUse
from salus.crypto.hashing import tagged
from salus.crypto.signing import SigningKey
from salus.ledger.encoding import EncodingInvalid, encode
from salus.ledger.identifiers import CountField, DigestField, OrganisationIdField
from salus.node.config import SettingsUnfit
from salus.node.network import files, member_file
from salus.node.network.member_file import MemberFile

TAG: Final = "salus/invitation/1"
FORMAT: Final = 1
WHAT: Final = "an invitation"


class Invitation(files.Signed, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Signed with the transaction key of the member that invites.

    Args:
        genesis: the document's bytes.
        members: the member files that the inviting member has; its own is among them.
        height: of the header that is to be trusted; `header` is its hash.
        snapshot_blocks: how often members make a snapshot; 0 when there is none yet, then one begins with block 1.
    """

    format: int
    organisation: OrganisationIdField
    genesis: bytes
    members: Annotated[tuple[MemberFile, ...], Meta(min_length=1, max_length=100)]
    height: CountField
    header: DigestField
    snapshot_blocks: Annotated[int, Meta(ge=0, lt=1 << 31)]

    def document(self) -> Genesis:
        """Return the genesis document; it was checked."""
        return decode_genesis(self.genesis)

    def sponsor(self) -> MemberFile:
        """Return the member file of the member that invites."""
        return next(each for each in self.members if each.organisation == self.organisation)

    def fingerprint(self) -> str:
        """Return what people compare: of genesis and header together, so of everything that is believed."""
        return files.fingerprint(tagged(TAG, encode((genesis_hash(self.document()), self.height, self.header))))


def invite(invitation: Invitation, key: SigningKey) -> bytes:
    """Return the bytes of an invitation, signed with the transaction key of the member that invites."""
    return files.to_bytes(files.sign(invitation, TAG, key))


def decode_invitation(data: bytes) -> Invitation:
    """Parse an invitation and check all signatures in it. Raises SettingsUnfit."""
    found = files.from_bytes(data, Invitation, what=WHAT)
    if found.format != FORMAT:
        raise SettingsUnfit(f"expected {WHAT} of format {FORMAT}, came {found.format}: use the release that wrote it")
    try:
        document = found.document()
    except (EncodingInvalid, GenesisInvalid) as error:
        raise SettingsUnfit(f"the invitation has no genesis document ({error}): ask for it again") from error
    for each in found.members:
        member_file.check(each)
    if {each.chain for each in found.members} != {document.chain} or found.organisation not in {
        each.organisation for each in found.members
    }:
        raise SettingsUnfit("expected member files of one chain, the inviting member's among them: ask for it again")
    files.verify(found, TAG, found.sponsor().key(KeyUse.TRANSACTION), who=found.organisation)
    return found
