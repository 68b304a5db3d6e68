"""The profile of RFC 9421 that nodes speak: agrees with the RFC's own example, and refuses everything else."""

import re
import string
from base64 import b64decode, b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.crypto.hashing import sha256
from salus.crypto.signing import SigningKey, verify
from salus.ledger.identifiers import OrganisationId
from salus.node.http_signatures import (
    MessageUnsigned,
    RequestHead,
    SignedRequest,
    check_digest,
    gather,
    read_request,
    sign_answer,
    sign_request,
    signature_base,
    verify_answer,
)

KEY = SigningKey.from_seed(bytes(range(32)))
OTHER = SigningKey.from_seed(bytes(range(1, 33)))
BODY = b"a body"
PATH = "/exchange/1/ask"
HEAD = RequestHead(PATH, OrganisationId("A81001"), OrganisationId("RVJ"), sha256(BODY))
NONCE = bytes(range(16))


def signed() -> SignedRequest:
    return sign_request(HEAD, KEY, created_s=1_800_000_000, nonce=NONCE)


def test_signature_base_and_signature_are_those_of_rfc_9421_b_2_6() -> None:
    # RFC 9421 B.1.4 and B.2.6
    key = SigningKey.from_seed(b64decode("n4Ni+HpISpVObnQMW0wOhCKROaIKqKtW/2ZYb2p9KcU="))
    covered = [
        ('"date"', "Tue, 20 Apr 2021 02:07:55 GMT"),
        ('"@method"', "POST"),
        ('"@path"', "/foo"),
        ('"@authority"', "example.com"),
        ('"content-type"', "application/json"),
        ('"content-length"', "18"),
    ]
    names = " ".join(name for name, _ in covered)
    base = signature_base(covered, f'({names});created=1618884473;keyid="test-key-ed25519"')
    want = "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="
    assert b64encode(key.public) == b"JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs="
    assert b64encode(key.sign(base)).decode() == want


def test_request_is_signed_over_the_lines_that_the_specification_lists() -> None:
    request = signed()
    digest = b64encode(sha256(BODY)).decode()
    parameters = request.fields()["signature-input"].removeprefix("salus=")
    assert parameters == (
        '("@method" "@path" "content-digest" "salus-sender" "salus-recipient")'
        f';created=1800000000;nonce="{NONCE.hex()}";keyid="{KEY.public.hex()}";alg="ed25519";tag="salus-request-1"'
    )
    base = (
        f'"@method": POST\n"@path": {PATH}\n"content-digest": sha-256=:{digest}:\n'
        f'"salus-sender": A81001\n"salus-recipient": RVJ\n"@signature-params": {parameters}'
    )
    verify(KEY.public, base.encode(), request.signature)


def test_what_was_written_is_read_back() -> None:
    request = signed()
    read = read_request(request.fields(), path=PATH)
    read.verify()
    assert read == request


def test_a_device_is_named_so_and_has_no_code() -> None:
    head = RequestHead(PATH, OrganisationId(""), OrganisationId("RVJ"), sha256(BODY))
    fields = sign_request(head, KEY, created_s=1, nonce=NONCE).fields()
    assert fields["salus-sender"] == "device"
    read = read_request(fields, path=PATH)
    read.verify()
    assert read.head.sender == ""


def test_signatures_of_others_in_the_same_fields_are_left_alone() -> None:
    fields = signed().fields()
    fields["signature-input"] = f'gateway=("@method" "x, y");tag="a, \\"b";created=1, {fields["signature-input"]}'
    fields["signature"] = f"{fields['signature']},  gateway=:AAAA:"
    read_request(fields, path=PATH).verify()


def loose_bits(found: re.Match[str]) -> str:
    """Other bits where base64 has bits to spare: the same bytes, written differently."""
    alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
    return f"{alphabet[alphabet.index(found[1]) ^ 1]}==:"


INPUT = signed().fields()["signature-input"]
UNREADABLE = {
    "no fields at all": {"signature-input": None, "signature": None},
    "no signature": {"signature": None},
    "no input": {"signature-input": None},
    "another label": {"signature-input": INPUT.replace("salus=", "sig1=")},
    "our label twice": {"signature-input": f"{INPUT}, {INPUT}"},
    "our label twice, once empty": {"signature-input": f"{INPUT}, salus=()"},
    "less is covered": {"signature-input": INPUT.replace(' "salus-recipient"', "")},
    "more is covered": {"signature-input": INPUT.replace("@method", "@authority")},
    "covered in another order": {"signature-input": INPUT.replace('"@method" "@path"', '"@path" "@method"')},
    "another algorithm": {"signature-input": INPUT.replace("ed25519", "hmac-sha256")},
    "no algorithm": {"signature-input": INPUT.replace(';alg="ed25519"', "")},
    "another tag": {"signature-input": INPUT.replace("salus-request-1", "salus-answer-1")},
    "no nonce": {"signature-input": INPUT.replace(f';nonce="{NONCE.hex()}"', "")},
    "a short nonce": {"signature-input": INPUT.replace(NONCE.hex(), "00")},
    "no time": {"signature-input": INPUT.replace(";created=1800000000", "")},
    "a negative time": {"signature-input": INPUT.replace("=1800000000", "=-1")},
    "a time with zeros before it": {"signature-input": INPUT.replace("=1800000000", "=01800000000")},
    "a parameter more": {"signature-input": f"{INPUT};expires=1900000000"},
    "an unclosed string": {"signature-input": f'x="{INPUT}'},
    "a very long field": {"signature-input": f"{INPUT}, x={'y' * 5000}"},
    "a short signature": {"signature": "salus=:AAAA:"},
    "a signature that is no base64": {"signature": f"salus=:{'*' * 88}:"},
    "a signature in another form of base64": {
        "signature": re.sub("(.)==:$", loose_bits, signed().fields()["signature"])
    },
    "a signature without colons": {"signature": signed().fields()["signature"].replace(":", "")},
    "a digest of another algorithm": {"content-digest": "sha-512=:AAAA:"},
    "a weak digest beside ours": {"content-digest": f"{signed().fields()['content-digest']}, md5=:AAAA:"},
    "no digest": {"content-digest": None},
    "a short digest": {"content-digest": "sha-256=:AAAA:"},
    "no sender": {"salus-sender": None},
    "an empty sender": {"salus-sender": ""},
    "two senders": {"salus-sender": "A81001, RVJ"},
    "a sender in lower case": {"salus-sender": "a81001"},
    "a sender with a line end": {"salus-sender": "A81001\n"},
    "two recipients": {"salus-recipient": "RVJ, X99"},
    "a device as recipient": {"salus-recipient": "device"},
}


