"""What a validator answers to members that run no ledger process: outcomes and proofs of their own."""
