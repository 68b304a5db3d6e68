"""A candidate's request to be admitted: its member file, and its signatures under the proposal that a member will make.

Admission is signed by every key that it registers, and a transaction may be signed at most ten minutes ahead. A file
takes longer from one organisation to another, so the candidate signs the same proposal many times, each for a window of
its own, and the member takes the one whose time it is. All of them say the same, and only the first can have an effect.
"""

from collections.abc import Iterator
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from salus.contracts.membership import Admit, KeyUse, LedgerAccess, Propose
from salus.contracts.provisions import as_set
from salus.crypto.signing import SigningKey
from salus.ledger import transactions
from salus.ledger.identifiers import NonceField, OrganisationId, OrganisationIdField, PublicKeyField, SignatureField
from salus.node.config import SettingsUnfit
from salus.node.founding import OWN_PROOFS_ONLY, ROLE_CLASSES
from salus.node.keys import SIGNING_USES, OrganisationKeys
from salus.node.network import files, member_file
from salus.node.network.member_file import MemberFile

FORMAT: Final = 1
WHAT: Final = "a request to be admitted"
GOOD_FOR_S: Final = 3 * 86_400
WINDOW_S: Final = 300
AHEAD_S_MAX: Final = transactions.EXPIRY_AHEAD_S_MAX - 60
"""Block time may be a little behind a clock."""
PROPOSAL_S: Final = 7 * 86_400


class AdmissionRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a candidate gives to the member that invited it.

    Args:
        sponsor: that member; `sponsor_key` is its transaction key.
        begins_s: the first window ends this many seconds after 1970; each later one `WINDOW_S` after the one before.
        nonce: of every window's transaction.
        signatures: of each window, in the order of the keys that are admitted.
    """

    format: int
    member: MemberFile
    sponsor: OrganisationIdField
    sponsor_key: PublicKeyField
    begins_s: Annotated[int, Meta(ge=0, lt=1 << 40)]
    nonce: NonceField
    signatures: Annotated[tuple[tuple[SignatureField, ...], ...], Meta(min_length=1, max_length=10_000)]

    def body(self, window: int) -> bytes:
        """Return the body of the transaction of a window."""
        ends_s = self.begins_s + window * WINDOW_S
        keys = [self.member.key(use) for use in SIGNING_USES]
        message = Propose(OrganisationId(self.sponsor), admission(self.member), ends_s + PROPOSAL_S)
        return transactions.unsigned(
            (message,),
            chain=self.member.chain,
            signers=(self.sponsor_key, *keys),
            expires_at_s=ends_s,
            nonce=self.nonce,
        )


def admission(member: MemberFile) -> Admit:
    """Return what is proposed: that the member is admitted and follows; it becomes a validator by another proposal."""
    access = LedgerAccess.OWN_PROOFS if member.kind in OWN_PROOFS_ONLY else LedgerAccess.OBSERVER
    return Admit(
        organisation=OrganisationId(member.organisation),
        name=member.name,
        role_classes=as_set(ROLE_CLASSES[member.kind]),
        access=access,
        endpoint=member.endpoint,
        keys=member.registered(),
    )


def request_admission(
    member: MemberFile, keys: OrganisationKeys, sponsor: MemberFile, *, now_s: int, nonce: bytes
) -> bytes:
    """Return the bytes of a candidate's request, good for three days from now."""
    request = AdmissionRequest(
        format=FORMAT,
        member=member,
        sponsor=sponsor.organisation,
        sponsor_key=sponsor.key(KeyUse.TRANSACTION),
        begins_s=now_s + WINDOW_S,
        nonce=nonce,
        signatures=((bytes(64),),),
    )
    own = [keys.signing(use) for use in SIGNING_USES]
    signatures = tuple(_signatures(request, own))
    return files.to_bytes(msgspec.structs.replace(request, signatures=signatures))


def decode_request(data: bytes) -> AdmissionRequest:
    """Parse a request. Raises SettingsUnfit; the signatures under the proposal are checked when it is submitted."""
    found = files.from_bytes(data, AdmissionRequest, what=WHAT)
    if found.format != FORMAT:
        raise SettingsUnfit(f"expected {WHAT} of format {FORMAT}, came {found.format}: use the release that wrote it")
    member_file.check(found.member)
    return found


def proposal_of(request: AdmissionRequest, key: SigningKey, *, now_s: int) -> bytes:
    """Return the transaction that proposes the candidate now.

    Args:
        key: the transaction key of the member that was asked.
        now_s: Unix seconds.

    Raises:
        SettingsUnfit: it was made for another member, or for a time that is over.
    """
    if request.sponsor_key != key.public:
        raise SettingsUnfit(f"expected a request made for this member, came one for {request.sponsor}: pass it on")
    window = (now_s + AHEAD_S_MAX - request.begins_s) // WINDOW_S
    if not 0 <= window < len(request.signatures):
        ask = f"ask {request.member.organisation} for another (salus network join makes it)"
        raise SettingsUnfit(f"the request was good for {GOOD_FOR_S // 86_400} days, or a clock is wrong: {ask}")
    body = request.body(window)
    signatures = (transactions.sign_body(body, key), *request.signatures[window])
    return transactions.assemble(body, signatures)


def _signatures(request: AdmissionRequest, own: list[SigningKey]) -> Iterator[tuple[bytes, ...]]:
    for window in range(GOOD_FOR_S // WINDOW_S):
        body = request.body(window)
        yield tuple(transactions.sign_body(body, key) for key in own)
