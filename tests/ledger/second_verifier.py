"""A second reading of docs/spec/proofs.md: a MessagePack parser, SHA-256 and Ed25519, nothing of ours.

It shows that the page is enough, and that the golden file means what the page says. It tells whether a file holds, and
says of each refusal only the checklist and the step.
"""

import base64
import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

import msgspec
from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

Value = Any
NO_TIME = bytes.fromhex("088092b8c398feffffff01")


class No(Exception):
    """A step that does not hold: (checklist, step)."""


def verify(file: bytes, trust_file: str, now_s: int) -> None:
    """Check one bundle. Raises No."""
    trust = json.loads(trust_file)
    bundle = msgspec.msgpack.decode(file)
    need(("bundle", 0), msgspec.msgpack.encode(bundle) == file and bundle[1] == 1)
    if bundle[0] == 3:
        return consistency(trust, bundle[2], now_s)
    state = signed_state(trust, bundle[2], now_s)[0]
    {1: outcome, 2: row, 5: history}[bundle[0]](state, bundle[3])
    return None


def need(step: tuple[str, int], holds: object) -> None:
    if not holds:
        raise No(*step)


# Signed state


def signed_state(trust: Value, signed: Value, now_s: int) -> tuple[Value, int]:
    state, header_bytes, validators = signed
    need(("state", 1), now_s < trust["trusted_at_s"] + trust["trusting_period_s"])
    parsed = parse_signed_header(header_bytes)
    header, commit = parsed
    trusted = [(base64.b64decode(each["public_key"]), each["power"]) for each in trust["validators"]]
    trusted.sort(key=lambda each: (-each[1], sha256(each[0]).digest()[:20]))
    need(("state", 3), [tuple(each) for each in validators] == trusted)
    check_commit(trust["chain"], header, commit, trusted)
    seconds, nanoseconds = timestamp(header[4])
    need(("state", 5), (seconds, nanoseconds) < (now_s + 10, 0))
    need(("state", 6), header[11] == app_hash(*state))
    return state, header[3]


def app_hash(tree_root: bytes, log_size: int, log_root: bytes) -> bytes:
    return tagged("salus/app-hash/1", tree_root, log_size.to_bytes(8, "big"), log_root)


def tagged(tag: str, *parts: bytes) -> bytes:
    joined = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return sha256(bytes([len(tag)]) + tag.encode() + joined).digest()


def parse_signed_header(data: bytes) -> tuple[dict[int, Value], Value]:
    try:
        outer = {number: value for number, value, _ in fields(data)}
        header = {number: value for number, value, _ in fields(outer[1])}
        commit = list(fields(outer[2]))
        whole = varint_field(1, outer[1]) + varint_field(2, outer[2])
    except (KeyError, IndexError) as error:
        raise No("state", 2) from error
    need(("state", 2), whole == data)
    return header, commit


def check_commit(chain: str, header: dict[int, Value], commit: Value, trusted: list[tuple[bytes, int]]) -> None:
    step = ("state", 4)
    need(step, header[2].decode() == chain)
    leaves = [varint_field(1, varint_field(1, key)) + b"\x10" + varint(power) for key, power in trusted]
    need(step, header[8] == merkle_root(leaves))
    single = {number: value for number, value, _ in commit if number != 4}
    votes = [{number: value for number, value, _ in fields(value)} for number, value, _ in commit if number == 4]
    block = {number: value for number, value, _ in fields(single[3])}
    need(step, block[1] == header_hash(header) and single[1] == header[3] and len(votes) == len(trusted))
    signed = 0
    for vote, (key, power) in zip(votes, trusted, strict=True):
        if vote[1] == 1:
            need(step, vote == {1: 1, 3: NO_TIME})
            continue
        need(step, vote[2] == sha256(key).digest()[:20] and holds(key, sign_bytes(chain, single, vote), vote[4]))
        signed += power if vote[1] == 2 else 0
    need(step, 3 * signed > 2 * sum(power for _, power in trusted))


def sign_bytes(chain: str, commit: dict[int, Value], vote: dict[int, Value]) -> bytes:
    message = b"\x08\x02\x11" + commit[1].to_bytes(8, "little")
    message += b"\x19" + commit[2].to_bytes(8, "little") if commit.get(2) else b""
    message += varint_field(4, commit[3]) if vote[1] == 2 else b""
    message += varint_field(5, vote[3]) + varint_field(6, chain.encode())
    return varint(len(message)) + message


def header_hash(header: dict[int, Value]) -> bytes:
    def wrapped(number: int) -> bytes:
        value = header.get(number, b"")
        if isinstance(value, int):
            return b"\x08" + varint(value)
        return varint_field(1, value) if value else b""

    plain = {1, 4, 5}
    return merkle_root([header[number] if number in plain else wrapped(number) for number in range(1, 15)])


