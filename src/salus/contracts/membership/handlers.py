"""How membership answers: every message is signed by the organisation that it names first."""

from salus.contracts.membership.actions import (
    carry_out,
    check_action,
    check_seat,
    is_carried,
    put_seat,
    replace_key,
    suspend,
)
from salus.contracts.membership.messages import (
    Accused,
    CertificateRevoked,
    Certified,
    Certify,
    ConsensusKeyRotated,
    FilePublished,
    KeyRotated,
    Propose,
    Proposed,
    PublishFile,
    RevokeCertificate,
    RotateConsensusKey,
    RotateKey,
    Suspend,
    Vote,
    VoteCast,
)
from salus.contracts.membership.queries import (
    can_suspend,
    check_key,
    is_suspended,
    member,
    members,
    owner_of,
    proposal_id,
    require_organisation,
    sign_as,
)
from salus.contracts.membership.rejections import Rejection
from salus.contracts.membership.state import (
    ACCUSATION_SPENT_S,
    ACCUSATIONS,
    CERTIFICATE_S_MAX,
    CERTIFICATES,
    CONSENSUS_KEY_S_MIN,
    CONTRACT,
    FILES,
    KEY_CHECK_STEPS,
    KEYS,
    PROPOSAL_S_MAX,
    PROPOSALS,
    SUSPENSION_S,
    VALIDATORS,
    Accusation,
    Admit,
    Certificate,
    KeyUse,
    Organisation,
    Proposal,
    Validator,
)
from salus.contracts.provisions import RoleClass, as_set
from salus.ledger.contract import Context, Rejected
from salus.ledger.identifiers import OrganisationId, PublicKey


@CONTRACT.handles(Certify, Certified)
def certify(context: Context, message: Certify) -> Certified:
    """Put a certificate in force for roles that the organisation itself holds.

    1. `organisation` is a member, else OrganisationUnknown.
    2. Signed by the organisation.
    3. The organisation has no certificate of this id in force, else CertificateKnown. An expired row counts until the
       sweep removes it. Ids of different organisations do not meet.
    4. `role_classes` is sorted, has each once, and the organisation holds all of them, else RoleNotHeld.
    5. `expires_at_s` is after the block's time and at most 400 days (34,560,000 s) after it, else ExpiryUnfit.
    6. Write `membership.certificates`.
    """
    organisation = require_organisation(context, message.organisation)  # 1
    sign_as(context, message.organisation)  # 2
    place = (message.organisation, message.certificate)
    if CERTIFICATES.get(context, place) is not None:  # 3
        raise Rejected(Rejection.CERTIFICATE_KNOWN, "expected a new certificate id: take a fresh salt")
    if not _are_held(organisation, message.role_classes):  # 4
        raise Rejected(Rejection.ROLE_NOT_HELD, "expected role classes that the organisation itself holds, sorted")
    if not context.time_s < message.expires_at_s <= context.time_s + CERTIFICATE_S_MAX:  # 5
        raise Rejected(Rejection.EXPIRY_UNFIT, f"expected expiry within {CERTIFICATE_S_MAX} s of {context.time_s}")
    CERTIFICATES.put(context, place, Certificate(message.kind, message.role_classes, message.expires_at_s))  # 6
    return Certified(
        message.organisation, message.certificate, message.kind, message.role_classes, message.expires_at_s
    )


def _are_held(organisation: Organisation, role_classes: tuple[RoleClass, ...]) -> bool:
    return role_classes == as_set(role_classes) and all(role in organisation.role_classes for role in role_classes)


@CONTRACT.handles(RevokeCertificate, CertificateRevoked)
def revoke_certificate(context: Context, message: RevokeCertificate) -> CertificateRevoked:
    """Remove a certificate; only the organisation that gave it can name it.

    1. `organisation` is a member, else OrganisationUnknown.
    2. Signed by the organisation.
    3. The organisation has a certificate of this id, else CertificateUnknown.
    4. Delete the row.
    """
    require_organisation(context, message.organisation)  # 1
    sign_as(context, message.organisation)  # 2
    place = (message.organisation, message.certificate)
    if CERTIFICATES.get(context, place) is None:  # 3
        raise Rejected(Rejection.CERTIFICATE_UNKNOWN, "expected a certificate of yours: it expired or was revoked")
    CERTIFICATES.delete(context, place)  # 4
    return CertificateRevoked(message.organisation, message.certificate)


