"""What the server does, in one table: routes, the CapabilityStatement and a test that walks both come from it."""

from typing import Final

from salus.api.fhir import bundling, reading, writing
from salus.api.fhir.call import Interaction, Level
from salus.api.fhir.capability import metadata

INTERACTIONS: Final = (
    Interaction("capabilities", Level.SYSTEM, "GET", "/metadata", metadata, is_open=True),
    Interaction("read", Level.INSTANCE, "GET", "/{kind}/{id}", reading.read),
    Interaction("vread", Level.INSTANCE, "GET", "/{kind}/{id}/_history/{version}", reading.vread),
    Interaction("history-instance", Level.INSTANCE, "GET", "/{kind}/{id}/_history", reading.history),
    Interaction("create", Level.TYPE, "POST", "/{kind}", writing.create, takes=True),
    Interaction("update", Level.INSTANCE, "PUT", "/{kind}/{id}", writing.update, takes=True),
    Interaction("transaction", Level.SYSTEM, "POST", "/", bundling.bundle, takes=True),
    Interaction("patch", Level.INSTANCE, "PATCH", "/{kind}/{id}", writing.patch, takes=True),
    Interaction("delete", Level.INSTANCE, "DELETE", "/{kind}/{id}", writing.delete),
)
