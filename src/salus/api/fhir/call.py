"""One request to the FHIR server, parsed, and its reply, not yet rendered."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from salus.api.fhir.settings import FhirSettings
from salus.node.assemble import Node
from salus.node.bearers import Bearers
from salus.node.services.deposit_together import Depositor
from salus.node.services.exports import Exports
from salus.node.services.jobs import Jobs
from salus.node.services.received_messages import ReceivedMessages
from salus.node.services.respond import Login, Responder
from salus.node.services.subscription_bindings import Bindings
from salus.node.services.subscriptions import NO_TENURE, Subscriptions, Tenure
from salus.node.shapes import APART


class Access(Protocol):
    """What whoever asks may do, as the gate in front of the server says (api/smart)."""

    @property
    def login(self) -> Login:
        """In whose session, in which role, for what purpose."""

    @property
    def patient(self) -> bytes | None:
        """The pseudonym of the only patient whose records may be touched; None where any may."""

    @property
    def client(self) -> str:
        """The id of the app that asks."""

    @property
    def person(self) -> str:
        """The account as which it asks."""

    @property
    def tenure(self) -> Tenure:
        """On what something rests that outlives the token."""

    @property
    def origins(self) -> frozenset[str]:
        """From where the app's own pages come (RFC 6454)."""

    def may(self, interaction: str, resource_type: str, /) -> bool:
        """Tell whether an interaction (`c`, `r`, `u`, `d`, `s`) with a type is within the scopes."""

    def narrowings(self, interaction: str, resource_type: str, /) -> Sequence[Sequence[tuple[str, str]]]:
        """Return the searches of which a resource has to meet one; an empty one lets every resource through."""


class _Nobody:
    """Who asks where nobody has to sign in: may do nothing."""

    patient = None
    client = person = ""
    tenure = NO_TENURE
    origins: frozenset[str] = frozenset()

    @property
    def login(self) -> Login:
        """There is none."""
        raise AssertionError("an open interaction reads nobody's records")

    def may(self, _interaction: str, _resource_type: str) -> bool:
        """Nothing."""
        return False

    def narrowings(self, _interaction: str, _resource_type: str) -> tuple[()]:
        """None, so that nothing is let through."""
        return ()


NOBODY: Final[Access] = _Nobody()


class Gate(Protocol):
    """Tells who asks."""

    def access(self, headers: Mapping[str, str]) -> Access:
        """Return what the bearer of these header fields may do. Raises Failure: 401 or 403."""

    def again(self, tenure: Tenure) -> Access:
        """Return what something that outlives a token lets its holder do now. Raises Refused, when it has ended."""


@dataclass(frozen=True)
class Server:
    """What an interaction works with.

    Args:
        interactions: all that are registered.
    """

    node: Node
    responder: Responder
    depositor: Depositor
    bearers: Bearers
    exports: Exports
    imports: Jobs
    subscriptions: Subscriptions
    bindings: Bindings
    messages: ReceivedMessages
    settings: FhirSettings
    interactions: tuple["Interaction", ...]


@dataclass(frozen=True)
class Call:
    """One request.

    Args:
        at: what stands in the address: `kind`, `id`, `version`.
        query: parameters in order, those of a POSTed search after those of the address.
        headers: names in lower case.
    """

    access: Access
    at: Mapping[str, str] = field(default_factory=dict)
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Reply:
    """What is answered.

    Args:
        content: a resource in JSON, empty for none.
        media_type: of a content that is no resource, and goes as it is.
    """

    status: int
    content: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = ""


class Level(StrEnum):
    """What an interaction is about: one resource, a type, or the whole server."""

    INSTANCE = "instance"
    TYPE = "type"
    SYSTEM = "system"


Handler = Callable[[Server, Call], Reply]


@dataclass(frozen=True)
class Interaction:
    """One interaction.

    Args:
        code: as the CapabilityStatement has it (value set TypeRestfulInteraction or SystemRestfulInteraction); of an
            operation its name with the dollar.
        path: below the base, with `{kind}`, `{id}` and `{version}` as they stand in FHIR's own table.
        kind: the type, where the path has it in words.
        takes: whether a resource is sent; takes_form: parameters in a form; takes_lines: resources as NDJSON.
        is_open: whether it is answered without anybody's having signed in.
        is_alone: whether it is asked for by itself only, in no bundle, and says itself in which format it answers.
    """

    code: str
    level: Level
    method: str
    path: str
    handler: Handler
    kind: str = ""
    takes: bool = False
    takes_form: bool = False
    takes_lines: bool = False
    is_open: bool = False
    is_alone: bool = False

    def serves(self, kind: str) -> bool:
        """Tell whether it is there for a type: what is no record has rows of its own, and `$validate`."""
        return kind == self.kind or kind not in APART or self.code == "$validate"

    def at(self, found: Mapping[str, str]) -> dict[str, str]:
        """Return what stands in an address, with the type."""
        return ({"kind": self.kind} if self.kind else {}) | dict(found)
