"""What the server does, in one table: routes, the CapabilityStatement and a test that walks both come from it."""

from typing import Final

from salus.api.fhir import bundling, conditional, operations, reading, searching, writing
from salus.api.fhir.call import Interaction, Level
from salus.api.fhir.capability import metadata

INTERACTIONS: Final = (
    Interaction("capabilities", Level.SYSTEM, "GET", "/metadata", metadata, is_open=True),
    Interaction("next-page", Level.SYSTEM, "GET", "/", searching.next_page),
    Interaction(
        "$everything", Level.INSTANCE, "GET", "/Patient/{id}/$everything", searching.everything, kind="Patient"
    ),
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
        )
        for method in ("GET", "POST")
    ),
    Interaction("search-type", Level.TYPE, "GET", "/{kind}", searching.search_type),
    Interaction("search-type", Level.TYPE, "POST", "/{kind}/_search", searching.search_type, takes_form=True),
    Interaction("read", Level.INSTANCE, "GET", "/{kind}/{id}", reading.read),
    Interaction("vread", Level.INSTANCE, "GET", "/{kind}/{id}/_history/{version}", reading.vread),
    Interaction("history-instance", Level.INSTANCE, "GET", "/{kind}/{id}/_history", reading.history),
    Interaction("search-type", Level.INSTANCE, "GET", "/{kind}/{id}/{within}", searching.search_compartment),
    Interaction("create", Level.TYPE, "POST", "/{kind}", conditional.create, takes=True),
    Interaction("update", Level.INSTANCE, "PUT", "/{kind}/{id}", writing.update, takes=True),
    Interaction("transaction", Level.SYSTEM, "POST", "/", bundling.bundle, takes=True),
    Interaction("update", Level.TYPE, "PUT", "/{kind}", conditional.update, takes=True),
    Interaction("patch", Level.TYPE, "PATCH", "/{kind}", conditional.patch, takes=True),
    Interaction("delete", Level.TYPE, "DELETE", "/{kind}", conditional.delete),
    Interaction("patch", Level.INSTANCE, "PATCH", "/{kind}/{id}", writing.patch, takes=True),
    Interaction("delete", Level.INSTANCE, "DELETE", "/{kind}/{id}", writing.delete),
)