@CONTRACT.handles(RotateKey, KeyRotated)
def rotate_key(context: Context, message: RotateKey) -> KeyRotated:
    """Replace a key; a signing key proves by its signature that somebody holds it.

    1. `organisation` is a member, else OrganisationUnknown.
    2. Signed by the organisation: by its present transaction key, also when that is what it replaces.
    3. `use` is not CONSENSUS, whose keys change with the validators, else UseUnfit.
    4. The key is fit for its use, else KeyUnfit. HPKE: first byte 1 and 33 bytes, or first byte 2 and 1217 bytes.
       Others: 32 bytes, an Ed25519 point in canonical encoding, not of small and not of mixed order.
    5. `membership.owners` has no row for SHA-256 of the key, else KeyInUse: no key ever registered comes back.
    6. Unless `use` is HPKE: signed by the new key.
    7. Write `membership.keys`: the new key is current; the one before, if any, becomes the last of the retired with the
       block's time; of the retired the last 8 stay. Write `membership.owners`.
    """
    require_organisation(context, message.organisation)  # 1
    sign_as(context, message.organisation)  # 2
    if message.use is KeyUse.CONSENSUS:  # 3
        raise Rejected(Rejection.USE_UNFIT, "a consensus key changes with the validators: expected another use")
    context.step(KEY_CHECK_STEPS)
    check_key(message.use, message.key)  # 4
    if owner_of(context, message.key) is not None:  # 5
        raise Rejected(Rejection.KEY_IN_USE, "expected a new key: this one is or was registered")
    if message.use is not KeyUse.HPKE:
        context.signed_by((PublicKey(message.key),), who="the new key")  # 6
    replace_key(context, message.organisation, message.use, message.key)  # 7
    return KeyRotated(message.organisation, message.use, message.key)


@CONTRACT.handles(PublishFile, FilePublished)
def publish_file(context: Context, message: PublishFile) -> FilePublished:
    """Record which bytes a name stands for.

    1. `organisation` is a member, else OrganisationUnknown.
    2. Signed by the organisation.
    3. Write `membership.files`, in the place of what the name stood for.
    """
    require_organisation(context, message.organisation)  # 1
    sign_as(context, message.organisation)  # 2
    FILES.put(context, (message.organisation, message.name), message.digest)  # 3
    return FilePublished(message.organisation, message.name, message.digest)


@CONTRACT.handles(Propose, Proposed)
def propose(context: Context, message: Propose) -> Proposed:
    """Put an action to the vote; who proposes it is in favour.

    1. `organisation` is a member, else OrganisationUnknown.
    2. Signed by the organisation.
    3. `expires_at_s` is after the block's time and at most 30 days (2,592,000 s) after it, else ExpiryUnfit.
    4. *Admit* is fit: `organisation` of the action is no member, else MemberKnown. `role_classes` is sorted and has
       each once, else RoleNotHeld. `access` is not VALIDATOR, else AccessUnfit. `keys` has a TRANSACTION key, and each
       use once, else UseUnfit. Each key is fit for its use (see RotateKey), else KeyUnfit. No two are the same, and
       none was ever registered, else KeyInUse.
    5. *Remove* is fit: its `organisation` is a member, else OrganisationUnknown; and may have no seat, see *Seats*,
       else LastValidator, PowerUnfit.
    6. *SetPolicy* is fit: its `organisation` is empty or a member, else OrganisationUnknown. Every tree is valid
       (provisions), and their gates have at most 2,000 steps together, else PolicyUnfit.
    7. *ScheduleRules* is fit: `rules_version` is one more than that of this block (see *Rules by height*), else
       VersionUnfit. `height` is after this block's, else HeightUnfit.
    8. *SetAccess* is fit: its `organisation` is a member, else OrganisationUnknown. `access` is VALIDATOR, `power` is
       not 0 and the member has a CONSENSUS key; or `access` is another, and `power` is 0: else AccessUnfit. The member
       may have a seat with its CONSENSUS key and this power, or with 0 none, see *Seats*, else LastValidator,
       PowerUnfit.
    9. *SetSuspension* is fit: its `organisation` is a member, else OrganisationUnknown.
    10. If *Admit*: signed by each of its keys but HPKE, in their order.
    11. The proposal id is the first 16 bytes of the tagged hash ("salus/proposal/1") of the transaction's hash and the
        message's place as 4 bytes big-endian. If the proposer alone is more than two thirds of all members, the
        proposal is carried: do the action. Else write `membership.proposals` with the proposer in favour.
    """
    require_organisation(context, message.organisation)  # 1
    sign_as(context, message.organisation)  # 2
    if not context.time_s < message.expires_at_s <= context.time_s + PROPOSAL_S_MAX:  # 3
        raise Rejected(Rejection.EXPIRY_UNFIT, f"expected expiry within {PROPOSAL_S_MAX} s of {context.time_s}")
    check_action(context, message.action)  # 4 to 9
    if isinstance(message.action, Admit):
        for each in message.action.keys:  # 10
            if each.use is not KeyUse.HPKE:
                context.signed_by((PublicKey(each.key),), who=f"the {each.use.name} key")
    proposal = proposal_id(context.transaction, context.message_index)
    is_done = is_carried(context, (message.organisation,))  # 11
    if is_done:
        carry_out(context, message.action)
    else:
        row = Proposal(message.organisation, message.action, message.expires_at_s, (message.organisation,))
        PROPOSALS.put(context, proposal, row)
    return Proposed(message.organisation, proposal, message.action, message.expires_at_s, is_done)


