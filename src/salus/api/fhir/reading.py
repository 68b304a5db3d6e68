"""Read and vread (FHIR R4 http.html 3.1.0.2, .3)."""

from functools import partial

from salus.api.fhir.call import Access, Call, Reply, Server
from salus.api.fhir.failures import Failure, Issue, not_found
from salus.api.fhir.reach import may_touch
from salus.api.fhir.rendering import http_date, rendered, version_tag
from salus.clinical.fhir.strict_json import read_object
from salus.node.projections import resources
from salus.node.projections.resources import Found
from salus.node.services import rosters
from salus.node.services.show import Shown, Wanted, newest, show


def read(server: Server, call: Call) -> Reply:
    """Answer with a resource's newest version. Raises Failure: 404, 410."""
    found = require_found(server, call)
    return shown_as(call, require_shown(server, call.access, newest(found)))


def vread(server: Server, call: Call) -> Reply:
    """Answer with one version of a resource. Raises Failure: 404, 410."""
    found = require_found(server, call)
    version = call.at["version"]
    if not version.isascii() or not version.isdecimal() or not 1 <= int(version[:10]) <= found.version:
        raise not_found()
    return shown_as(call, require_shown(server, call.access, Wanted(found, int(version))))


def require_found(server: Server, call: Call) -> Found:
    """Return a resource that is within scopes and compartment; the decision is another matter. Raises Failure: 404."""
    found = resources.find(server.node, call.at["kind"], call.at["id"])
    if found is None or not may_touch(server, call.access, found, "r"):
        raise not_found()
    return found


def require_shown(server: Server, access: Access, wanted: Wanted) -> Shown:
    """Return a version that may be shown. Raises Failure: 404 for what may not, 410 for what says that it is gone."""
    within = partial(may_touch, server, access, interaction="r")
    shown = show(server.node, server.responder, access.login, [wanted], within=within).get(wanted.key)
    if shown is None:
        raise not_found()
    if shown.is_deleted:
        words = "expected a resource, came the name of one that was deleted: read an earlier version"
        raise Failure(410, Issue("deleted", "MSG_DELETED", words), headers={"etag": version_tag(shown.version)})
    return shown


def has_members(shown: Shown) -> bool:
    """Tell whether a version says less than its content may: who is on a roster has no version."""
    return shown.type == rosters.KIND and "member" in read_object(shown.body)


def shown_as(call: Call, shown: Shown) -> Reply:
    """Return what answers a read: 304 where the client has this version (3.1.0.2.1)."""
    headers = {"etag": version_tag(shown.version), "last-modified": http_date(shown.updated_s)}
    if call.headers.get("if-none-match") == headers["etag"] and not has_members(shown):
        return Reply(304, headers=headers)
    return Reply(200, rendered(shown), headers)
