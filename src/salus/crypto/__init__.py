"""Hashing, Merkle trees, signatures, key derivation and sealing: the innermost ring.

Imports nothing but the standard library, PyNaCl and cryptography, and knows nothing of ledgers, records or people.
"""