@pytest.mark.parametrize("changes", UNREADABLE.values(), ids=UNREADABLE)
def test_unreadable(changes: dict[str, str | None]) -> None:
    fields = {name: value for name, value in (signed().fields() | changes).items() if value is not None}
    with pytest.raises(MessageUnsigned):
        read_request(fields, path=PATH)


UNTRUE = {
    "another sender": {"salus-sender": "X99"},
    "a device instead of a member": {"salus-sender": "device"},
    "another recipient": {"salus-recipient": "X99"},
    "another body": {"content-digest": f"sha-256=:{b64encode(sha256(b'another')).decode()}:"},
    "another time": {"signature-input": INPUT.replace("1800000000", "1800000001")},
    "another nonce": {"signature-input": INPUT.replace(NONCE.hex(), NONCE[::-1].hex())},
    "another key": {"signature-input": INPUT.replace(KEY.public.hex(), OTHER.public.hex())},
    "a key of small order": {"signature-input": INPUT.replace(KEY.public.hex(), (1).to_bytes(32, "little").hex())},
    "no signature at all": {"signature": f"salus=:{b64encode(bytes(64)).decode()}:"},
}


@pytest.mark.parametrize("changes", UNTRUE.values(), ids=UNTRUE)
def test_untrue(changes: dict[str, str]) -> None:
    request = read_request(signed().fields() | changes, path=PATH)
    with pytest.raises(MessageUnsigned):
        request.verify()


def test_a_request_for_one_path_is_none_for_another() -> None:
    request = read_request(signed().fields(), path="/exchange/1/stream")
    with pytest.raises(MessageUnsigned):
        request.verify()


def test_a_body_is_held_against_its_digest() -> None:
    check_digest(sha256(BODY), BODY)
    with pytest.raises(MessageUnsigned):
        check_digest(sha256(BODY), BODY + b"!")


def answered(request: SignedRequest, **changes: object) -> None:
    said: dict[str, object] = {"status": 200, "body": b"an answer", "key": KEY.public, "fields": {}}
    fields = sign_answer(request, status=200, body=b"an answer", key=KEY, created_s=1_800_000_001)
    said |= changes
    said["fields"] = fields | changes.get("fields", {})
    verify_answer(request, **said)


def test_an_answer_holds() -> None:
    answered(signed())


ANSWER_UNTRUE = {
    "another status": {"status": 403},
    "another body": {"body": b"another answer"},
    "another key": {"key": OTHER.public},
    "another time": {"fields": {"signature-input": "salus=()"}},
    "unsigned": {"fields": {"signature": ""}},
    "another digest": {"fields": {"content-digest": f"sha-256=:{b64encode(sha256(b'x')).decode()}:"}},
    "a request's signature": {"fields": signed().fields()},
}


@pytest.mark.parametrize("changes", ANSWER_UNTRUE.values(), ids=ANSWER_UNTRUE)
def test_answer_untrue(changes: dict[str, object]) -> None:
    with pytest.raises(MessageUnsigned):
        answered(signed(), **changes)


def test_an_answer_to_one_request_is_none_to_another() -> None:
    fields = sign_answer(signed(), status=200, body=b"an answer", key=KEY, created_s=1)
    same_ask = sign_request(HEAD, KEY, created_s=1_800_000_000, nonce=NONCE[::-1])
    other_ask = SignedRequest(
        RequestHead(PATH, HEAD.sender, HEAD.recipient, sha256(b"other")), 1_800_000_000, NONCE, KEY.public,
        signed().signature,
    )  # fmt: skip
    for request in (same_ask, other_ask):
        with pytest.raises(MessageUnsigned):
            verify_answer(request, status=200, fields=fields, body=b"an answer", key=KEY.public)


@given(st.dictionaries(st.sampled_from(sorted(signed().fields())), st.text(max_size=300)))
def test_any_text_is_read_or_refused(changes: dict[str, str]) -> None:
    fields = signed().fields() | changes
    try:
        read_request(fields, path=PATH).verify()
    except MessageUnsigned:
        return
    assert fields == signed().fields() | {name: value for name, value in changes.items() if value == fields[name]}


@given(st.lists(st.tuples(st.binary(max_size=9), st.binary(max_size=9))))
def test_fields_of_one_name_are_joined_in_their_order(raw: list[tuple[bytes, bytes]]) -> None:
    gathered = gather(raw)
    for name, value in gathered.items():
        came = [each.decode("latin-1").strip(" \t") for key, each in raw if key.decode("latin-1").lower() == name]
        assert value == ", ".join(came)