@CONTRACT.handles(Vote, VoteCast)
def vote(context: Context, message: Vote) -> VoteCast:
    """Count a vote; the one that makes a super-majority carries the proposal.

    1. `organisation` is a member, suspended or not, else OrganisationUnknown.
    2. Signed by the organisation.
    3. `membership.proposals` has the proposal, and its `expires_at_s` is after the block's time, else ProposalUnknown.
    4. Add the organisation to `in_favour`, which is sorted, unless it is there; or with `is_in_favour` false, take it
       out.
    5. With `is_in_favour`: if those in favour that are members now are more than two thirds of all members, the action
       is still fit (steps 4 to 9 of Propose), else ActionUnfit: vote again in a later block, or let it expire.
    6. If so, the proposal is carried: do its action (see Propose) and delete the row. Else write the row.
    """
    require_organisation(context, message.organisation)  # 1
    sign_as(context, message.organisation)  # 2
    row = PROPOSALS.get(context, message.proposal)
    if row is None or context.time_s >= row.expires_at_s:  # 3
        raise Rejected(
            Rejection.PROPOSAL_UNKNOWN, "expected an open proposal: it was carried, has expired or never was"
        )
    others = {each for each in row.in_favour if each != message.organisation}  # 4
    in_favour = tuple(sorted({*others, message.organisation} if message.is_in_favour else others))
    is_done = message.is_in_favour and is_carried(context, in_favour)
    if is_done:
        _check_still_fit(context, row)  # 5
        PROPOSALS.delete(context, message.proposal)  # 6
        carry_out(context, row.action)
    else:
        PROPOSALS.put(context, message.proposal, Proposal(row.proposer, row.action, row.expires_at_s, in_favour))
    return VoteCast(message.organisation, message.proposal, message.is_in_favour, is_done)


def _check_still_fit(context: Context, row: Proposal) -> None:
    try:
        check_action(context, row.action)
    except Rejected as rejected:
        if rejected.code < CONTRACT.number * 100:
            raise  # the machine's own
        raise Rejected(Rejection.ACTION_UNFIT, f"what is proposed is no longer fit: {rejected}") from rejected


