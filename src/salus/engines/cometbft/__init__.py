"""The engine of several organisations: CometBFT orders, our machine executes behind it through ABCI 2.0 (DESIGN §4).

Lowest first: `messages` (ABCI's bytes), `chain` (machine and store, one block at a time), `checking` (which bytes are
transactions), `proposals` (what a block may hold), `mempool` (who has how much waiting), `application` (answers each
call), `server` (the socket that CometBFT calls), `rpc` (the socket on which we call it), `submissions` (from a node's
bytes to its outcome), `following` (signed headers), `home` (CometBFT's own files), `child` (its process), `engine` (all
of it), `installing`.
"""
