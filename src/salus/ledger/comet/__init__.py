"""CometBFT's header, commit, validator set and block, written by hand: both engines speak them, so one verifier does.

Lowest first: `wire` (protobuf), `types`, `header`, `validators`, `commit`, `block`, `light` (what follows from a
trusted validator set). Source of every format: CometBFT 0.38; `docs/spec/header.md` is enough to write a second one.
"""
