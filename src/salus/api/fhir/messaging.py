"""Messages: a sender says what happened, with the records that it is about (FHIR R4 messaging.html).

They are stored as a transaction of updates would store them: each under its sender's id, validated, decided on by the
same rules, all or none. The header itself is no record. A message that comes again gets the answer that it got.
"""

from typing import Final
from uuid import uuid4

import msgspec

from salus.api.fhir import bundling
from salus.api.fhir.bulk import owner_of
from salus.api.fhir.call import Call, Reply, Server
from salus.api.fhir.failures import Failure, Issue, failure_of, outcome
from salus.api.fhir.writing import require_valid
from salus.clinical.fhir import FhirRejected
from salus.clinical.fhir.elements import text
from salus.clinical.fhir.messages import Carried, Message, event_of, read_message
from salus.clinical.fhir.renaming import instant
from salus.clinical.fhir.request_bundles import RequestEntry
from salus.node.errors import Refused

ASYNCHRONOUS: Final = ("async", "response-url")


def process(server: Server, call: Call) -> Reply:
    """Process a message, and answer with one: `ok`, or `fatal-error` and an OperationOutcome.

    1. Read it; what is no message of this server's events is refused, and answered by no message.
    2. What was processed before is not done again.
    3. Store what it carries, all or none.

    Raises:
        Failure, FhirRejected, Refused: it is none, or another message had its id.
        NotNow: the ledger is away: send the same again.
    """
    if any(name in ASYNCHRONOUS for name, _ in call.query):
        words = "expected a message that is answered at once: leave async and response-url out"
        raise Failure(400, Issue("not-supported", "MSG_PARAM_UNKNOWN", words))
    message = read_message(call.body, entries_max=server.settings.entries_max)  # 1
    require_valid(server, dict(message.header))
    event_of(message)
    sender, told = owner_of(call), _told(message)
    answered = server.messages.answered(sender, message.id, told)  # 2
    if answered is not None:
        return Reply(200, answered)
    try:
        bundling.together(server, call, [_update(each) for each in message.carried])  # 3
    except (FhirRejected, Refused) as error:
        return Reply(200, _answer(server, message, failure_of(error)))
    except Failure as failure:
        return Reply(200, _answer(server, message, failure))
    answer = _answer(server, message)
    server.messages.keep(sender, message.id, told, answer)
    return Reply(200, answer)


def _update(carried: Carried) -> RequestEntry:
    return RequestEntry("PUT", f"{carried.type}/{carried.id}", carried.full_url, carried.body, {}, carried.place)


def _told(message: Message) -> bytes:
    """What a message says, however its Bundle is named and dated when it is sent again."""
    return msgspec.json.encode([message.header, *(each.body for each in message.carried)])


def _answer(server: Server, message: Message, failure: Failure | None = None) -> bytes:
    """Return a message that answers another (2.4.4); what went wrong is in an OperationOutcome."""
    name, issues_name = str(uuid4()), str(uuid4())
    response: dict[str, object] = {"identifier": message.id, "code": "ok" if failure is None else "fatal-error"}
    entries: list[dict[str, object]] = []
    if failure is not None:
        response["details"] = {"reference": f"urn:uuid:{issues_name}"}
        said = msgspec.json.decode(outcome(*failure.issues), type=dict[str, object])
        entries.append({"fullUrl": f"urn:uuid:{issues_name}", "resource": said | {"id": issues_name}})
    header = {
        "resourceType": "MessageHeader",
        "id": name,
        "eventCoding": message.header["eventCoding"],
        "destination": [{"endpoint": text(message.header, "source.endpoint")}],
        "source": {"name": "Salus", "endpoint": f"{server.settings.base}/$process-message"},
        "response": response,
    }
    said = {
        "resourceType": "Bundle",
        "id": str(uuid4()),
        "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{uuid4()}"},
        "type": "message",
        "timestamp": instant(server.node.clock()),
        "entry": [{"fullUrl": f"urn:uuid:{name}", "resource": header}, *entries],
    }
    return msgspec.json.encode(said)
