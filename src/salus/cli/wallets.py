"""Opening a wallet for a command: under a key file, or under a passphrase that is asked for and never shown."""

from pathlib import Path

import click

from salus.ledger.identifiers import OrganisationId, Pseudonym
from salus.sdk.wallet import Relationship, Wallet, begin, relationship
from salus.sdk.wallet_files import (
    SecretKind,
    WalletSecret,
    create_wallet,
    make_key_file,
    read_wallet,
    replace_wallet,
    secret_kind,
)


class OpenWallet:
    """A wallet that is open, and can be put back changed."""

    def __init__(self, path: Path, key_file: Path | None) -> None:
        """Open it. Raises WalletFileUnfit."""
        self._path = path
        self._secret = _secret(path, key_file)
        self.wallet = read_wallet(path, self._secret)

    def begin(self, *, chain: str, custodian: OrganisationId, pseudonym: Pseudonym | None = None) -> Relationship:
        """Put a relationship into the wallet before its key is on the ledger, where a lost key could never act again.

        One that is there already, from an attempt that was cut off, is used again.

        Raises:
            WalletRefuses: the wallet knows this custodian under another pseudonym.
        """
        known = [each for each in self.wallet.relationships if (each.chain, each.custodian) == (chain, custodian)]
        if not known or (pseudonym is not None and known[0].pseudonym != pseudonym):
            self.put(begin(self.wallet, chain=chain, custodian=custodian, pseudonym=pseudonym))
        return relationship(self.wallet, chain=chain, custodian=custodian)

    def put(self, wallet: Wallet) -> None:
        """Put a changed wallet in its place."""
        replace_wallet(self._path, wallet, self._secret)
        self.wallet = wallet


def new(path: Path, wallet: Wallet, key_file: Path | None) -> None:
    """Write a new wallet; a key file that is not there yet is made. Raises FileExistsError."""
    if path.exists():
        raise FileExistsError(17, "File exists", str(path))
    if key_file is None:
        secret = WalletSecret.passphrase(
            click.prompt("passphrase", hide_input=True, confirmation_prompt=True, err=True)
        )
    else:
        secret = WalletSecret.key_file(key_file) if key_file.exists() else make_key_file(key_file)
    create_wallet(path, wallet, secret)


def _secret(path: Path, key_file: Path | None) -> WalletSecret:
    if key_file is not None:
        return WalletSecret.key_file(key_file)
    if secret_kind(path) is SecretKind.KEY_FILE:
        raise click.UsageError(f"{path} is sealed under a key file: add --key-file")
    return WalletSecret.passphrase(click.prompt("passphrase", hide_input=True, err=True))
