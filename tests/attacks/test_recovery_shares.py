"""What was sealed to a lost device opens with guardians, two members and a finished recovery, and with no less."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace

from salus.contracts.patients import TIME_LOCK_S
from salus.crypto.hpke import HpkeKey, HpkeSuite, open_with, seal_to
from salus.crypto.signing import SigningKey
from salus.ledger.identifiers import OrganisationId, Pseudonym
from salus.ledger.recovery_shares import KeptShare, sign_asked, sign_kept
from salus.node.answer import answer
from salus.node.assemble import Node
from salus.node.errors import Refusal
from salus.node.exchange import Answer, Done, GiveShareAsk, KeepShareAsk, RefusedAnswer, ShareAnswer
from salus.node.services import erase
from salus.node.services.enrol import enrol
from salus.sdk import guardians, reading_secrets
from salus.sdk.guardians import Circle
from salus.sdk.reading_secrets import SignedAsk, SignedShare
from salus.sdk.wallet import (
    Relationship,
    Wallet,
    WalletRefuses,
    begin,
    new_wallet,
    reading_key,
    relationship,
    signing_key,
)
from salus.testing.clock import FakeClock
from salus.testing.population.numbers import kept_nhs_number
from salus.testing.world import CHAIN, HOSPITAL, PRACTICE, World, world

pytestmark = pytest.mark.promise("U3")
DEVICE = OrganisationId("")
SEALED_FOR = b"for this test"
SECRET = b"sealed to the lost device"


@dataclass
class Scene:
    """Ann at a hospital with guardians, and two members that keep a share each."""

    made: World
    clock: FakeClock
    wallet: Wallet
    mine: Relationship
    seed: bytes
    second: bytes
    kept: tuple[SignedShare, SignedShare]

    @property
    def now_s(self) -> int:
        return self.clock.wall_ns() // 10**9

    @property
    def height(self) -> int:
        return self.made.engine.status().height

    def node(self, member: OrganisationId) -> Node:
        return self.made.nodes[member]

    def protect(self, wallet: Wallet, of: Relationship) -> tuple[SignedShare, SignedShare]:
        members = (HOSPITAL, PRACTICE)
        return reading_secrets.protect(wallet, of, (self.seed, self.second), members, time_s=self.now_s)

    def keep(self, signed: SignedShare, member: OrganisationId | None = None) -> Answer:
        node = self.node(member or signed.kept.member)
        return answer(node, DEVICE, KeepShareAsk(signed.kept, signed.signature))

    def new_device(self) -> tuple[Wallet, Relationship]:
        wallet = begin(new_wallet(), chain=CHAIN, custodian=HOSPITAL, pseudonym=self.mine.pseudonym)
        return wallet, relationship(wallet, chain=CHAIN, custodian=HOSPITAL)

    def start(self, wallet: Wallet, of: Relationship) -> None:
        self.node(HOSPITAL).submit_raw(guardians.sign_start(wallet, of, self.seed, time_s=self.now_s))

    def finish(self, of: Relationship) -> None:
        self.clock.advance(TIME_LOCK_S)
        self.node(HOSPITAL).submit_raw(guardians.sign_finish(of, self.seed, time_s=self.now_s))

    def recovered(self) -> tuple[Wallet, Relationship]:
        wallet, of = self.new_device()
        self.start(wallet, of)
        self.finish(of)
        return wallet, of

    def ask(self, wallet: Wallet, of: Relationship, member: OrganisationId) -> SignedAsk:
        return reading_secrets.ask(wallet, of, member, height=self.height, time_s=self.now_s)

    def give(self, signed: SignedAsk, member: OrganisationId | None = None) -> Answer:
        node = self.node(member or signed.asked.member)
        return answer(node, DEVICE, GiveShareAsk(signed.asked, signed.signature))

    def shares(self, wallet: Wallet, of: Relationship) -> tuple[KeptShare, KeptShare]:
        given = []
        for member in (HOSPITAL, PRACTICE):
            signed = self.ask(wallet, of, member)
            came = self.give(signed)
            assert isinstance(came, ShareAnswer), came
            given.append(reading_secrets.open_given(signed, came.sealed))
        return given[0], given[1]


@pytest.fixture
def on(tmp_path: Path) -> Iterator[Scene]:
    clock = FakeClock(int(time.time()))
    with world(tmp_path, organisations=(HOSPITAL, PRACTICE), clock=clock) as made:
        for each in (HOSPITAL, PRACTICE):
            made.open_node(each, clock=lambda: clock.wall_ns() // 10**9)
        wallet = begin(new_wallet(), chain=CHAIN, custodian=HOSPITAL)
        mine = relationship(wallet, chain=CHAIN, custodian=HOSPITAL)
        enrol(made.hospital, kept_nhs_number(1), "1980-02-29", key=signing_key(wallet, mine), pseudonym=mine.pseudonym)
        first, second = guardians.choose(Circle(2, 3), Circle(3, 5))
        assert second is not None
        now_s = clock.wall_ns() // 10**9
        made.hospital.submit_raw(guardians.sign_first_keys(wallet, mine, first.seed, second.seed, time_s=now_s))
        seeds = (first.seed, second.seed)
        kept = reading_secrets.protect(wallet, mine, seeds, (HOSPITAL, PRACTICE), time_s=now_s)
        scene = Scene(made, clock, wallet, mine, *seeds, kept)
        for signed in kept:
            assert scene.keep(signed) == Done(0)
        yield scene


def refused(came: Answer) -> Refusal:
    assert isinstance(came, RefusedAnswer), came
    return Refusal(came.refusal)


def test_a_new_device_opens_what_was_sealed_to_the_lost_one(on: Scene) -> None:
    sealed = seal_to(reading_key(on.wallet, on.mine).public, SECRET, info=SEALED_FOR)
    shares = on.shares(*on.recovered())
    for seed in (on.seed, on.second):
        for kept in (shares, shares[::-1]):
            key = reading_secrets.recover(on.mine, seed, (kept[0], kept[1]))
            assert open_with(key, sealed, info=SEALED_FOR) == SECRET


def test_less_than_all_three_opens_nothing(on: Scene) -> None:
    one, other = on.shares(*on.recovered())
    guessed = replace(other, share=bytes(32))
    for seed, kept in (
        (bytes(32), (one, other)),  # both members, without guardians
        (on.seed, (one, guessed)),  # guardians and one member
        (on.seed, (guessed, other)),
        (on.seed, (one, one)),
    ):
        with pytest.raises(WalletRefuses):
            reading_secrets.recover(on.mine, seed, kept)
    elsewhere = replace(on.mine, pseudonym=Pseudonym(bytes(16)))
    with pytest.raises(WalletRefuses):
        reading_secrets.recover(elsewhere, on.seed, (one, other))


def test_no_member_gives_before_a_recovery_is_finished(on: Scene) -> None:
    assert refused(on.give(on.ask(on.wallet, on.mine, PRACTICE))) is Refusal.SHARE_UNFIT  # nobody lost anything
    wallet, of = on.new_device()
    on.start(wallet, of)
    for member in (HOSPITAL, PRACTICE):
        for device in ((wallet, of), (on.wallet, on.mine)):
            assert refused(on.give(on.ask(*device, member))) is Refusal.SHARE_UNFIT
    on.node(HOSPITAL).submit_raw(guardians.sign_cancel(on.wallet, on.mine, time_s=on.now_s))
    on.clock.advance(TIME_LOCK_S)
    for device in ((wallet, of), (on.wallet, on.mine)):
        assert refused(on.give(on.ask(*device, PRACTICE))) is Refusal.SHARE_UNFIT


def test_a_member_gives_to_the_new_key_alone(on: Scene) -> None:
    wallet, of = on.recovered()
    thief, _ = on.new_device()
    for device in ((on.wallet, on.mine), (thief, of)):
        assert refused(on.give(on.ask(*device, PRACTICE))) is Refusal.SIGNATURE_UNFIT
    signed = on.ask(wallet, of, PRACTICE)
    own = HpkeKey.generate(HpkeSuite.HYBRID)
    assert refused(on.give(SignedAsk(replace(signed.asked, reader=own.public), signed.signature, own))) is (
        Refusal.SIGNATURE_UNFIT
    )
    came = on.give(signed)
    assert isinstance(came, ShareAnswer)
    with pytest.raises(WalletRefuses):
        reading_secrets.open_given(on.ask(wallet, of, PRACTICE), came.sealed)  # another ask's answer
    assert b"".join(each.kept.share for each in on.kept)[:32] not in came.sealed


def test_a_recovery_of_another_opens_nothing_of_anns(on: Scene) -> None:
    """Eve's own recovery was finished; she asks for Ann's share, and for hers with Ann's name."""
    eve = begin(new_wallet(), chain=CHAIN, custodian=HOSPITAL)
    hers = relationship(eve, chain=CHAIN, custodian=HOSPITAL)
    enrol(on.made.hospital, kept_nhs_number(2), "1990-01-01", key=signing_key(eve, hers), pseudonym=hers.pseudonym)
    seed = guardians.choose(Circle(2, 3))[0].seed
    node = on.made.hospital
    node.submit_raw(guardians.sign_first_keys(eve, hers, seed, None, time_s=on.now_s))
    new = begin(new_wallet(), chain=CHAIN, custodian=HOSPITAL, pseudonym=hers.pseudonym)
    of = relationship(new, chain=CHAIN, custodian=HOSPITAL)
    node.submit_raw(guardians.sign_start(new, of, seed, time_s=on.now_s))
    on.clock.advance(TIME_LOCK_S)
    node.submit_raw(guardians.sign_finish(of, seed, time_s=on.now_s))
    assert refused(on.give(on.ask(new, of, PRACTICE))) is Refusal.SHARE_UNFIT  # nothing is kept for her
    asked = replace(on.ask(new, of, PRACTICE).asked, pseudonym=on.mine.pseudonym)
    own = HpkeKey.generate(HpkeSuite.HYBRID)
    signed = SignedAsk(asked, sign_asked(asked, signing_key(new, of)), own)
    assert refused(on.give(signed)) is Refusal.SHARE_UNFIT


