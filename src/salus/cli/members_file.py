"""The file of `salus init --members`: who founds a network, and its first policies."""

import tomllib
from pathlib import Path

import msgspec

from salus.contracts.provisions import Provision
from salus.ledger.identifiers import OrganisationId
from salus.node.config import SettingsUnfit
from salus.node.founding import Member
from salus.sdk.choice_files import read_choice


class WrittenMember(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A `[[member]]`; `policy` names JSON files beside the TOML file; `port` 0 takes the next."""

    organisation: str
    kind: str
    name: str
    port: int = 0
    endpoint: str = ""
    policy: tuple[str, ...] = ()


class WrittenMembers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    member: tuple[WrittenMember, ...]
    chain: str = ""
    policy: tuple[str, ...] = ()


def read_members(path: Path, *, default_chain: str, first_port: int) -> tuple[str, list[Member], tuple[Provision, ...]]:
    """Return the chain id, the members and the network's policy. Raises SettingsUnfit or ProvisionInvalid."""
    try:
        written = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), WrittenMembers)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise SettingsUnfit(f"{path} does not say what it must ({error}): see salus init --help") from error
    members = [
        Member(
            organisation=OrganisationId(each.organisation),
            kind=each.kind,
            name=each.name,
            port=each.port or first_port + place,
            endpoint=each.endpoint,
            policy=_policy(path.parent, each.policy),
        )
        for place, each in enumerate(written.member)
    ]
    return written.chain or default_chain, members, _policy(path.parent, written.policy)


def _policy(folder: Path, names: tuple[str, ...]) -> tuple[Provision, ...]:
    return tuple(read_choice((folder / name).read_bytes()) for name in names)
