"""Engines put transactions in order, drive a machine and keep its state on disk.

Lowest first: `base` (what every engine promises), `clock`, `store` (LMDB), `chain` (one durable block after the other),
`intake` and `verifier` (from bytes to verified transactions), `served` (what a ledger process serves), `embedded` (the
engine of one machine and one key), `cometbft` (the engine of several organisations), `wire` (frames of the socket),
`process` (the ledger process), `client` (its other end), `fsck`.
"""
