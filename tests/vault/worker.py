"""A second worker for the tests: deposit records into a vault that others work on too.

python -m tests.vault.worker URL FOLDER NAME COUNT
"""

from __future__ import annotations

import sys
from pathlib import Path

from salus.vault.database import Database
from salus.vault.drivers.folder import Folder
from salus.vault.errors import Unavailable
from salus.vault.root_files import RootFiles
from salus.vault.vault import Vault
from tests.vault.sample_vault import MEDIUM, SMALL, deposit


def main(url: str, folder: Path, name: str, count: int) -> int:
    """Deposit `count` records of its own, and as many that the other workers deposit too; each must be answered."""
    roots = RootFiles(folder / "keys-one" / "root", folder / "keys-two" / "root")
    vault = Vault(Database(url), Folder(folder / "objects"), roots)
    refused = 0
    for number in range(count):
        size = MEDIUM if number % 10 == 0 else SMALL
        batch = [
            deposit(f"r{number % 5}", f"{name} {number}", size),
            deposit(f"r{number % 5}", f"shared {number}", size),
        ]
        while True:
            try:
                vault.deposit_many(batch)
                break
            except Unavailable:
                refused += 1  # another worker is depositing the shared one at this moment
        vault.register([batch[0].key])
    return refused


if __name__ == "__main__":
    print(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
