"""Adopt a ledger of one key: the founders of a network go on with its tables and its log, under a genesis of them all.

FOLDER/adopted/  sealed  CODE.agreement …
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from salus.contracts.adoption import adoption_rows
from salus.contracts.genesis import (
    ADOPTING_FORMAT,
    AdoptedLedger,
    AdoptingGenesis,
    Genesis,
    GenesisInvalid,
    decode_genesis,
    genesis_hash,
)
from salus.contracts.membership import KeyUse, network
from salus.engines.rebuilding import MadeStore
from salus.engines.sealing import read_sealed
from salus.engines.state_chunks import StateWrong
from salus.ledger.encoding import EncodingInvalid
from salus.ledger.verifier.failure import VerificationFailed
from salus.ledger.verifier.state import verify_state
from salus.node import config
from salus.node.config import SettingsUnfit
from salus.node.founding import checked_genesis, trust_root
from salus.node.network.agreement import AGREEMENT, agree, read_agreement
from salus.node.network.folder import MemberFolder, check_founder, write_network, write_whole
from salus.node.network.member_file import MemberFile, genesis_of
from salus.node.opening import SEALED, founding

ADOPTED: Final = "adopted"
ASK_AGAIN: Final = "ask for the sealed file again"


def adopt(folder: MemberFolder, sealed: Path, members: Sequence[MemberFile], *, now_s: int) -> AdoptingGenesis:
    """Make the genesis of a network that goes on with a sealed ledger, and this founder's agreement to it.

    1. The file is whole, and its tables and log give the two roots.
    2. The old ledger's key signed for that state, under the genesis that the file has.
    3. The genesis follows from the file and the founders' member files, and its changes fit the tables.
    4. File, genesis and agreement are kept in the folder; genesis last.

    Args:
        sealed: the file that `salus network seal` wrote.
        members: of all founders, checked.
        now_s: Unix seconds.

    Raises:
        SettingsUnfit: 1 or 2 does not hold, the folder belongs to a network already, or lacks its own member file.
        GenesisInvalid: 3 does not hold.
    """
    check_founder(folder, members)
    try:
        found = read_sealed(sealed)
        before = decode_genesis(found.head.genesis)
        meta = found.meta(before.chain)
        tables = MadeStore(found.rows(founding(before)))  # 1
        verify_state(trust_root(before), found.head.last, now_s=now_s)  # 2
    except (StateWrong, EncodingInvalid, GenesisInvalid, VerificationFailed) as error:
        raise SettingsUnfit(f"{sealed} is no sealed ledger that can be adopted ({error}): {ASK_AGAIN}") from error
    if found.head.last.state.app_hash() != meta.app_hash:
        raise SettingsUnfit(f"the last header of {sealed} is of another state: {ASK_AGAIN}")
    plain = genesis_of(members)
    if plain.chain != before.chain:
        raise SettingsUnfit(f"expected member files of {before.chain}, came those of {plain.chain}: make other folders")
    adopted = AdoptedLedger(
        genesis_hash=genesis_hash(before),
        height=meta.height,
        time_s=meta.time_s,
        tree_root=meta.tree_root,
        log_size=meta.log_size,
        log_root=meta.log_root,
    )
    genesis = _adopting(plain, adopted, tables)  # 3
    _keep(folder, sealed, genesis)  # 4
    config.change_comet(folder.ledger, adopted=f"../{ADOPTED}")
    write_network(folder, members, genesis)
    return genesis


def agreement_path(folder: MemberFolder) -> Path:
    """Return where a founder's own agreement is, which the others get."""
    return folder.path / ADOPTED / f"{folder.organisation}{AGREEMENT}"


def take_agreements(folder: MemberFolder, paths: Sequence[Path]) -> list[str]:
    """Keep other founders' agreements; return whose are missing still. Raises SettingsUnfit."""
    genesis = folder.genesis()
    if not isinstance(genesis, AdoptingGenesis):
        raise SettingsUnfit(f"{folder.path} adopts no ledger: nobody has to agree")
    kept = folder.path / ADOPTED
    for path in paths:
        found = read_agreement(path, genesis)
        write_whole(kept / f"{found.organisation}{AGREEMENT}", path.read_bytes())
    return missing_agreements(folder)


def missing_agreements(folder: MemberFolder) -> list[str]:
    """Return whose agreements a founder has to wait for; nobody's in a network that nobody has to agree to."""
    if not folder.comet().adopted:
        return []
    agreed = {path.name.removesuffix(AGREEMENT) for path in (folder.path / ADOPTED).glob(f"*{AGREEMENT}")}
    return sorted({str(founder.organisation) for founder in folder.genesis().founders} - agreed)


def _adopting(plain: Genesis, adopted: AdoptedLedger, tables: MadeStore) -> AdoptingGenesis:
    fields = msgspec.structs.asdict(plain) | {
        "format": ADOPTING_FORMAT,
        "time_s": max(plain.time_s, adopted.time_s),
        "network": network(tables),
    }
    genesis = AdoptingGenesis(**fields, adopted=adopted)
    adoption_rows(tables, genesis)
    checked = checked_genesis(genesis)
    assert isinstance(checked, AdoptingGenesis)
    return checked


def _keep(folder: MemberFolder, sealed: Path, genesis: AdoptingGenesis) -> None:
    kept = folder.path / ADOPTED
    shutil.rmtree(kept, ignore_errors=True)  # of a try that did not come as far as genesis
    kept.mkdir(mode=0o700)
    shutil.copyfile(sealed, kept / SEALED)
    key = folder.keys().signing(KeyUse.TRANSACTION)
    write_whole(agreement_path(folder), agree(genesis, folder.organisation, key))
