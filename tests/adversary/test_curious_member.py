"""The curious member: what it can link is what SECURITY.md says, and planted weaknesses give everybody away (P7)."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from salus.testing import curious_member
from salus.testing.curious_member import (
    BEGIN,
    END,
    HOUR_S,
    KNOWLEDGE,
    Rate,
    Signal,
    by_choices,
    by_enrolment,
    by_everything,
    by_gates,
    by_shared_key,
    by_transaction,
    claims,
    look,
    rate,
    recognised,
    together,
    written_into,
)
from salus.testing.ledger_year import Habits, Year, live_a_year
from tests.conftest import ROOT

SEED, PEOPLE = 5, 150
MOST = 950
FEW = 50


def lived(habits: Habits) -> Year:
    return live_a_year(seed=SEED, people_count=PEOPLE, habits=habits)


def linked(year: Year, signal: Signal) -> Rate:
    return rate(year, look(year.leaves), signal)


@pytest.fixture(scope="module")
def careful() -> Year:
    return lived(Habits())


@pytest.mark.docs
@pytest.mark.promise("P7")
def test_the_published_numbers_are_what_the_program_measures(generated_page: Callable[[str, str], None]) -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    generated_page("SECURITY.md", written_into(text, curious_member.page()))


def test_the_same_seed_gives_the_same_year(careful: Year) -> None:
    assert lived(Habits()).leaves == careful.leaves
    assert live_a_year(seed=SEED + 1, people_count=PEOPLE, habits=Habits()).leaves != careful.leaves


@pytest.mark.promise("P7")
@pytest.mark.parametrize("signal", [by_enrolment, by_shared_key, by_transaction, by_gates])
def test_a_careful_year_gives_nobody_away_by_what_the_ledger_stores(careful: Year, signal: Signal) -> None:
    found = linked(careful, signal)
    assert found.pairs > PEOPLE // 2
    assert found.recall_per_mille <= FEW


PLANTED: dict[str, tuple[Habits, Signal]] = {
    "everybody is enrolled at all custodians in one second": (Habits(enrols_together=True), by_enrolment),
    "one key under all pseudonyms of a person": (Habits(shares_a_key=True), by_shared_key),
    "choices of one person in one transaction": (
        Habits(shares_a_transaction=True, files_per_mille=1000),
        by_transaction,
    ),
    "choices filed at all custodians in one second": (
        Habits(filing_spread_s=1, files_per_mille=1000),
        partial(by_choices, within_s=0),
    ),
}


@pytest.mark.promise("P7")
@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_weakness_gives_everybody_away(careful: Year, name: str) -> None:
    habits, signal = PLANTED[name]
    found = linked(lived(habits), signal)
    assert found.recall_per_mille >= MOST
    assert found.precision_per_mille >= MOST
    assert linked(careful, signal).recall_per_mille <= FEW


@pytest.mark.promise("P7")
def test_the_whole_of_a_careful_year_is_worth_more_than_a_blind_guess(careful: Year) -> None:
    """Not a promise but the point of publishing: activity does link, and the adversary is good enough to show it."""
    found = linked(careful, by_everything)
    assert found.precision_per_mille > 10 * found.chance_per_mille
    assert found.recall_per_mille > 10 * FEW


def test_who_knows_the_minute_of_a_visit_sees_less_when_records_wait(careful: Year) -> None:
    sight = look(careful.leaves)
    hits = [
        recognised(careful, sight.waiting(wait_s), KNOWLEDGE[0], visits=1, wait_s=wait_s)[0]
        for wait_s in (60, HOUR_S, 24 * HOUR_S)
    ]
    assert hits == sorted(hits, reverse=True)
    assert hits[0] > 2 * hits[2]


@pytest.mark.parametrize("wait_s", [HOUR_S, 24 * HOUR_S])
def test_a_wait_that_is_computed_is_the_wait_that_is_lived(careful: Year, wait_s: int) -> None:
    late = look(lived(Habits(batch_s=wait_s)).leaves)
    assert look(careful.leaves).waiting(wait_s).deposits == {each: sorted(all_) for each, all_ in late.deposits.items()}


def test_one_coincidence_is_shared_among_the_candidates() -> None:
    one, two, three = (curious_member.Event(time_s, bytes([time_s]), b"") for time_s in (10, 11, 12))
    assert together([one], [two, three], before_s=0, after_s=5) == {
        (b"\n", b"\x0b"): 500_000,
        (b"\n", b"\x0c"): 500_000,
    }
    assert together([one], [two, three], before_s=0, after_s=1) == {(b"\n", b"\x0b"): 1_000_000}
    assert claims({(b"a", b"b"): 500_000, (b"a", b"c"): 500_000, (b"d", b"e"): 500_000}) == [(b"d", b"e")]
    assert claims({(b"a", b"b"): 499_999}) == []


def test_the_program_writes_between_the_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curious_member, "page", lambda: "the tables")
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    assert curious_member.main(["--write", str(page)]) == 0
    assert page.read_text(encoding="utf-8") == f"before\n{BEGIN}\n\nthe tables\n\n{END}\nafter\n"
