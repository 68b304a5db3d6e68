"""A founder's agreement: its signature under a genesis that goes on with a ledger of one key.

Nothing starts until all founders have signed the same document: it says where the old ledger stood and who signs now.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from salus.contracts.genesis import Genesis, genesis_hash
from salus.contracts.membership import KeyUse
from salus.crypto.signing import SigningKey
from salus.ledger.identifiers import DigestField, OrganisationId, OrganisationIdField
from salus.node.config import SettingsUnfit
from salus.node.network import files

TAG: Final = "salus/agreement/1"
FORMAT: Final = 1
WHAT: Final = "an agreement"
AGREEMENT: Final = ".agreement"


class Agreement(files.Signed, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Signed with the transaction key that the founder has in the document.

    Args:
        genesis: the hash of the document.
    """

    format: int
    organisation: OrganisationIdField
    genesis: DigestField


def agree(genesis: Genesis, organisation: OrganisationId, key: SigningKey) -> bytes:
    """Return the bytes of a founder's agreement."""
    unsigned = Agreement(format=FORMAT, organisation=organisation, genesis=genesis_hash(genesis))
    return files.to_bytes(files.sign(unsigned, TAG, key))


def read_agreement(path: Path, genesis: Genesis) -> Agreement:
    """Read an agreement and check that a founder signed it, for this document. Raises SettingsUnfit."""
    found = files.from_bytes(path.read_bytes(), Agreement, what=WHAT)
    if found.format != FORMAT:
        raise SettingsUnfit(f"expected {WHAT} of format {FORMAT}, came {found.format}: use the release that wrote it")
    keys = {
        founder.organisation: row.key
        for founder in genesis.founders
        for row in founder.keys
        if row.use is KeyUse.TRANSACTION
    }
    if found.organisation not in keys:
        raise SettingsUnfit(f"expected the agreement of a founder, came one of {found.organisation}: leave it out")
    files.verify(found, TAG, keys[found.organisation], who=found.organisation)
    if found.genesis != genesis_hash(genesis):
        words = f"{found.organisation} agreed to another genesis"
        raise SettingsUnfit(f"{words}: compare fingerprints, somebody was given another file")
    return found


def check_agreed(genesis: Genesis, paths: Iterable[Path]) -> None:
    """Raise SettingsUnfit unless all founders agreed to the document."""
    agreed = {read_agreement(path, genesis).organisation for path in paths}
    missing = sorted({founder.organisation for founder in genesis.founders} - agreed)
    if missing:
        words = f"expected the agreement of every founder, {', '.join(missing)} is missing"
        raise SettingsUnfit(f"{words}: salus network agree")
