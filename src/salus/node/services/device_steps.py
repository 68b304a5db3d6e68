"""Device steps: where each of a patient's devices acts, and what brings it to act elsewhere, or nowhere any more.

Of each relationship one device is the first: its key is the pseudonym's own, and it lets others act. That takes two
steps, since two devices sign one body: the first one's signature waits with the other for five minutes.
Promises: what one custodian has taken stays, whether or not another answers; the rest is done again.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import msgspec

from salus.contracts.patients import AddKey, KeyKind
from salus.ledger.identifiers import OrganisationId, Pseudonym, PublicKey
from salus.node.assemble import Node
from salus.node.errors import Refusal, Refused
from salus.node.exchange import Peers
from salus.node.services.accounts import AccountId
from salus.node.services.deliver import ToDeliver, deliver_at_once
from salus.node.services.signer_answers import HalfSigned, KeyAccepted, Signed, join
from salus.node.services.signer_devices import Device, DeviceKey, Offer, SignerDevices
from salus.node.services.signer_requests import AcceptKey, LetAct, StopActing

OFFER_S: Final = 300
"""How long a device has to accept: as long as the body that the first one signed is good."""


@dataclass(frozen=True)
class Reach:
    """How far a device comes.

    Args:
        acts: its keys that act at this moment; first: those of them that are the pseudonyms' own.
        lacks: where it does not act, and one other device lets it: the keys of that one, `by`.
        made: its own keys for these, which wait to be let act.
    """

    device: Device
    acts: tuple[DeviceKey, ...]
    first: tuple[DeviceKey, ...]
    lacks: tuple[DeviceKey, ...] = ()
    made: tuple[DeviceKey, ...] = ()
    by: Device | None = None


def reaches(devices: SignerDevices, account: AccountId) -> list[Reach]:
    """Return how far each of an account's devices comes, the oldest first."""
    found = [_standing(devices, each) for each in devices.of(account)]
    return [_with_lacks(each, found) for each in found]


def to_let_act(reach: Reach) -> tuple[LetAct, ...]:
    """Return what the first device is asked for another one: all for which that one has made keys, as its code says."""
    return tuple(
        LetAct(
            custodian=OrganisationId(each.custodian),
            pseudonym=Pseudonym(each.pseudonym),
            key=PublicKey(each.key),
            key_kind=KeyKind.DEVICE,
            expires_at_s=0,
            name=reach.device.name,
        )
        for each in reach.made
    )


def to_accept(device: Device, *, now_s: int) -> tuple[AcceptKey, ...]:
    """Return what a device is asked that another one lets act."""
    return tuple(AcceptKey(OrganisationId(each.custodian), each.body) for each in device.offers if now_s < each.until_s)


def to_stop(
    devices: SignerDevices, account: AccountId, reach: Reach
) -> tuple[tuple[StopActing, ...], tuple[Device, ...]]:
    """Return what is asked about a device that is to stop, and of which devices.

    As much as another one can end at once, since a device that is to stop may be lost; else all, of itself.
    """
    others = [_both_act(devices, each, reach) for each in devices.of(account) if each.id != reach.device.id]
    ended = max(others, key=len, default=()) or reach.acts
    able = devices.acting(account, *(Pseudonym(each.pseudonym) for each in ended))
    items = tuple(
        StopActing(OrganisationId(each.custodian), Pseudonym(each.pseudonym), PublicKey(each.key), reach.device.name)
        for each in ended
    )
    return items, tuple(able)


def offer(
    node: Node,
    devices: SignerDevices,
    account: AccountId,
    device: bytes,
    halves: Sequence[HalfSigned],
    custodians: Sequence[str],
) -> None:
    """Keep what the first device signed with the device that it lets act, until that accepts.

    Raises:
        Refused: NOT_YOURS.
    """
    until_s, offers = node.clock() + OFFER_S, []
    for half, custodian in zip(halves, custodians, strict=True):
        assert isinstance(half.message, AddKey), "what lets a device act adds its key"
        offers.append(Offer(custodian, half.message, half.body, half.signers, half.signature, half.residual, until_s))
    devices.change(account, device, lambda now: msgspec.structs.replace(now, offers=tuple(offers)))


