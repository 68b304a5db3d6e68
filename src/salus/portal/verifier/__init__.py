"""The verifier: one static page in which a person checks a receipt or a history alone, with no server taking part.

`page/` is a second implementation of docs/spec in JavaScript, written from those pages; it shares no code with the SDK.
"""
