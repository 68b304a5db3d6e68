"""For other people's programs, and for a patient's own: the wallet, sharing choices in words, the check of a receipt.

Promises: works without a node, a server or the network, but for `client`, `following` and what they are told to ask;
keeps no secret anywhere but in the files it is told to.
"""
