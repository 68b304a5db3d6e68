"""Where the parts meet: an organisation's own machine room, with its vault, its keys and its view of the ledger."""