def test_an_old_ask_another_members_and_an_old_recovery_are_nothing(on: Scene) -> None:
    first, of = on.recovered()
    signed = on.ask(first, of, PRACTICE)
    assert refused(on.give(signed, HOSPITAL)) is Refusal.MESSAGE_UNFIT
    asked = replace(signed.asked, chain="salus-other")
    other = SignedAsk(asked, sign_asked(asked, signing_key(first, of)), signed.reader)
    assert refused(on.give(other)) is Refusal.MESSAGE_UNFIT
    on.clock.advance(301)
    assert refused(on.give(signed)) is Refusal.MESSAGE_UNFIT
    on.recovered()  # by guardians once more, for a third device: the second one is the lost one now
    assert refused(on.give(on.ask(first, of, PRACTICE))) is Refusal.SIGNATURE_UNFIT


def test_only_the_patient_puts_something_there_and_never_an_older_one(on: Scene) -> None:
    old = on.kept[1]
    on.clock.advance(60)
    (_, new) = on.protect(on.wallet, on.mine)
    assert on.keep(new) == Done(0)
    assert on.keep(new) == Done(0)
    assert refused(on.keep(old)) is Refusal.REPLAYED
    assert refused(on.keep(new, HOSPITAL)) is Refusal.MESSAGE_UNFIT
    stranger = SigningKey.generate()
    later = replace(new.kept, at_s=new.kept.at_s + 1)
    assert refused(on.keep(SignedShare(later, sign_kept(later, stranger)))) is Refusal.SIGNATURE_UNFIT
    assisted = enrol(on.made.hospital, kept_nhs_number(3), "1970-01-01")
    held = replace(later, pseudonym=assisted)
    assert refused(on.keep(SignedShare(held, sign_kept(held, stranger)))) is Refusal.PATIENT_UNKNOWN
    nobody = replace(later, pseudonym=Pseudonym(bytes(16)))
    assert refused(on.keep(SignedShare(nobody, sign_kept(nobody, stranger)))) is Refusal.PATIENT_UNKNOWN
    with pytest.raises(WalletRefuses):
        reading_secrets.protect(on.wallet, on.mine, (on.seed,), (HOSPITAL, HOSPITAL), time_s=on.now_s)


def test_at_rest_a_member_has_its_share_sealed_and_an_erasure_ends_it(on: Scene) -> None:
    shares = [each.kept.share for each in on.kept]
    for each in on.made.folder.rglob("*"):
        if each.is_file():
            assert not any(share in each.read_bytes() for share in shares), each
    device = on.recovered()
    erase.erase(on.made.hospital, on.mine.pseudonym)
    assert refused(on.give(on.ask(*device, HOSPITAL))) is Refusal.PATIENT_UNKNOWN
    assert refused(on.give(on.ask(*device, PRACTICE))) is Refusal.PATIENT_UNKNOWN
    assert not erase.is_held(on.made.hospital, on.mine.pseudonym)
