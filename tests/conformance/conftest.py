"""`make conformance` asks for a page of what the validator found."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--conformance-page FILE` writes what the validator found."""
    parser.addoption("--conformance-page", help="write what HL7's validator found to this file")