def accept(
    node: Node,
    peers: Peers,
    devices: SignerDevices,
    account: AccountId,
    device: bytes,
    accepted: Sequence[KeyAccepted],
) -> tuple[str, ...]:
    """Let a device act that has accepted, with each custodian that takes it.

    Raises:
        Refused: NOT_YOURS; CHOICE_UNFIT: it is let act anew since; or what the first custodian says that refuses it,
            after all were asked.

    Returns:
        The custodians that did not answer; what is for them can be accepted again.
    """
    offers = {each.body: each for each in devices.find(account, device).offers}
    if not all(each.body in offers for each in accepted):
        raise Refused(Refusal.CHOICE_UNFIT, "expected what the first device lets this one do: open the page again")
    asked = [(offers[each.body], join(offers[each.body].half, each)) for each in accepted]
    signed = [ToDeliver(one.message.pseudonym, raw, one.residual) for one, raw in asked]
    came = list(zip((one for one, _ in asked), deliver_at_once(node, peers, signed), strict=True))
    taken = {one.body for one, error in came if error is None}
    devices.change(account, device, partial(_without, taken))
    for _, error in came:
        if isinstance(error, Refused):
            raise error
    return tuple(one.custodian for one, error in came if error is not None)


def stop(
    node: Node, peers: Peers, devices: SignerDevices, account: AccountId, device: bytes, signed: Sequence[Signed]
) -> tuple[str, ...]:
    """Stop a device with each custodian that takes it; forget it once it acts nowhere any more.

    Raises:
        Refused: NOT_YOURS; or, where it stopped nowhere, what the first custodian says that refuses it.

    Returns:
        The custodians with which it still acts.
    """
    asked = [ToDeliver(each.message.pseudonym, each.raw, each.residual) for each in signed]
    came = deliver_at_once(node, peers, asked)
    ended = {each.pseudonym for each, error in zip(asked, came, strict=True) if error is None}
    refusals = [error for error in came if isinstance(error, Refused)]
    if ended:
        devices.change(account, device, lambda now: msgspec.structs.replace(now, is_leaving=True))
    now = _standing(devices, devices.find(account, device))
    left = tuple(each.custodian for each in now.acts if each.pseudonym not in ended)
    if not left:
        devices.forget(account, device)
    elif refusals and not ended:
        raise refusals[0]
    return left


def _without(taken: Collection[bytes], device: Device) -> Device:
    """A device without offers that it has taken up."""
    return msgspec.structs.replace(device, offers=tuple(each for each in device.offers if each.body not in taken))


def _standing(devices: SignerDevices, device: Device) -> Reach:
    stands = [(each, devices.standing(device, Pseudonym(each.pseudonym))) for each in device.keys]
    acts = tuple(each for each, standing in stands if standing.acts)
    return Reach(device, acts, tuple(each for each, standing in stands if standing.is_first))


def _with_lacks(reach: Reach, everyone: Sequence[Reach]) -> Reach:
    """A device with what one other lets it do: the one for which it has made keys already, else the oldest."""
    acting, own = {each.pseudonym for each in reach.acts}, {each.pseudonym: each for each in reach.device.keys}
    found = []
    for other in everyone:
        lacks = tuple(each for each in other.first if each.pseudonym not in acting)
        if lacks and other.device.id != reach.device.id:
            made = tuple(own[each.pseudonym] for each in lacks if each.pseudonym in own)
            found.append(replace(reach, lacks=lacks, made=made, by=other.device))
    return max(found, key=lambda each: bool(each.made), default=reach)


def _both_act(devices: SignerDevices, other: Device, reach: Reach) -> tuple[DeviceKey, ...]:
    return tuple(each for each in reach.acts if devices.standing(other, Pseudonym(each.pseudonym)).acts)
