"""A seeded simulator: drives the ledger and its nodes through legal and illegal calls, crashes and restarts, and
compares with the auditor after each step.
"""
