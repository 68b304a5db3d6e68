"""What the server does, in one table: routes, the CapabilityStatement and a test that walks both come from it."""

from typing import Final

from salus.api.fhir import (
    across,
    beside,
    bundling,
    charts,
    conditional,
    consents,
    consulting,
    derived,
    documents,
    exporting,
    histories,
    importing,
    messaging,
    operations,
    proving,
    reading,
    subscribing,
    writing,
)
from salus.api.fhir.call import Interaction, Level
from salus.api.fhir.capability import metadata
from salus.api.fhir.subscribing import KIND
from salus.node.shapes import DERIVED

INTERACTIONS: Final = (
    Interaction("capabilities", Level.SYSTEM, "GET", "/metadata", metadata, is_open=True),
    Interaction("search-system", Level.SYSTEM, "GET", "/", across.search_system),
    Interaction("search-system", Level.SYSTEM, "POST", "/_search", across.search_system, takes_form=True),
    Interaction("history-system", Level.SYSTEM, "GET", "/_history", histories.history_system),
    Interaction("$everything", Level.INSTANCE, "GET", "/Patient/{id}/$everything", charts.everything, kind="Patient"),
    *(
        Interaction("$export", level, method, path, handler, kind=kind, takes=method == "POST", is_alone=True)
        for level, path, handler, kind in (
            (Level.SYSTEM, "/$export", exporting.system, ""),
            (Level.TYPE, "/Patient/$export", exporting.patients, "Patient"),
            (Level.INSTANCE, "/Group/{id}/$export", exporting.group, "Group"),
        )
        for method in ("GET", "POST")
    ),
    *(
        Interaction("bulk-job", Level.SYSTEM, method, f"/{path}", handler, is_alone=True)
        for method, path, handler in (
            ("GET", f"{exporting.STATUS}/{{job}}", exporting.status),
            ("DELETE", f"{exporting.STATUS}/{{job}}", exporting.cancel),
            ("GET", f"{exporting.FILES}/{{job}}/{{number}}", exporting.file),
            ("GET", f"{importing.STATUS}/{{job}}", importing.status),
            ("DELETE", f"{importing.STATUS}/{{job}}", importing.cancel),
            ("GET", f"{importing.FILES}/{{job}}/{{number}}", importing.report),
        )
    ),
    Interaction("$import", Level.SYSTEM, "POST", "/$import", importing.begin, takes_lines=True, is_alone=True),
    Interaction(
        "$fileConsent", Level.TYPE, "POST", "/Consent/$fileConsent", consents.file_consent, kind="Consent", takes=True
    ),
    Interaction(
        "$revokeConsent",
        Level.TYPE,
        "POST",
        "/Consent/$revokeConsent",
        consents.revoke_consent,
        kind="Consent",
        takes=True,
    ),
    *(
        each
        for kind in sorted(DERIVED)
        for each in (
            Interaction("read", Level.INSTANCE, "GET", f"/{kind}/{{id}}", derived.read, kind=kind),
            Interaction("search-type", Level.TYPE, "GET", f"/{kind}", derived.search, kind=kind),
            Interaction(
                "search-type", Level.TYPE, "POST", f"/{kind}/_search", derived.search, kind=kind, takes_form=True
            ),
            Interaction(
                "search-type", Level.INSTANCE, "GET", f"/Patient/{{id}}/{kind}", derived.search_compartment(kind)
            ),
        )
    ),
    *(
        Interaction(name, level, "GET", f"/Subscription{place}/{name}", handler, kind=KIND)
        for name, level, place, handler in (
            ("$status", Level.TYPE, "", subscribing.status),
            ("$status", Level.INSTANCE, "/{id}", subscribing.status),
            ("$events", Level.INSTANCE, "/{id}", subscribing.events),
        )
    ),
    *(
        Interaction(
            "$get-ws-binding-token",
            level,
            method,
            f"/Subscription{place}/$get-ws-binding-token",
            subscribing.binding_token,
            kind=KIND,
            takes=method == "POST",
        )
        for level, place in ((Level.TYPE, ""), (Level.INSTANCE, "/{id}"))
        for method in ("GET", "POST")
    ),
    Interaction("create", Level.TYPE, "POST", "/Subscription", subscribing.create, kind=KIND, takes=True),
    Interaction("read", Level.INSTANCE, "GET", "/Subscription/{id}", subscribing.read, kind=KIND),
    Interaction("update", Level.INSTANCE, "PUT", "/Subscription/{id}", subscribing.update, kind=KIND, takes=True),
    Interaction("delete", Level.INSTANCE, "DELETE", "/Subscription/{id}", subscribing.delete, kind=KIND),
    Interaction("search-type", Level.TYPE, "GET", "/Subscription", subscribing.search, kind=KIND),
    Interaction(
        "search-type", Level.TYPE, "POST", "/Subscription/_search", subscribing.search, kind=KIND, takes_form=True
    ),
    Interaction(
        "$audit-proof", Level.INSTANCE, "GET", "/AuditEvent/{id}/$audit-proof", proving.audit_proof, kind="AuditEvent"
    ),
    Interaction("$process-message", Level.SYSTEM, "POST", "/$process-message", messaging.process, takes=True),
    Interaction("$verify", Level.SYSTEM, "POST", "/$verify", proving.verify, takes=True),
    Interaction("$consult", Level.TYPE, "POST", "/Consent/$consult", consulting.decide, kind="Consent", takes=True),
    Interaction("cds-services", Level.SYSTEM, "GET", "/cds-services", consulting.services, is_open=True),
    Interaction("cds-services", Level.SYSTEM, "POST", f"/cds-services/{consulting.HOOK}", consulting.hook, takes=True),
    Interaction("create", Level.TYPE, "POST", "/Consent", consents.create, kind="Consent", takes=True),
    Interaction("update", Level.INSTANCE, "PUT", "/Consent/{id}", consents.update, kind="Consent", takes=True),
    Interaction("delete", Level.INSTANCE, "DELETE", "/Consent/{id}", consents.delete, kind="Consent"),
    Interaction("$validate", Level.TYPE, "POST", "/{kind}/$validate", operations.validate, takes=True),
    Interaction("$validate", Level.INSTANCE, "POST", "/{kind}/{id}/$validate", operations.validate, takes=True),
    Interaction("$meta", Level.INSTANCE, "GET", "/{kind}/{id}/$meta", operations.meta),
    *(
        Interaction(name, Level.TYPE, method, f"/{kind}/{name}", handler, kind=kind, takes=method == "POST")
        for kind, name, handler in (
            ("ValueSet", "$expand", operations.expand),
            ("ValueSet", "$validate-code", operations.validate_code),
            ("CodeSystem", "$validate-code", operations.validate_code),
            ("CodeSystem", "$lookup", operations.lookup),
            ("DocumentReference", "$docref", documents.docref),
        )
        for method in ("GET", "POST")
    ),
    Interaction("search-type", Level.TYPE, "GET", "/{kind}", beside.search_type),
    Interaction("search-type", Level.TYPE, "POST", "/{kind}/_search", beside.search_type, takes_form=True),
    Interaction("history-type", Level.TYPE, "GET", "/{kind}/_history", histories.history_type),
    Interaction("read", Level.INSTANCE, "GET", "/{kind}/{id}", beside.read),
    Interaction("vread", Level.INSTANCE, "GET", "/{kind}/{id}/_history/{version}", reading.vread),
    Interaction("history-instance", Level.INSTANCE, "GET", "/{kind}/{id}/_history", histories.history_instance),
    Interaction("search-type", Level.INSTANCE, "GET", "/{kind}/{id}/{within}", beside.search_compartment),
    Interaction("create", Level.TYPE, "POST", "/{kind}", conditional.create, takes=True),
    Interaction("update", Level.INSTANCE, "PUT", "/{kind}/{id}", writing.update, takes=True),
    Interaction("transaction", Level.SYSTEM, "POST", "/", bundling.bundle, takes=True),
    Interaction("update", Level.TYPE, "PUT", "/{kind}", conditional.update, takes=True),
    Interaction("patch", Level.TYPE, "PATCH", "/{kind}", conditional.patch, takes=True),
    Interaction("delete", Level.TYPE, "DELETE", "/{kind}", conditional.delete),
    Interaction("patch", Level.INSTANCE, "PATCH", "/{kind}/{id}", writing.patch, takes=True),
    Interaction("delete", Level.INSTANCE, "DELETE", "/{kind}/{id}", writing.delete),
)
