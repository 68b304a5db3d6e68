"""Read models folded from the ledger's outcomes; each can be thrown away and built again."""
