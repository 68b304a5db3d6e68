"""Engines put transactions in order, drive a machine and keep its state on disk.

Lowest first: `base` (what every engine promises), `clock`, `store` (LMDB), `chain` (one durable block after the other),
`intake` and `verifier` (from bytes to verified transactions), `embedded` (the engine of one machine and one key),
`wire` (frames of the socket), `process` (the ledger process), `client` (its other end), `fsck`.
"""
