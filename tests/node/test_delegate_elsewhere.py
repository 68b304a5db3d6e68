"""What a delegate may not decide they can still have committed by another member: then nothing goes to others (R1)."""

import secrets

import pytest

from salus.contracts import consent
from salus.contracts.consent import FileConsent
from salus.contracts.provisions import Provision, ProvisionType, day_of, gate
from salus.contracts.residuals import commit_choice
from salus.crypto.sealing import new_key
from salus.crypto.signing import SigningKey
from salus.ledger import transactions
from salus.node.acting import Delegate
from salus.node.errors import Refusal, Refused
from salus.node.sealed_rows import SealedRows
from salus.node.services import choices
from salus.node.services.accounts import Accounts
from salus.node.services.patient_helpers import Help, Helpers
from salus.testing.world import HOSPITAL, PRACTICE
from tests.node.one_day import SMALL, Day

WIDER = Provision(ProvisionType.PERMIT, organisations=(PRACTICE, HOSPITAL))


def delegate_of(day: Day) -> SigningKey:
    """Somebody whom the custodian lets see Ann's record for her, and no more."""
    rows = SealedRows(day.hospital.vault, day.hospital.chain)
    accounts = Accounts(day.hospital, rows)
    own = accounts.find(accounts.add_patient(day.ann, name="Ann"))
    assert own is not None
    login = accounts.login_of(own, accounts.hold(own)[0])
    Helpers.of_node(day.hospital).add(login, day.ann, Help("Jo", "carer", may_share=False), patient="Ann")
    (found,) = [
        each.account.acts_as for each in accounts.of_patient(day.ann) if isinstance(each.account.acts_as, Delegate)
    ]
    return SigningKey.from_seed(found.seed)


@pytest.mark.promise("R1", "R3")
def test_a_delegates_choice_that_another_member_commits_lets_nobody_in(day: Day) -> None:
    key, residual, choice = delegate_of(day), commit_choice(WIDER, secret=new_key()), secrets.token_bytes(16)
    message = FileConsent(day.ann, choice, gate(WIDER), residual.root(), day_of(day.hospital.clock()))
    until_s, nonce = day.hospital.clock() + 60, secrets.token_bytes(16)
    raw = transactions.sign([message], chain=day.hospital.chain, keys=(key,), expires_at_s=until_s, nonce=nonce)
    with pytest.raises(Refused) as refused:
        choices.take_choice(day.hospital, raw, message, residual)
    assert refused.value.refusal is Refusal.DELEGATE_UNFIT

    day.practice.submit_raw(raw)
    with day.hospital.engine.snapshot() as reader:
        assert choice in [each.choice for each in consent.choices(reader, day.ann).choices]
    with pytest.raises(Refused) as refused:
        day.receive(day.granted())
    assert refused.value.refusal is Refusal.RULES_MISSING

    choices.withdraw_by_custodian(day.hospital, day.ann, choice)
    assert day.receive(day.granted()) == [SMALL]
