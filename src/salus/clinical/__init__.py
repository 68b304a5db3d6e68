"""Health formats as values: bytes are parsed once, at the edge, and what comes out is frozen.

Promises: the bytes received are the record and are never written again. Never knows of ledgers, keys or storage.
"""
