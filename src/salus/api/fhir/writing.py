"""Create, update, delete (FHIR R4 http.html 3.1.0.8, .4, .7).

Whoever writes over a resource has to be able to read it, so that no answer tells of what is withheld; a system that
feeds the record for its custodian need not, and is the only one that may give ids itself.
"""

from uuid import uuid4

from salus.api.fhir.call import Access, Call, Reply, Server
from salus.api.fhir.failures import Failure, Issue, not_found, outcome
from salus.api.fhir.negotiation import is_json_patch
from salus.api.fhir.reach import may_touch
from salus.api.fhir.rendering import http_date, place_of, rendered, version_tag
from salus.clinical.fhir.patch import apply_fhirpath_patch, apply_json_patch
from salus.clinical.fhir.renaming import with_id
from salus.clinical.fhir.resources import LOGICAL_ID, Resource, from_content
from salus.clinical.fhir.strict_json import read_object
from salus.node.projections import resources
from salus.node.projections.resources import Found
from salus.node.services.owners import of_nobody_here
from salus.node.services.show import Shown, newest, show
from salus.node.services.store import Deletion, Stored, Write, store

_TAG = 'expected If-Match as a version, W/"3", came something else: send the ETag of the version that you read'


def create(server: Server, call: Call) -> Reply:
    """Store a new resource under an id that this server makes. Raises Failure, FhirRejected."""
    return stored(server, call, creation(server, call, str(uuid4())))


def update(server: Server, call: Call) -> Reply:
    """Store the next version of a resource; a feeding system may create one under an id of its own. Raises Failure."""
    return stored(server, call, replacement(server, call))


def patch(server: Server, call: Call) -> Reply:
    """Change a resource by JSON Patch or FHIRPath Patch (3.1.0.6). Raises Failure, FhirRejected."""
    return stored(server, call, change(server, call))


def delete(server: Server, call: Call) -> Reply:
    """Mark a resource as gone; again is the same (3.1.0.7.1). Raises Failure."""
    (done,) = store(server.node, [deletion(server, call)], only=call.access.patient, depositor=server.depositor)
    return Reply(204, headers={"etag": version_tag(done.found.version)})


def creation(server: Server, call: Call, logical_id: str) -> Write:
    """Return what creates the resource that was sent, under an id. Raises Failure, FhirRejected."""
    require_scope(call.access, "c", call.at["kind"])
    resource = named(server, call.body, call.at["kind"], logical_id)
    _require_hosts(server, call.access, resource)
    return Write(resource, after=0)


def replacement(server: Server, call: Call, *, may_lack_id: bool = False) -> Write:
    """Return what replaces the resource of an address. Raises Failure, FhirRejected.

    Args:
        may_lack_id: whether the resource may leave its id out, since a search said which it is.
    """
    kind, logical_id = call.at["kind"], call.at["id"]
    require_scope(call.access, "u", kind)
    resource = (named if may_lack_id else _named_so)(server, call.body, kind, logical_id)
    _require_hosts(server, call.access, resource)
    found = resources.find(server.node, kind, logical_id)
    after = expected_version(call)
    if found is None:
        if not may_lack_id:
            _require_feeding(call.access)
        require_scope(call.access, "c", kind)
        return Write(resource, after or 0)
    _require_visible(server, call.access, found, "u")
    return Write(resource, after)


def change(server: Server, call: Call) -> Write:
    """Return what changes the resource of an address by the patch that was sent. Raises Failure, FhirRejected."""
    kind, logical_id = call.at["kind"], call.at["id"]
    require_scope(call.access, "u", kind)
    found = resources.find(server.node, kind, logical_id)
    if found is None:
        raise not_found()
    before = _require_shown(server, call.access, found, "u")
    apply = apply_json_patch if is_json_patch(call.headers) else apply_fhirpath_patch
    resource = named(server, apply(before.body, call.body), kind, logical_id)
    _require_hosts(server, call.access, resource)
    after = expected_version(call)
    return Write(resource, found.version if after is None else after)  # else somebody else's change would be lost


def deletion(server: Server, call: Call) -> Deletion:
    """Return what marks the resource of an address as gone. Raises Failure."""
    kind, logical_id = call.at["kind"], call.at["id"]
    require_scope(call.access, "d", kind)
    found = resources.find(server.node, kind, logical_id)
    if found is None:
        raise not_found()
    _require_visible(server, call.access, found, "d")
    return Deletion(kind, logical_id, expected_version(call))


def name_of(write: Write | Deletion) -> tuple[str, str]:
    """Return type and id of what is written."""
    if isinstance(write, Deletion):
        return write.type, write.logical_id
    return write.resource.type, write.resource.id or ""


