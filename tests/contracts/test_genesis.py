"""The genesis document: what it writes, what it refuses, and the name that it gives a network."""

from collections.abc import Callable

import msgspec
import pytest

from salus.contracts import genesis as documents
from salus.contracts import membership
from salus.contracts.genesis import FirstPolicy, FirstValidator, Founder, FounderKey, Genesis, GenesisInvalid, check
from salus.contracts.membership import Keys, KeyUse, Owner, Validator
from salus.contracts.provisions import Provision, ProvisionType, Purpose, RoleClass, gate, steps
from salus.crypto.hashing import tagged
from salus.ledger.encoding import EncodingInvalid, encode
from salus.ledger.identifiers import OrganisationId
from tests.contracts.network import (
    BEGIN_S,
    SMALL_ORDER_KEY,
    Given,
    MemoryLedger,
    digest,
    first_rows,
    genesis,
    key,
    organisation,
)
from tests.contracts.trees import TREES

PLAIN = genesis(Given(policies={"": TREES["no-insurers"]}))
Change = Callable[[Genesis], Genesis]


def founders(change: Callable[[Founder], Founder]) -> Change:
    """Change the first founder, the hospital."""
    return lambda document: msgspec.structs.replace(
        document, founders=(change(document.founders[0]), *document.founders[1:])
    )


def keys(*added: FounderKey) -> Change:
    return founders(lambda founder: msgspec.structs.replace(founder, keys=(*founder.keys, *added)))


def policies(*added: FirstPolicy) -> Change:
    return lambda document: msgspec.structs.replace(document, policies=(*document.policies, *added))


def validators(*listed: FirstValidator) -> Change:
    return lambda document: msgspec.structs.replace(document, validators=listed)


def many_days(count: int) -> Provision:
    leaves = tuple(Provision(ProvisionType.DENY, valid_from_day=day, valid_to_day=day) for day in range(count))
    return Provision(ProvisionType.PERMIT, provisions=leaves)


HOSPITAL = organisation("hospital")
SEAT = key("hospital/consensus").public
UNSORTED = Provision(ProvisionType.DENY, purposes=(Purpose.ETREAT, Purpose.TREAT))
REFUSED: dict[str, tuple[Change, str]] = {
    "another format": (lambda document: msgspec.structs.replace(document, format=2), "format 1, came 2"),
    "a founder twice": (
        lambda document: msgspec.structs.replace(document, founders=(*document.founders, document.founders[0])),
        "once each organisation among the founders",
    ),
    "role classes unsorted": (
        founders(lambda founder: msgspec.structs.replace(founder, role_classes=founder.role_classes[::-1])),
        "role classes of RX1 sorted",
    ),
    "a role class twice": (
        founders(lambda founder: msgspec.structs.replace(founder, role_classes=(RoleClass.CLINICAL,) * 2)),
        "role classes of RX1 sorted",
    ),
    "a key of another founder": (
        keys(FounderKey(KeyUse.RECEIPT, key("practice").public)),
        "once each key, which has one owner and one use",
    ),
    "a key with two uses": (keys(FounderKey(KeyUse.RECEIPT, key("hospital").public)), "once each key"),
    "two keys for one use": (
        keys(FounderKey(KeyUse.HTTP, key("http-2").public)),
        "once each use among the keys of RX1",
    ),
    "no key for transactions": (
        founders(lambda founder: msgspec.structs.replace(founder, keys=founder.keys[1:])),
        "a key for transactions of RX1",
    ),
    "a key of small order": (keys(FounderKey(KeyUse.RECEIPT, SMALL_ORDER_KEY)), "RECEIPT key of RX1: small order"),
    "an HPKE key of another form": (keys(FounderKey(KeyUse.HPKE, digest("hpke"))), "HPKE key of RX1: expected an HPKE"),
    "a policy of nobody": (policies(FirstPolicy("ZZ999", ())), "a policy of a founder, came one of ZZ999"),
    "two policies of the network": (policies(FirstPolicy("", ())), "once each policy of an organisation"),
    "two policies of an organisation": (
        policies(FirstPolicy("RX1", ()), FirstPolicy("RX1", ())),
        "once each policy of an organisation",
    ),
    "a policy with a label that no record carries": (
        policies(FirstPolicy("RX1", (Provision(ProvisionType.DENY, labels=("PSY",)),))),
        "policy of RX1: expected security labels of the form system|code",
    ),
    "a tree that is none": (policies(FirstPolicy("RX1", (UNSORTED,))), "policy of RX1: expected purposes sorted"),
    "gates with too many conditions": (
        policies(FirstPolicy("RX1", tuple(many_days(16) for _ in range(118)))),
        "policies of at most 2000 conditions, came 2006",
    ),
    "a validator of nobody": (validators(FirstValidator(OrganisationId("ZZ999"), SEAT, 1)), "that ZZ999 registers"),
    "a validator of another founder's key": (
        validators(FirstValidator(organisation("practice"), SEAT, 1)),
        "that A81001 registers",
    ),
    "a validator with a key for another use": (
        validators(FirstValidator(HOSPITAL, key("hospital").public, 1)),
        "that RX1 registers",
    ),
    "a validator twice": (
        validators(FirstValidator(HOSPITAL, SEAT, 1), FirstValidator(HOSPITAL, SEAT, 2)),
        "once each organisation among the validators",
    ),
}


