"""What the actions of proposals need to be fit, and what they do once they are carried.

Fitness is checked when an action is proposed and again when it is carried: what was fit may no longer be.
"""

import msgspec

from salus.contracts import provisions
from salus.contracts.membership.queries import (
    check_key,
    check_policy,
    current_key,
    is_super_majority,
    key_hash,
    members,
    owner_of,
    policy,
    require_organisation,
    rules_version,
    seats,
)
from salus.contracts.membership.rejections import Rejection
from salus.contracts.membership.state import (
    ACCUSATIONS,
    BEFORE,
    CASES,
    KEY_CHECK_STEPS,
    KEYS,
    NETWORK,
    NETWORK_KEY,
    NETWORK_POLICY,
    ORGANISATIONS,
    OWNERS,
    POLICIES,
    RETIRED_KEYS_MAX,
    UPGRADES,
    VALIDATORS,
    Admit,
    AnyAction,
    Keys,
    KeyUse,
    LedgerAccess,
    Organisation,
    Owner,
    Policy,
    Remove,
    RetiredKey,
    ScheduleRules,
    SetAccess,
    SetPolicy,
    SetSuspension,
    Upgrade,
    Validator,
    ValidatorsBefore,
)
from salus.ledger.contract import Context, Rejected
from salus.ledger.identifiers import OrganisationId, PublicKey


def check_action(context: Context, action: AnyAction) -> None:
    """Raise Rejected unless an action is fit now: see Propose."""
    match action:
        case Admit():
            _check_admission(context, action)
        case Remove():
            require_organisation(context, action.organisation)
            check_seat(context, action.organisation, None)
        case SetPolicy():
            if action.organisation != NETWORK_POLICY:
                require_organisation(context, action.organisation)
            context.step(sum(provisions.steps(gate) for gate in check_policy(action.provisions)))
        case ScheduleRules():
            _check_schedule(context, action)
        case SetAccess():
            _check_access(context, action)
        case SetSuspension():
            require_organisation(context, action.organisation)


def carry_out(context: Context, action: AnyAction) -> None:
    """Do what a carried action says; it is fit.

    - *Admit*: write `membership.organisations`, joined at the block's time, not suspended; and its keys as in step 7 of
      RotateKey.
    - *Remove*: delete the seat, the row in `membership.organisations`, the member's own row in `membership.accusations`
      and those of other members that accuse it. Of each of its keys `current` becomes empty, and the one before is
      retired as in step 7 of RotateKey. So it signs nothing more, and its certificates count for nothing.
    - *SetPolicy*: write `membership.policies`: the version one more than before, 1 for the first, and the gate of each
      tree.
    - *ScheduleRules*: a row of `membership.upgrades` whose height is not after this block's is first written to
      `membership.network` as its `rules_version`. Then write `membership.upgrades` at key 0.
    - *SetAccess*: write the seat with the member's CONSENSUS key, or delete it, and write `access`. An open case of the
      member is closed at the block's time.
    - *SetSuspension*: write `suspended_until_s`. If it is after the block's time, delete the rows of members that
      accuse it, spent or not.
    """
    match action:
        case Admit():
            _admit(context, action)
        case Remove():
            _remove(context, action.organisation)
        case SetPolicy():
            version = policy(context, action.organisation).version + 1
            POLICIES.put(
                context, action.organisation, Policy(version, action.provisions, check_policy(action.provisions))
            )
        case ScheduleRules():
            _schedule(context, action)
        case SetAccess():
            _set_access(context, action)
        case SetSuspension():
            _set_suspension(context, action)


# Members


def _check_admission(context: Context, action: Admit) -> None:
    if ORGANISATIONS.get(context, action.organisation) is not None:
        raise Rejected(
            Rejection.MEMBER_KNOWN, f"expected an organisation that is no member, came {action.organisation}"
        )
    if action.role_classes != provisions.as_set(action.role_classes):
        raise Rejected(Rejection.ROLE_NOT_HELD, "expected role classes sorted and each once")
    if action.access is LedgerAccess.VALIDATOR:
        raise Rejected(Rejection.ACCESS_UNFIT, "a new member first follows: expected observer or own proofs")
    uses = [row.use for row in action.keys]
    if KeyUse.TRANSACTION not in uses or len(set(uses)) != len(uses):
        raise Rejected(Rejection.USE_UNFIT, "expected a key for transactions, and each use once")
    for row in action.keys:
        context.step(KEY_CHECK_STEPS)
        check_key(row.use, row.key)
    keys = [row.key for row in action.keys]
    if len(set(keys)) != len(keys) or any(owner_of(context, key) is not None for key in keys):
        raise Rejected(Rejection.KEY_IN_USE, "expected new keys: one is or was registered, or is there twice")


def _admit(context: Context, action: Admit) -> None:
    row = Organisation(action.name, action.role_classes, action.access, action.endpoint, context.time_s, 0)
    ORGANISATIONS.put(context, action.organisation, row)
    for each in action.keys:
        replace_key(context, action.organisation, each.use, each.key)


def _remove(context: Context, organisation: OrganisationId) -> None:
    put_seat(context, organisation, None)
    ORGANISATIONS.delete(context, organisation)
    for use in KeyUse:
        if KEYS.get(context, (organisation, use)) is not None:
            replace_key(context, organisation, use, b"")
    ACCUSATIONS.delete(context, organisation)
    _drop_accusations(context, organisation)


def replace_key(context: Context, organisation: OrganisationId, use: KeyUse, key: bytes) -> None:
    """Make a key the current one, or none with empty bytes; the one before is retired."""
    old = KEYS.get(context, (organisation, use)) or Keys(b"", ())
    retired = (*old.retired, RetiredKey(old.current, context.time_s)) if old.current else old.retired
    KEYS.put(context, (organisation, use), Keys(key, retired[-RETIRED_KEYS_MAX:]))
    if key:
        OWNERS.put(context, key_hash(key), Owner(organisation, use))