def named(server: Server, body: bytes, kind: str, logical_id: str) -> Resource:
    """Return the valid resource of a body under an id.

    Raises:
        FhirRejected: it cannot be read.
        Failure: it is of another type, or is not as FHIR R4 and its profiles have it: 422, with every error.
    """
    content = dict(read_object(body))
    came = content.get("resourceType")
    if came != kind:
        words = f"expected a {kind}, came another type or none: send it to the address of its type"
        raise Failure(400, Issue("invalid", "MSG_RESOURCE_TYPE_MISMATCH", words, expression="resourceType"))
    content["id"] = logical_id
    require_valid(server, content)
    return from_content(content, with_id(body, logical_id))


def require_valid(server: Server, content: dict[str, object]) -> None:
    """Raise Failure, with every error, when a resource is not as FHIR R4 and its profiles have it."""
    errors = [each for each in server.settings.conformance.issues(content) if each.severity == "error"]
    if errors:
        issues = [Issue(each.code, "MSG_ERROR_PARSING", each.message, expression=each.expression) for each in errors]
        raise Failure(422, *issues)


def _named_so(server: Server, body: bytes, kind: str, logical_id: str) -> Resource:
    if not LOGICAL_ID.fullmatch(logical_id):
        raise Failure(400, Issue("value", "MSG_ID_INVALID", "expected an id of 1 to 64 letters, digits, '-' and '.'"))
    came = read_object(body).get("id")
    if came != logical_id:
        words = "expected the id of the address in the resource, came another or none: send both alike"
        code = "MSG_RESOURCE_ID_MISSING" if came is None else "MSG_RESOURCE_ID_MISMATCH"
        raise Failure(400, Issue("invalid", code, words, expression=f"{kind}.id"))
    return named(server, body, kind, logical_id)


def require_scope(access: Access, interaction: str, kind: str) -> None:
    """Raise Failure, 403, unless an interaction with a type is within the scopes."""
    if not access.may(interaction, kind):
        words = f"expected a scope that allows this interaction with {kind}, came none: ask for it when you sign in"
        raise Failure(403, Issue("forbidden", "MSG_AUTH_REQUIRED", words))


def _require_feeding(access: Access) -> None:
    if not access.login.is_feeding:
        raise not_found()


def _require_hosts(server: Server, access: Access, resource: Resource) -> None:
    """Raise FhirRejected where a resource is put beside one that its writer may not see: as if that never was."""
    for reference in (*resource.subjects, *resource.hosts):
        kind, _, logical_id = "/".join(reference.split("/")[-2:]).partition("/")
        found = resources.find(server.node, kind, logical_id) if kind not in ("Patient", "") else None
        if found is not None and found.pseudonym and not _is_visible(server, access, found):
            raise of_nobody_here(resource)


def _is_visible(server: Server, access: Access, found: Found) -> bool:
    try:
        _require_visible(server, access, found, "r")
    except Failure:
        return False
    return True


def _require_visible(server: Server, access: Access, found: Found, interaction: str) -> None:
    """Raise Failure unless whoever asks may read the newest version, or feeds the record."""
    if not access.login.is_feeding or not may_touch(server, access, found, interaction):
        _require_shown(server, access, found, interaction)


def _require_shown(server: Server, access: Access, found: Found, interaction: str) -> Shown:
    wanted = newest(found)
    if not may_touch(server, access, found, interaction):
        raise not_found()
    shown = show(server.node, server.responder, access.login, [wanted]).get(wanted.key)
    if shown is None:
        raise not_found()
    return shown


def expected_version(call: Call) -> int | None:
    """Return the version that If-Match names; None without it. Raises Failure: 400."""
    tag = call.headers.get("if-match")
    if tag is None:
        return None
    number = tag.removeprefix("W/").strip('"')
    if not number.isascii() or not number.isdecimal() or len(number) > 9:
        raise Failure(400, Issue("value", "MSG_VERSION_AWARE", _TAG))
    return int(number)


def stored(server: Server, call: Call, write: Write) -> Reply:
    """Store one resource and answer as its writer prefers."""
    (done,) = store(server.node, [write], only=call.access.patient, depositor=server.depositor)
    shown = as_shown(done, write)
    is_created = done.is_new and done.found.version == 1
    headers = {
        "etag": version_tag(shown.version),
        "last-modified": http_date(shown.updated_s),
        "location": place_of(server.settings.base, shown),
    }
    return Reply(201 if is_created else 200, preferred(call, shown), headers)


def as_shown(stored: Stored, write: Write) -> Shown:
    """What was written, as its writer may see it: they sent it."""
    found = stored.found
    return Shown(found.type, found.logical_id, found.version, found.updated_s, write.resource.body)


def preferred(call: Call, shown: Shown) -> bytes:
    """The body that the client prefers to get back (3.1.0.1.8)."""
    wishes = [each.strip() for each in call.headers.get("prefer", "").replace(";", ",").split(",")]
    if "return=minimal" in wishes:
        return b""
    if "return=OperationOutcome" in wishes:
        return outcome(Issue("informational", "MSG_UPDATED", "stored", severity="information"))
    return rendered(shown)
