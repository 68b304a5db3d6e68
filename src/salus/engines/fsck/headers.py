"""Headers, commits and bodies: each follows from the one before it and from its validators' signatures."""

from collections.abc import Iterator

from salus.engines.base import SealedHeight, Snapshot
from salus.engines.fsck.findings import Finding
from salus.engines.headers import decode_body_row, decode_header_row, read_block
from salus.engines.store import BLOCKS, HEADERS, height_key
from salus.ledger.comet.block import block_id, data_hash
from salus.ledger.comet.commit import commit_hash
from salus.ledger.comet.light import NotVerified, verify_signed_header
from salus.ledger.encoding import EncodingInvalid
from salus.ledger.machine import Meta


def check_headers(snapshot: Snapshot, meta: Meta) -> Iterator[Finding]:
    """Yield what is wrong with headers, commits and bodies."""
    before: SealedHeight | None = None
    kept: set[bytes] = set()
    for key, row in snapshot.items(HEADERS):
        kept.add(key)
        try:
            stored = decode_header_row(row)
            _check_header(stored, key, before, meta.chain)
            before = stored
        except (EncodingInvalid, NotVerified) as error:
            yield Finding(HEADERS, key, str(error))
            before = None
            continue
        yield from _check_body(snapshot, key, stored)
    for key, _ in snapshot.items(BLOCKS):
        if key not in kept:
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


def _check_body(snapshot: Snapshot, key: bytes, stored: SealedHeight) -> Iterator[Finding]:
    row = snapshot.get(BLOCKS, key)
    try:
        raws = () if row is None else decode_body_row(row)
    except EncodingInvalid as error:
        yield Finding(BLOCKS, key, str(error))
        return
    header, commit = stored.signed.header, stored.signed.commit
    if data_hash(raws) != header.data_hash:
        yield Finding(BLOCKS, key, "the transactions are not those of the header")
        return
    block = read_block(snapshot, header.height)
    if block is not None and block_id(block) != commit.block_id:
        yield Finding(HEADERS, key, "the commit is for other parts of the block")
