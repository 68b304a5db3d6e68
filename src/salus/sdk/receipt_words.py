"""A checked receipt in plain words: who, why, when, what crossed, what stayed by which rule, and what it rests on."""

from collections.abc import Iterator

from salus.clinical.uk_time import uk_time
from salus.contracts.access import Basis, End
from salus.contracts.provisions import Purpose
from salus.ledger.receipts import Authentication, Conclusion, Delivery, Standing
from salus.sdk.choice_words import PURPOSES, ROLE_CLASSES, VERBS
from salus.sdk.receipt_rules import record_words
from salus.sdk.verified import Asker, Party, Rerun, ShownAnchor, VerifiedReceipt

BASES = {
    Basis.EMERGENCY: "an emergency, which is under review",
    Basis.CHOICE: "your sharing choice",
    Basis.TICKET: "a ticket",
    Basis.OWN_STAFF: "the custodian’s own staff caring for you",
    Basis.PATIENT: "your own right to your records",
    Basis.POLICY: "a policy",
}
AUTHENTICATIONS = {
    Authentication.PERSON_SIGNED: "It was signed in person.",
    Authentication.ORGANISATION_ASSERTED: "Who it was, the organisation says; the person did not sign.",
    Authentication.DELEGATE: "A delegate of yours signed it.",
    Authentication.ASSISTED: "It was signed in assisted mode.",
}
CONCLUSIONS = {
    Conclusion.SLOT_SENT: "the key was sent",
    Conclusion.POSSIBLY_RELEASED: "it possibly left: the node stopped half way",
    Conclusion.OPENED: "it was opened",
    Conclusion.SLOT_MISSING: "the key never came",
}


def receipt_lines(receipt: VerifiedReceipt) -> list[str]:
    """Return a receipt in sentences, each true because it was checked."""
    return [
        _who(receipt),
        *_permit(receipt),
        *_records(receipt),
        _rules(receipt),
        *(_anchor(receipt, anchor) for anchor in receipt.anchors),
        *(f"Note: {note}" for note in receipt.notes),
        *(f"WRONG: {fault}" for fault in receipt.faults),
        f"All this is as the ledger stood in block {receipt.state.height} of {uk_time(receipt.state.time_s)}.",
        receipt.state.trust_words(),
    ]


def party_words(party: Party) -> str:
    """Return what an organisation is called, with its code."""
    return f"{party.name} ({party.organisation})" if party.name else party.organisation


def _who(receipt: VerifiedReceipt) -> str:
    custodian, terms = party_words(receipt.custodian), receipt.terms
    signed = AUTHENTICATIONS[receipt.asker.authentication]
    if terms is None:
        asker = _person(receipt.asker, custodian)
        return f"{asker} opened your records while the ledger was out of reach, at {uk_time(receipt.at_s)}. {signed}"
    if terms.purpose is Purpose.PATRQT:
        return f"You, or whoever holds your key, asked {custodian} to {VERBS[terms.verb]} your records. {signed}"
    person, role = _person(receipt.asker, party_words(receipt.requester)), ROLE_CLASSES[terms.role_class]
    why = f"for {PURPOSES[terms.purpose]}"
    reason = f" The reason given: “{terms.justification}”." if terms.justification else ""
    asked = f"asked {custodian} to {VERBS[terms.verb]} your records, {why}. {signed}{reason}"
    return f"{person}, one of the {role} there, {asked}"


def _person(asker: Asker, organisation: str) -> str:
    about = ", ".join(part for part in (asker.role, asker.registration) if part)
    known = f"{asker.name} ({about})" if about else asker.name
    return f"{known or 'Somebody'} of {organisation}"


def _permit(receipt: VerifiedReceipt) -> Iterator[str]:
    terms = receipt.terms
    if terms is not None:
        minutes = (terms.until_s - terms.from_s + 59) // 60
        yield f"Permitted on {uk_time(terms.from_s)} for {minutes} minutes, because of {BASES[terms.basis]}."
    if receipt.standing is Standing.CONTINUITY:
        yield "No permit was asked for: this is direct care that went on (continuity)."
    if receipt.delivery is Delivery.TLS:
        yield "The records were shown, not sent sealed."


def _records(receipt: VerifiedReceipt) -> Iterator[str]:
    part = f" in part {receipt.part} of {receipt.part_count}" if receipt.part_count > 1 else ""
    yield f"Released{part}: {_count(len(receipt.released))}."
    for released in receipt.released:
        what = record_words(released.title, released.classes) if released.is_opened else "a record that is not opened"
        yield f"  released: {what}"
    yield f"Withheld{part}: {_count(len(receipt.withheld))}."
    for withheld in receipt.withheld:
        what = record_words(withheld.title, withheld.classes) if withheld.is_opened else "a record that is not opened"
        yield f"  withheld: {what}, by {withheld.rule}"


def _rules(receipt: VerifiedReceipt) -> str:
    count = _count(len(receipt.released) + len(receipt.withheld))
    match receipt.rerun:
        case Rerun.SAME:
            return f"The rules were run again here on {count} and gave the same result."
        case Rerun.IN_PART:
            return f"The rules were run again here on what is opened and gave the same result; {receipt.rerun_words}."
        case Rerun.OTHER:
            return f"The rules were run again here on {count} and gave ANOTHER result, see below."
    return f"The rules were not run again: {receipt.rerun_words}."


def _anchor(receipt: VerifiedReceipt, anchor: ShownAnchor) -> str:
    party = receipt.custodian if anchor.end is End.CUSTODIAN else receipt.requester
    return f"{party_words(party)} committed the receipt on {uk_time(anchor.at_s)}: {CONCLUSIONS[anchor.conclusion]}."


def _count(number: int) -> str:
    return "no records" if number == 0 else "1 record" if number == 1 else f"{number} records"