def holds(key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        crypto_sign_open(signature + message, key)
    except BadSignatureError:
        return False
    return True


def timestamp(data: bytes) -> tuple[int, int]:
    found = {number: value for number, value, _ in fields(data)}
    return found.get(1, 0), found.get(2, 0)


# Protobuf


def fields(data: bytes) -> Iterator[tuple[int, Value, int]]:
    at = 0
    while at < len(data):
        tag, at = read_varint(data, at)
        if tag & 7 == 0:
            value, at = read_varint(data, at)
        else:
            size, at = read_varint(data, at)
            value, at = data[at : at + size], at + size
        yield tag >> 3, value, at


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def varint_field(number: int, value: bytes) -> bytes:
    return varint(number * 8 + 2) + varint(len(value)) + value


# Claims


def outcome(state: Value, claim: Value) -> None:
    leaf, index, path = claim
    need(("outcome", 1), index < state[1])
    need(("outcome", 2), path_root(leaf_hash(leaf), index, state[1], path) == state[2])
    need(("outcome", 3), is_leaf(leaf))


def row(state: Value, claim: Value) -> None:
    key, value, (bitmap, siblings, other) = claim
    step = ("row", 1 if value else 2)
    path = sha256(key).digest()
    depth = len(bitmap) * 8 - (int.from_bytes(bitmap, "big") & -int.from_bytes(bitmap, "big")).bit_length() + 1
    depth = depth if bitmap else 0
    bits = [bitmap[place >> 3] >> 7 - (place & 7) & 1 for place in range(depth)]
    need(step, (not bitmap or bitmap[-1]) and len(bitmap) <= 32 and len(siblings) == 32 * sum(bits))
    hashes = [siblings[at : at + 32] for at in range(0, len(siblings), 32)]
    need(step, bytes(32) not in hashes)
    node = leaf_of(step, path, value, other, depth)
    for place in reversed(range(depth)):
        sibling = hashes.pop() if bits[place] else bytes(32)
        node = node_hash(sibling, node) if bit(path, place) else node_hash(node, sibling)
    need(step, node == state[0])


def leaf_of(step: tuple[str, int], path: bytes, value: bytes, other: bytes, depth: int) -> bytes:
    if value:
        need(step, not other)
        return sha256(b"\x00" + path + sha256(value).digest()).digest()
    if not other:
        return bytes(32)
    need(step, len(other) == 64 and other[:32] != path)
    need(step, all(bit(path, place) == bit(other, place) for place in range(depth)))
    return sha256(b"\x00" + other).digest()


def history(state: Value, claim: Value) -> None:
    pseudonym, proof, leaves = claim
    need(("history", 1), proof[0] == b"machine.history\x00\xc4\x10" + pseudonym)
    row(state, proof)
    stated = read(("history", 2), proof[1]) if proof[1] else [0, bytes(32)]
    need(("history", 2), isinstance(stated, list) and len(stated) == 2)
    need(("history", 3), len(leaves) == stated[0])
    head = bytes(32)
    for leaf in leaves:
        head = tagged("salus/history/1", head, leaf_hash(leaf))
    need(("history", 4), head == stated[1])
    need(("history", 5), all(is_leaf(leaf) for leaf in leaves))


def consistency(trust: Value, claim: Value, now_s: int) -> None:
    (old, old_height), (new, new_height) = (signed_state(trust, each, now_s) for each in claim[:2])
    path = claim[2]
    need(("consistency", 2), new_height >= old_height)
    need(("consistency", 3), (new_height > old_height or new == old) and new[1] >= old[1])
    if old[1] in (0, new[1]):
        need(("consistency", 4), not path and (old[1] == 0 or old[2] == new[2]))
        return
    need(("consistency", 4), roots_of_consistency(old[1], new[1], [*path], old[2]) == (old[2], new[2]))


def roots_of_consistency(old: int, new: int, path: list[bytes], old_root: bytes) -> tuple[bytes, bytes] | None:
    """By the recursion of RFC 9162 2.1.4.1, read backwards; None when the path has another length."""

    def walk(first: int, last: int, *, whole: bool) -> tuple[bytes, bytes]:
        if first == last:
            return (old_root, old_root) if whole else (path[-1], path.pop())
        split = 1 << (last - 1).bit_length() - 1
        other = path.pop()
        if first <= split:
            below = walk(first, split, whole=whole)
            return below[0], node_hash(below[1], other)
        below = walk(first - split, last - split, whole=False)
        return node_hash(other, below[0]), node_hash(other, below[1])

    try:
        roots = walk(old, new, whole=True)
    except IndexError:
        return None
    return roots if not path else None


# Trees


def leaf_hash(data: bytes) -> bytes:
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def bit(path: bytes, place: int) -> int:
    return path[place >> 3] >> 7 - (place & 7) & 1


def merkle_root(items: list[bytes]) -> bytes:
    if len(items) == 1:
        return leaf_hash(items[0])
    split = 1 << (len(items) - 1).bit_length() - 1
    return node_hash(merkle_root(items[:split]), merkle_root(items[split:]))


def path_root(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes | None:
    """By the recursion of RFC 9162 2.1.3.1, read backwards; None when the path has another length."""
    rest = list(path)

    def walk(at: int, count: int) -> bytes:
        if count == 1:
            return leaf
        split = 1 << (count - 1).bit_length() - 1
        other = rest.pop()
        return node_hash(walk(at, split), other) if at < split else node_hash(other, walk(at - split, count - split))

    try:
        root = walk(index, size)
    except IndexError:
        return None
    return root if not rest else None


def is_leaf(data: bytes) -> bool:
    try:
        leaf = read(("", 0), data)
    except No:
        return False
    if not isinstance(leaf, list) or len(leaf) != 6:
        return False
    kinds: list[Callable[[Value], bool]] = [is_number, is_number, is_digest, is_number, is_number, is_bytes]
    return all(check(value) for check, value in zip(kinds, leaf, strict=True)) and leaf[3] < 256


def is_number(value: Value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_digest(value: Value) -> bool:
    return isinstance(value, bytes) and len(value) == 32


def is_bytes(value: Value) -> bool:
    return isinstance(value, bytes)


def read(step: tuple[str, int], data: bytes) -> Value:
    try:
        value = msgspec.msgpack.decode(data)
    except msgspec.DecodeError as error:
        raise No(*step) from error
    need(step, msgspec.msgpack.encode(value) == data)
    return value