# Rules


def _check_schedule(context: Context, action: ScheduleRules) -> None:
    now = rules_version(context, height=context.height)
    if action.rules_version != now + 1:
        raise Rejected(Rejection.VERSION_UNFIT, f"expected rules version {now + 1}, came {action.rules_version}")
    if action.height <= context.height:
        raise Rejected(Rejection.HEIGHT_UNFIT, f"expected a height after {context.height}, came {action.height}")


def _schedule(context: Context, action: ScheduleRules) -> None:
    fold_upgrade(context, height=context.height)
    UPGRADES.put(context, NETWORK_KEY, Upgrade(action.rules_version, action.height))


def fold_upgrade(context: Context, *, height: int) -> None:
    """Write the rules that hold at a height as the network's, if they came by a schedule."""
    scheduled = UPGRADES.get(context, NETWORK_KEY)
    if scheduled is not None and height >= scheduled.height:
        network = NETWORK.get(context, NETWORK_KEY)
        assert network is not None, "genesis writes the network's row"
        NETWORK.put(context, NETWORK_KEY, msgspec.structs.replace(network, rules_version=scheduled.rules_version))
        UPGRADES.delete(context, NETWORK_KEY)


# Access and validators


def _check_access(context: Context, action: SetAccess) -> None:
    require_organisation(context, action.organisation)
    key = current_key(context, action.organisation, KeyUse.CONSENSUS)
    is_validator = action.access is LedgerAccess.VALIDATOR
    if is_validator != (action.power > 0) or (is_validator and key is None):
        raise Rejected(
            Rejection.ACCESS_UNFIT, "expected a consensus key and a power for a validator, power 0 for others"
        )
    check_seat(context, action.organisation, _seat(context, action))


def _seat(context: Context, action: SetAccess) -> Validator | None:
    if not action.power:
        return None
    key = current_key(context, action.organisation, KeyUse.CONSENSUS)
    assert key is not None, "a validator's action is fit only with a key"
    return Validator(PublicKey(key), action.power)


def _set_access(context: Context, action: SetAccess) -> None:
    put_seat(context, action.organisation, _seat(context, action))
    row = require_organisation(context, action.organisation)
    ORGANISATIONS.put(context, action.organisation, msgspec.structs.replace(row, access=action.access))
    case = CASES.get(context, action.organisation)
    if case is not None and not case.closed_at_s:
        CASES.put(context, action.organisation, msgspec.structs.replace(case, closed_at_s=context.time_s))


def check_seat(context: Context, organisation: OrganisationId, seat: Validator | None) -> None:
    """Raise Rejected unless a member may have this seat, or none, from two heights later on (L7).

    The seats are the rows of `membership.validators`.

    1. With the change, one is left, else LastValidator.
    2. Compare the seats after the change with those before this block: the validators of `membership.before` if its
       height is this block's, else the rows as they are. For each key, take the power after less the power before, 0
       where it has no seat. The sum of what is gained is at most a third of the sum of the powers before, and so is the
       sum of what is lost, else PowerUnfit.

    The first change of seats in a block, of a key or of a power, writes `membership.before` at key 0: this height, and
    the rows before in ascending order of their keys.
    """
    now = seats(context)
    after = {**now, organisation: seat}
    powers = {each.key: each.power for each in after.values() if each is not None}
    if not powers:
        raise Rejected(Rejection.LAST_VALIDATOR, "expected another validator: the last one stays")
    before = {each.key: each.power for each in validators_before(context)}
    changes = [powers.get(key, 0) - before.get(key, 0) for key in sorted({*powers, *before})]
    moved = max(sum(change for change in changes if change > 0), -sum(change for change in changes if change < 0))
    if 3 * moved > sum(before.values()):
        raise Rejected(
            Rejection.POWER_UNFIT,
            f"expected at most a third of {sum(before.values())} to move in a block, came {moved}",
        )


def validators_before(context: Context) -> tuple[Validator, ...]:
    """Return the validators as they were before this block."""
    row = BEFORE.get(context, NETWORK_KEY)
    if row is not None and row.height == context.height:
        return row.validators
    return tuple(seats(context).values())


def put_seat(context: Context, organisation: OrganisationId, seat: Validator | None) -> None:
    """Give a member a seat, or take it away; the first change of a block notes what was before."""
    if VALIDATORS.get(context, organisation) == seat:
        return
    BEFORE.put(context, NETWORK_KEY, ValidatorsBefore(context.height, validators_before(context)))
    if seat is None:
        VALIDATORS.delete(context, organisation)
    else:
        VALIDATORS.put(context, organisation, seat)


# Suspension


def _set_suspension(context: Context, action: SetSuspension) -> None:
    suspend(context, action.organisation, until_s=action.until_s)
    if action.until_s > context.time_s:
        _drop_accusations(context, action.organisation)


def suspend(context: Context, organisation: OrganisationId, *, until_s: int) -> None:
    """Write until when a member is suspended."""
    row = require_organisation(context, organisation)
    ORGANISATIONS.put(context, organisation, msgspec.structs.replace(row, suspended_until_s=until_s))


def _drop_accusations(context: Context, accused: OrganisationId) -> None:
    for accuser in members(context):
        row = ACCUSATIONS.get(context, accuser)
        if row is not None and row.accused == accused:
            ACCUSATIONS.delete(context, accuser)


def is_carried(context: Context, in_favour: tuple[OrganisationId, ...]) -> bool:
    """Tell whether those in favour that are members now are more than two thirds of all members (L7)."""
    now = members(context)
    return is_super_majority(sum(1 for each in in_favour if each in now), of=len(now))
