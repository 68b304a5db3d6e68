"""The exchange between nodes over HTTP: authentication, limits and sealing around `salus.node.answer`."""
