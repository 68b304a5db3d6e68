"""Headers, commits and bodies: each follows from the one before it and from its validators' signatures."""

from collections.abc import Iterator

from salus.engines.base import SealedHeight, Snapshot
from salus.engines.clock import SECOND_NS
from salus.engines.fsck.findings import Finding
from salus.engines.headers import NO_COMMIT, decode_body_row, decode_header_row
from salus.engines.store import BLOCKS, HEADERS, height_key
from salus.ledger.comet.block import block_id, data_hash
from salus.ledger.comet.commit import commit_hash
from salus.ledger.comet.light import NotVerified, verify_signed_header
from salus.ledger.comet.types import Block
from salus.ledger.encoding import EncodingInvalid
from salus.ledger.machine import Meta
from salus.ledger.state import META


def check_headers(snapshot: Snapshot, meta: Meta, *, first: int, behind_max: int) -> Iterator[Finding]:
    """Yield what is wrong with headers, commits and bodies, and with how far they reach.

    Args:
        first: the height of the chain's first block.
        behind_max: by how many heights the newest header may be behind the state.
    """
    before: SealedHeight | None = None
    newest = first - 1
    for key, row in snapshot.items(HEADERS):
        newest = int.from_bytes(key, "big")
        try:
            stored = decode_header_row(row)
            _check_header(stored, key, before, meta.chain)
        except (EncodingInvalid, NotVerified) as error:
            yield Finding(HEADERS, key, str(error))
            before = None
            continue
        yield from _check_body(snapshot, key, stored, before, first=first)
        before = stored
    if not meta.height - behind_max <= newest <= meta.height:
        yield Finding(HEADERS, b"", f"the newest header has height {newest}, the state {meta.height}")
    elif newest == meta.height and before is not None and before.signed.header.time_ns // SECOND_NS != meta.time_s:
        yield Finding(META, b"", "the state has another time than its header")
    for key, _ in snapshot.items(BLOCKS):
        is_awaited = behind_max and int.from_bytes(key, "big") > newest
        if not is_awaited and snapshot.get(HEADERS, key) is None:
            yield Finding(BLOCKS, key, "a body without a header")


def _check_header(stored: SealedHeight, key: bytes, before: SealedHeight | None, chain: str) -> None:
    header = stored.signed.header
    verify_signed_header(chain_id=chain, signed=stored.signed, validators=stored.validators)
    _expect(height_key(header.height) == key, f"a header of height {header.height}")
    if before is None:
        return
    last, commit = before.signed.header, before.signed.commit
    _expect(header.height == last.height + 1, f"a gap: the header before has height {last.height}")
    _expect(header.last_block_id == commit.block_id, "it names another block before it")
    _expect(header.last_commit_hash == commit_hash(commit), "it names another commit of the block before it")
    _expect(header.validators_hash == last.next_validators_hash, "the header before announced other validators")
    _expect(header.time_ns > last.time_ns, "it is not later than the header before")


def _expect(fact: bool, words: str) -> None:
    if not fact:
        raise EncodingInvalid(words)


def _check_body(
    snapshot: Snapshot, key: bytes, stored: SealedHeight, before: SealedHeight | None, *, first: int
) -> Iterator[Finding]:
    row = snapshot.get(BLOCKS, key)
    try:
        raws = () if row is None else decode_body_row(row)
    except EncodingInvalid as error:
        yield Finding(BLOCKS, key, str(error))
        return
    header, commit = stored.signed.header, stored.signed.commit
    if data_hash(raws) != header.data_hash:
        yield Finding(BLOCKS, key, "the transactions are not those of the header")
    elif before is not None or header.height == first:
        block = Block(header, raws, (), before.signed.commit if before else NO_COMMIT)
        if block_id(block) != commit.block_id:
            yield Finding(HEADERS, key, "the commit is for other parts of the block")