@pytest.mark.parametrize(("change", "words"), REFUSED.values(), ids=REFUSED)
def test_a_document_that_does_not_fit_together_is_refused(change: Change, words: str) -> None:
    check(PLAIN)
    with pytest.raises(GenesisInvalid, match=words):
        check(change(PLAIN))


def test_gates_at_the_bound_are_accepted() -> None:
    """A tree of n days in a permit has a gate of n + 1 conditions."""
    trees = tuple(many_days(16) for _ in range(16)) + tuple(many_days(15) for _ in range(108))
    assert sum(steps(gate(tree)) for tree in trees) == 2_000
    check(policies(FirstPolicy("RX1", trees))(PLAIN))
    with pytest.raises(GenesisInvalid, match="came 2001"):
        check(policies(FirstPolicy("RX1", (*trees, many_days(0))))(PLAIN))


def test_a_document_is_read_back_and_named_by_its_hash() -> None:
    assert documents.decode_genesis(encode(PLAIN)) == PLAIN
    assert documents.genesis_hash(PLAIN) == tagged("salus/genesis/1", encode(PLAIN))
    other = msgspec.structs.replace(PLAIN, time_s=PLAIN.time_s + 1)
    assert documents.genesis_hash(other) != documents.genesis_hash(PLAIN)


def test_bytes_that_are_no_document_are_refused() -> None:
    with pytest.raises(EncodingInvalid):
        documents.decode_genesis(encode(PLAIN) + b"\x00")
    with pytest.raises(GenesisInvalid):
        documents.decode_genesis(encode(REFUSED["another format"][0](PLAIN)))


@pytest.mark.parametrize(("time_s", "fits"), [(0, False), (1, True), ((1 << 40) - 1, True), (1 << 40, False)])
def test_time_begins_after_0_which_stands_for_never(time_s: int, fits: bool) -> None:
    data = encode(msgspec.structs.replace(PLAIN, time_s=time_s))
    if fits:
        assert documents.decode_genesis(data).time_s == time_s
    else:
        with pytest.raises(EncodingInvalid):
            documents.decode_genesis(data)


@pytest.mark.parametrize("value", [0, -1, 1 << 31])
def test_the_limits_of_a_network_are_bounded(value: int) -> None:
    network = msgspec.structs.replace(PLAIN.network, permit_s_max=value)
    with pytest.raises(EncodingInvalid):
        documents.decode_genesis(encode(msgspec.structs.replace(PLAIN, network=network)))


def test_the_first_rows_are_what_the_document_says() -> None:
    reader = MemoryLedger(first_rows(Given(policies={"": TREES["no-insurers"]}))).store
    assert membership.network(reader) == PLAIN.network
    row = membership.ORGANISATIONS.get(reader, HOSPITAL)
    founder = PLAIN.founders[0]
    assert row == membership.Organisation(
        founder.name, founder.role_classes, founder.access, founder.endpoint, BEGIN_S, 0
    )
    for each in founder.keys:
        assert membership.KEYS.get(reader, (HOSPITAL, each.use)) == Keys(each.key, ())
        assert membership.owner_of(reader, each.key) == Owner(HOSPITAL, each.use)
        assert membership.current_key(reader, HOSPITAL, each.use) == each.key
    assert membership.current_key(reader, HOSPITAL, KeyUse.RECEIPT) is None
    assert membership.VALIDATORS.get(reader, HOSPITAL) == Validator(SEAT, 10)
    policy = membership.policy(reader)
    assert (policy.version, policy.provisions, policy.gates) == (
        1, (TREES["no-insurers"],), (gate(TREES["no-insurers"]),),
    )  # fmt: skip
    assert membership.policy(reader, HOSPITAL) == membership.NO_POLICY
