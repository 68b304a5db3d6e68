"""Organisation names: what people call the organisations that keep their records."""

from collections.abc import Iterable

from salus.node.services import ledger_reads
from salus.portal.call import Call


def named_organisations(call: Call, codes: Iterable[str]) -> str:
    """Return organisations in words, joined, this one first; empty for none."""
    return call.words.listed(names_of(call, codes))


def names_of(call: Call, codes: Iterable[str]) -> list[str]:
    """Return what organisations are called, this one first; by its code one that the ledger does not have."""
    called = {each.organisation: each.name for each in ledger_reads.members(call.portal.node)}
    here = call.portal.node.organisation
    ordered = sorted(set(codes), key=lambda code: (code != here, called.get(code, code)))
    return [call.portal.title if code == here else called.get(code, code) for code in ordered]
