"""The native API: what FHIR has no word for: proofs and receipts, tickets, reads of the ledger."""
