"""Salus: records stay where they are; the ledger decides who may see them, and proves it."""
