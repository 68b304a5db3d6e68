"""Checks of the project that are not tests: rings for import-linter, licences."""
