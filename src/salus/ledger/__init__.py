"""The pure core of the ledger: bytes in, roots out.

Encoding, transactions, state, log, blocks, outcomes, proofs, the machine and the verifier.
Nothing here sees a clock, chance, a disk, a network or a log file: time is an argument, in seconds of the block (L1).
"""
