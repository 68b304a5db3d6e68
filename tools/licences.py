"""Check the licence of each package in the locks given as arguments against an allow-list.

Run: `python -m tools.licences requirements/extras.txt …`. Unknown, unstated and refused licences fail; an exception is
bound to the packages that it names. What a package says of itself is read in the order SPDX expression, licence field,
classifiers, because the field of older packages is free text.
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
from pathlib import Path

ALLOWED = frozenset(
    ["MIT", "MIT-0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "Apache-2.0", "ISC", "PSF-2.0", "MPL-2.0"],
)
# A licence that is fine for these packages and needs a look for any other.
ALLOWED_FOR = {
    "OLDAP-2.8": {"lmdb"},  # permissive; that of LMDB itself
    "LGPL-3.0-only": {"psycopg", "psycopg-binary"},  # an extra, used unaltered through its own interface
    "MIT-CMU": {"pillow"},  # permissive; Historical Permission Notice family
}
# What the licence file in a package says whose metadata say nothing; read by a person.
READ = {"fhirpy": "MIT", "fhirpathpy": "MIT", "base-64": "MIT"}
# Free text and classifiers, as packages write them.
SAYS = {
    "MIT License": "MIT",
    "BSD License": "BSD",
    "BSD 2-Clause License": "BSD-2-Clause",
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "ISC License (ISCL)": "ISC",
    "Python Software Foundation License": "PSF-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}


def main(locks: list[str]) -> int:
    """Print each package that is not covered; the exit status is 1 if there is one, 2 if nothing was checked."""
    packages = sorted({name for lock in locks for name in locked(Path(lock).read_text(encoding="utf-8"))})
    if not packages:
        print("error: no package in the locks\nhint: name at least one file of requirements/", file=sys.stderr)
        return 2
    faults = [fault for name in packages if (fault := fault_of(name))]
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    print(f"licences: {len(packages)} packages checked, {len(faults)} not covered by the allow-list")
    return 1 if faults else 0


def locked(text: str) -> list[str]:
    """The names in a lock file; continuation lines (hashes, comments) start with a space."""
    return re.findall(r"^([A-Za-z0-9._-]+)==", text, flags=re.MULTILINE)


def fault_of(name: str) -> str:
    """What is wrong with the licence of an installed package; empty when it is covered."""
    try:
        metadata = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return f"{name} is locked but not installed: run `make setup`"
    stated = stated_licence(metadata) or READ.get(name, "")
    if not stated:
        return f"{name} states no licence"
    return "" if is_covered(name, stated) else f"{name} is under {stated}, which the allow-list does not cover"


def stated_licence(metadata: importlib.metadata.PackageMetadata) -> str:
    """An SPDX expression for what the package says of itself; empty when it says nothing that we can read."""
    if expressions := metadata.get_all("License-Expression"):
        return str(expressions[0])
    fields = [str(field).strip() for field in metadata.get_all("License") or []]
    lines = [str(line) for line in metadata.get_all("Classifier") or []]
    classifiers = [line.rpartition(" :: ")[2] for line in lines if line.startswith("License ::")]
    for text in fields + classifiers:
        if text in SAYS or text in ALLOWED or text in ALLOWED_FOR:
            return SAYS.get(text, text)
    return "".join(fields).partition("\n")[0]


def is_covered(name: str, expression: str) -> bool:
    """`A OR B` needs one covered licence, `A AND B` all of them; anything cleverer is left to a person."""
    if "(" in expression:
        return False
    options = [option.split(" AND ") for option in expression.split(" OR ")]
    return any(all(is_allowed(name, licence) for licence in option) for option in options)


def is_allowed(name: str, licence: str) -> bool:
    """Whether the list has this licence for everybody or for this package."""
    return licence in ALLOWED or name in ALLOWED_FOR.get(licence, set())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