@CONTRACT.handles(Suspend, Accused)
def accuse(context: Context, message: Suspend) -> Accused:
    """Accuse a member; enough accusers suspend it until a vote confirms that or its time is over.

    A suspended member neither requests nor releases across organisations. It keeps its vote, its seat and the care of
    its own patients.

    1. `organisation` is a member, else OrganisationUnknown.
    2. Signed by the organisation.
    3. `accused` is another member and not suspended, else AccusedUnfit.
    4. The organisation has no row in `membership.accusations` whose `until_s` is after the block's time, else
       AccusationOpen: each has one at a time.
    5. Write `membership.accusations`, until 72 hours (259,200 s) after the block's time, not spent.
    6. Count the members whose accusation is of the accused, not spent, and has its `until_s` after the block's time.
       If they are more than a third of all members, and at least 3: write the accused's `suspended_until_s` as 72 hours
       after the block's time; each of these accusations is spent, and its `until_s` 30 days (2,592,000 s) after the
       block's time.
    """
    require_organisation(context, message.organisation)  # 1
    sign_as(context, message.organisation)  # 2
    accused = member(context, message.accused)
    is_fit = accused is not None and not is_suspended(accused, time_s=context.time_s)
    if not is_fit or message.accused == message.organisation:  # 3
        raise Rejected(
            Rejection.ACCUSED_UNFIT, f"expected another member that is not suspended, came {message.accused}"
        )
    open_row = ACCUSATIONS.get(context, message.organisation)
    if open_row is not None and context.time_s < open_row.until_s:  # 4
        raise Rejected(Rejection.ACCUSATION_OPEN, f"one accusation at a time: expected none before {open_row.until_s}")
    until_s = context.time_s + SUSPENSION_S
    ACCUSATIONS.put(context, message.organisation, Accusation(message.accused, until_s, is_spent=False))  # 5
    is_done = _suspend_by(context, message.accused, until_s=until_s)  # 6
    return Accused(message.organisation, message.accused, until_s if is_done else 0, message.commitment)


def _suspend_by(context: Context, accused: OrganisationId, *, until_s: int) -> bool:
    everybody = members(context)
    rows = {each: ACCUSATIONS.get(context, each) for each in everybody}
    accusers = [each for each, row in rows.items() if row is not None and _is_of(row, accused, context.time_s)]
    if not can_suspend(len(accusers), of=len(everybody)):
        return False
    suspend(context, accused, until_s=until_s)
    for each in accusers:
        spent = Accusation(accused, context.time_s + ACCUSATION_SPENT_S, is_spent=True)
        ACCUSATIONS.put(context, each, spent)
    return True


def _is_of(row: Accusation, accused: OrganisationId, time_s: int) -> bool:
    return row.accused == accused and not row.is_spent and time_s < row.until_s


@CONTRACT.handles(RotateConsensusKey, ConsensusKeyRotated)
def rotate_consensus_key(context: Context, message: RotateConsensusKey) -> ConsensusKeyRotated:
    """Register the key with which a member signs blocks; a validator's seat takes it from two heights later on.

    1. `organisation` is a member, else OrganisationUnknown.
    2. Signed by the organisation.
    3. The key is a fit Ed25519 key (see RotateKey), else KeyUnfit.
    4. `membership.owners` has no row for SHA-256 of the key, else KeyInUse.
    5. The newest of the retired keys in its row of `membership.keys` for CONSENSUS, if any, was current until a time at
       least 24 hours (86,400 s) before the block's, else RotationUnfit.
    6. If it has a seat: it may have one with the new key and the same power (Propose, *Seats*), else PowerUnfit.
    7. Signed by the new key.
    8. Write `membership.keys` and `membership.owners` as in step 7 of RotateKey, and the seat.
    """
    require_organisation(context, message.organisation)  # 1
    sign_as(context, message.organisation)  # 2
    context.step(KEY_CHECK_STEPS)
    check_key(KeyUse.CONSENSUS, message.key)  # 3
    if owner_of(context, message.key) is not None:  # 4
        raise Rejected(Rejection.KEY_IN_USE, "expected a new key: this one is or was registered")
    keys = KEYS.get(context, (message.organisation, KeyUse.CONSENSUS))
    if keys is not None and keys.retired and context.time_s < keys.retired[-1].until_s + CONSENSUS_KEY_S_MIN:  # 5
        raise Rejected(Rejection.ROTATION_UNFIT, f"expected {CONSENSUS_KEY_S_MIN} s between two rotations")
    seat = VALIDATORS.get(context, message.organisation)
    if seat is not None:
        seat = Validator(message.key, seat.power)
        check_seat(context, message.organisation, seat)  # 6
    context.signed_by((message.key,), who="the new key")  # 7
    replace_key(context, message.organisation, KeyUse.CONSENSUS, message.key)  # 8
    put_seat(context, message.organisation, seat)
    return ConsensusKeyRotated(message.organisation, message.key)
