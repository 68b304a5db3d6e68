"""The vault: records sealed at rest, each under its own key, and the keys that erasure destroys.

Promises: what is stored opens only with a root that no backup holds (P5); a changed byte is named, never returned; an
acknowledged deposit survives a crash and nothing is ever half stored. Imports crypto alone and knows nothing of the
ledger or of health formats: identifiers are bytes, and so is what a record says. Described in docs/spec/vault.md.
"""
