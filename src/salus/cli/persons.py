"""Who a command is about: a patient by NHS number and date of birth or by pseudonym, a member of staff by a file.

Names and numbers go to the node that knows the person and nowhere else: not into a message, a log or an error (P4).
"""

import datetime
import os
import sys
from pathlib import Path

import msgspec

from salus.cli.failures import BAD_INPUT, NO, Failure
from salus.clinical import nhs_number
from salus.clinical.nhs_number import NhsNumber
from salus.contracts.provisions import RoleClass
from salus.crypto.signing import SigningKey
from salus.ledger.encoding import EncodingInvalid, decoder, encode
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import Pseudonym
from salus.node.assemble import Node
from salus.node.people import Person
from salus.node.services import enrol

STAFF_FORMAT = 1
STAFF_SUFFIX = ".staff"


class StaffFile(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A member of staff's key and certificate, until staff signs in by other means."""

    format: int
    role_class: RoleClass
    seed: bytes
    certificate: CommittedFields


_STAFF = decoder(StaffFile)


def read_number(text: str) -> NhsNumber:
    """Return the NHS number of an option; `-` reads a line of standard input. Raises NhsNumberInvalid."""
    return nhs_number.parse(sys.stdin.readline().strip() if text == "-" else text)


def read_born(text: str | None) -> str:
    """Return a date of birth as YYYY-MM-DD. Raises Failure."""
    try:
        return datetime.date.fromisoformat(text or "").isoformat()
    except ValueError as error:
        hint = "add --born 1968-03-14"
        raise Failure(BAD_INPUT, "expected --born YYYY-MM-DD, came none or another text", hint) from error


def find_patient(node: Node, *, number: str | None, born: str | None, pseudonym: str | None) -> Pseudonym:
    """Return the pseudonym at a node of the person that the options mean. Raises Failure."""
    if pseudonym is not None:
        return read_pseudonym(pseudonym)
    if number is None:
        hint = "add --nhs-number with --born, or --pseudonym"
        raise Failure(BAD_INPUT, "expected which patient is meant, came nothing that says so", hint)
    found = enrol.match(node, read_number(number), read_born(born))
    if found is None:
        words = f"expected a patient of {node.organisation}, nobody here has this number and date of birth"
        raise Failure(NO, words, "check both, or enrol the patient: salus patient enrol, salus import")
    return found


def read_pseudonym(text: str) -> Pseudonym:
    """Return a pseudonym written in hexadecimal. Raises Failure."""
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != 16:
        raise Failure(BAD_INPUT, "expected a pseudonym of 32 hexadecimal digits, came another text", "copy it whole")
    return Pseudonym(found)


def write_staff(path: Path, person: Person, role_class: RoleClass) -> None:
    """Write a new staff file that only its owner can read. Raises FileExistsError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(encode(StaffFile(STAFF_FORMAT, role_class, person.key.seed, person.certificate)))


def read_staff(path: Path) -> tuple[Person, RoleClass]:
    """Return who a staff file is of, and in which capacity they ask. Raises Failure."""
    try:
        if path.stat().st_mode & 0o077:
            raise Failure(BAD_INPUT, f"expected {path} to be readable by its owner only", f"chmod 600 {path}")
        found: StaffFile = _STAFF.decode(path.read_bytes())
    except (OSError, EncodingInvalid) as error:
        raise Failure(BAD_INPUT, f"expected a staff file at {path}, there is none", "salus staff certify") from error
    return Person(SigningKey.from_seed(found.seed), found.certificate), found.role_class
