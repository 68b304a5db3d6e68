"""What bulk export and bulk import have alike: whose a job is, and how its progress is told."""

from typing import Final

from salus.api.fhir.call import Call, Reply

NDJSON: Final = "application/fhir+ndjson"


def owner_of(call: Call) -> str:
    """Return to whom a job belongs: one account of one app."""
    return f"{call.access.client}/{call.access.person}"


def status_reply(done: int, total: int) -> Reply:
    """Return the answer to a poll of what is not complete; progress to a tenth, so that it counts nobody."""
    tenths = min(9, 10 * done // max(total, 1))
    return Reply(202, headers={"x-progress": f"about {10 * tenths} % done", "retry-after": "1"})
