"""How every engine begins: the libraries answer known cases, the store is this chain's and this engine's.

And where it stops: before the first block under rules that this software does not know.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from salus.crypto import signing
from salus.crypto.signing import LibraryUnfit
from salus.engines.base import Founding, StartRefused
from salus.engines.headers import about_rows, read_about, sealed_height
from salus.engines.store import ENGINE, LmdbStore
from salus.ledger import encoding
from salus.ledger.contract import RulesNewer
from salus.ledger.machine import ChainMismatch, Machine


def check_libraries() -> None:
    """Raise StartRefused when PyNaCl or msgspec answers known cases differently, or Python leaves out assertions."""
    if sys.flags.optimize:
        raise StartRefused("expected a Python that runs assertions, came one with -O or PYTHONOPTIMIZE: leave that out")
    try:
        signing.self_test()
        encoding.self_test()
    except LibraryUnfit as error:
        raise StartRefused(str(error)) from error


def open_machine(store: LmdbStore, founding: Founding, *, engine: str) -> Machine:
    """Return the machine over a store; an empty store gets genesis first.

    Raises:
        StartRefused: the store is of another chain or engine, sealed, or newer than this software.
    """
    try:
        about = read_about(store)
        machine = founding.machine(store)
    except ChainMismatch as error:
        raise StartRefused(str(error)) from error
    if about is None:
        executed = machine.genesis(time_s=founding.time_s, rows=founding.rows)
        store.write({**executed.changes, ENGINE: about_rows(engine)})
    elif about.engine != engine:
        raise StartRefused(f"expected a store of the {engine} engine, came one of {about.engine}")
    else:
        check_goes_on(sealed_height(store))
    return machine


def check_goes_on(sealed: int) -> None:
    """Raise StartRefused for a ledger that was sealed.

    Args:
        sealed: at which height; 0 for one that goes on.
    """
    if sealed:
        raise StartRefused(f"the ledger was sealed at height {sealed}: it goes on in the network that adopts it")


@contextmanager
def known_rules() -> Iterator[None]:
    """Execute a block in this. Raises StartRefused where the members voted for rules that this software lacks."""
    try:
        yield
    except RulesNewer as error:
        raise StartRefused(str(error)) from error
