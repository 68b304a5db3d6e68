"""A client for other people's programs: FHIR and the native API of a node, for threads and for asyncio.

    with Client("https://north.example/FHIR/R4", BackendService("client id", private_jwk)) as north:
        patient = north.run(fhir.read("Patient", "ann"))

What there is to ask is in `fhir` and `native`, once: each function returns a *plan*, which says what to send and reads
what comes, and does nothing by itself (no input, no output). `Client.run` and `AsyncClient.run` carry a plan out.
"""

from salus.sdk.client import fhir, native
from salus.sdk.client.carriers import AsyncClient, Client
from salus.sdk.client.errors import Rejected, Unavailable
from salus.sdk.client.signing_in import BackendService, GivenToken

__all__ = ["AsyncClient", "BackendService", "Client", "GivenToken", "Rejected", "Unavailable", "fhir", "native"]
