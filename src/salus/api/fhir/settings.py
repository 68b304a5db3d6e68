"""What an operator may set of the FHIR server, with the values that fit most nodes."""

from dataclasses import dataclass, field

from salus.node.hooks import Hooks
from salus.node.profiles import Conformance, by_fhir_alone


@dataclass(frozen=True)
class FhirSettings:
    """Limits of one node's FHIR server; counts of threads are for each worker.

    Args:
        base: the address under which clients know the server, without a slash at its end.
        threads: requests that are answered at one time; waiting_max: those that may wait for a thread.
        body_s: how long the body of one request may take, in seconds.
        body_bytes_max: of one request; entries_max: of one bundle of requests.
        page_count: how many hits a page has when nobody says; page_count_max: at most.
        exports_max: exports that one client may have; export_s: how long one is kept, in seconds.
        hooks: where what clients subscribed to may be sent.
        conformance: what is asked of every resource that is written.
        needs_request_id: refuse writes without `X-Request-ID`; else one is made (NHS API standard).
    """

    base: str
    threads: int = 8
    waiting_max: int = 64
    body_s: float = 30.0
    body_bytes_max: int = 50_000_000
    entries_max: int = 10_000
    page_count: int = 20
    page_count_max: int = 1_000
    exports_max: int = 8
    export_s: int = 43_200
    needs_request_id: bool = False
    hooks: Hooks = field(default_factory=Hooks, repr=False)
    conformance: Conformance = field(default_factory=by_fhir_alone, repr=False)
