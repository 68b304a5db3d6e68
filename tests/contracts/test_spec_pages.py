"""The pages that a second implementation is built from are what the program says."""

from collections.abc import Callable

import pytest

from tests.contracts.spec_pages import contracts_page, tables_page

Compare = Callable[[str, str], None]


@pytest.mark.docs
def test_contracts_page(generated_page: Compare) -> None:
    generated_page("docs/spec/contracts.md", contracts_page())


@pytest.mark.docs
def test_tables_page(generated_page: Compare) -> None:
    generated_page("docs/spec/contracts-tables.md", tables_page())
