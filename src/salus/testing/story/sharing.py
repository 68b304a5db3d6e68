"""The first half: from a patient's choice to a verified release between two organisations."""

import time

from salus.clinical.fhir import Bundle, Entry, Resource, parse, patient_chart
from salus.clinical.uk_time import uk_time
from salus.contracts.access import DenialReason
from salus.contracts.provisions import Purpose, RoleClass
from salus.crypto.hashing import sha256
from salus.ledger.bundles import FORMAT, RECEIPT_SUFFIX, ReceiptBundle, decode_bundle, encode_bundle
from salus.node.assemble import Node
from salus.node.people import certify_person
from salus.node.services import audit
from salus.node.services.choices import take_choice
from salus.node.services.deposit import deposit
from salus.node.services.enrol import enrol
from salus.node.services.match import match
from salus.node.services.receive import keep_copy, receive
from salus.node.services.request import Denied, Granted, Wish, request
from salus.sdk import wallet
from salus.sdk.choice_presets import share
from salus.sdk.choice_words import sentences
from salus.sdk.receipt_check import check_receipt
from salus.sdk.receipt_words import receipt_lines
from salus.testing.story.stage import Stage, Told, require

PSYCHIATRY = "PSY"


def enrolled(stage: Stage) -> Told:
    """The patient begins a relationship with each organisation, with keys of her own."""
    person = stage.person
    stage.wallet = wallet.new_wallet()
    for node in (stage.hospital, stage.practice):
        stage.wallet = wallet.begin(stage.wallet, chain=node.chain, custodian=node.organisation)
        mine = stage.at(node)
        key = wallet.signing_key(stage.wallet, mine)
        enrol(node, person.nhs_number, person.birth_date, key=key, pseudonym=mine.pseudonym)
    here, there = stage.at(stage.hospital).pseudonym, stage.at(stage.practice).pseudonym
    require(here != there, "two pseudonyms that share nothing")
    return Told(
        f"{person.given[0]} {person.family} is a patient of both",
        (
            "The ledger knows her as two pseudonyms, each with a key of its own from her wallet:",
            f"  at {stage.name(stage.hospital)}: {here.hex()}",
            f"  at {stage.name(stage.practice)}: {there.hex()}",
            "Nothing there joins the two. Her name and number stay with each organisation, sealed.",
        ),
        {"pseudonyms": [here, there]},
    )


def deposited(stage: Stage) -> Told:
    """Both organisations deposit her charts."""
    stage.deposited = _chart(stage, stage.hospital)
    filed = deposit(stage.hospital, stage.pseudonym, stage.deposited)
    own = deposit(stage.practice, stage.at(stage.practice).pseudonym, _chart(stage, stage.practice))
    require(all(each.is_new for each in filed), "every record to be new")
    again = deposit(stage.hospital, stage.pseudonym, stage.deposited)
    require(not any(each.is_new for each in again), "the same bytes again to add nothing")
    labelled = sum(_is_psychiatric(each.metadata.labels) for each in stage.deposited)
    return Told(
        "Her records are sealed where they are",
        (
            f"{stage.name(stage.hospital)} deposits {len(filed)} records, {stage.name(stage.practice)} {len(own)}.",
            f"Among the hospital's are a psychiatric letter and its PDF ({labelled} records with the label PSY).",
            "The ledger gets one hash for each chart, padded so that it does not tell how many records there are.",
        ),
        {"hospital_records": len(filed), "practice_records": len(own), "labelled_psychiatric": labelled},
    )


def refused_without_a_choice(stage: Stage) -> Told:
    """The practice's doctor asks before there is a choice."""
    stage.doctor = certify_person(
        stage.practice, name="Dr Anita Rao", role="GP", registration="GMC 7654321", role_class=RoleClass.CLINICAL
    )
    session, person = stage.session(), stage.person
    found = match(
        stage.practice,
        stage.peers,
        stage.hospital.organisation,
        session,
        person.nhs_number,
        date_of_birth=person.birth_date,
    )
    require(found == stage.pseudonym, "the hospital to find its patient")
    answer = request(stage.practice, session, _wish(stage))
    is_refused = isinstance(answer, Denied) and answer.reason is DenialReason.NOTHING_PERMITS
    require(is_refused, "a refusal, since nothing permits it")
    return Told(
        "Dr Rao of the practice asks the hospital, and is refused",
        (
            f"{stage.name(stage.hospital)} is asked whether it knows her, and answers with a pseudonym, nothing else.",
            "Then the ledger is asked for a permit: no choice of hers permits it. The refusal is committed, and is in",
            "her history for good.",
        ),
        {"refused": "nothing_permits"},
    )


def choice_made(stage: Stage) -> Told:
    """She shares with the practice, except psychiatry."""
    tree = share([stage.practice.organisation], except_labels=[PSYCHIATRY])
    stage.choice = file_choice(stage, except_label=PSYCHIATRY)
    return Told(
        "She makes a choice",
        (
            *(f"  {each.path:<5}{each.words}" for each in sentences(tree, stage.names)),
            "Her wallet signs it. The hospital keeps the rules; the ledger sees whom and what for, and no exception.",
        ),
        {"choice": stage.choice},
    )


def permitted(stage: Stage) -> Told:
    """The doctor asks again."""
    answer = request(stage.practice, stage.session(), _wish(stage))
    require(isinstance(answer, Granted), "a permit", answer)
    assert isinstance(answer, Granted)
    stage.granted = answer
    return Told(
        "Dr Rao asks again: permitted",
        (
            f"The decision is in block {answer.height}: for her care, until {uk_time(answer.terms.until_s)},",
            "resting on this version of her choice and of the policies; when one changes, the permit is dead.",
        ),
        {"permit": answer.permit, "height": answer.height},
    )


def released(stage: Stage) -> Told:
    """Sealed bytes cross over, and are opened."""
    assert stage.granted is not None
    began_s = time.monotonic()
    stage.received = list(receive(stage.practice, stage.peers, stage.granted))
    took_s = time.monotonic() - began_s
    expected = sorted(sha256(each.body) for each in stage.deposited if not _is_psychiatric(each.metadata.labels))
    require(sorted(sha256(each.content) for each in stage.received) == expected, "the chart without the letter")
    for received in stage.received:
        keep_copy(stage.practice, stage.granted, received)
    size_bytes = sum(len(each.content) for each in stage.received)
    return Told(
        "The records cross, sealed, and are opened at the practice",
        (
            f"{len(stage.received)} records, {size_bytes:,} bytes, in {took_s * 1000:.0f} ms: checked against the",
            "index, signed for, written into the hospital's journal, and only then the key came.",
            "Byte for byte what the hospital deposited; the psychiatric letter and its PDF are not among them.",
        ),
        {"released": len(stage.received), "size_bytes": size_bytes, "release_s": round(took_s, 4)},
    )


def receipt_verified(stage: Stage) -> Told:
    """Her receipt is exported, and checked with nothing but a file and the trust root."""
    stage.settle(stage)
    stage.history = audit.history(stage.hospital, stage.pseudonym)
    require(len(stage.history.receipts) == 1, "one receipt in her history", len(stage.history.receipts))
    bundle = encode_bundle(ReceiptBundle(FORMAT, stage.history.signed, stage.history.receipts[0]))
    stage.receipt_file = stage.folder / f"eleanor{RECEIPT_SUFFIX}"
    stage.receipt_file.write_bytes(bundle)
    began_s = time.monotonic()
    read = decode_bundle(stage.receipt_file.read_bytes())
    assert isinstance(read, ReceiptBundle)
    stage.receipt = check_receipt(stage.trust, read, now_s=stage.hospital.clock())
    took_s = time.monotonic() - began_s
    stage.verified_after_s = time.monotonic() - stage.began_s
    require(not stage.receipt.faults, "a receipt without a fault", stage.receipt.faults)
    lines = [line for line in receipt_lines(stage.receipt) if not line.startswith("  released:")]
    return Told(
        "She checks the receipt, with the network off",
        (
            *(f"  {line.strip()}" if line.startswith(" ") else line for line in lines),
            f"Receipt: {len(bundle):,} bytes, checked in {took_s * 1000:.0f} ms.",
            f"From the start to here: {stage.verified_after_s:.0f} s.",
        ),
        {
            "receipt": str(stage.receipt_file),
            "receipt_bytes": len(bundle),
            "verify_s": round(took_s, 4),
            "verified_after_s": round(stage.verified_after_s, 2),
        },
    )


def file_choice(stage: Stage, *, except_label: str) -> bytes:
    """Sign a choice with the wallet, give it to the hospital, keep it; return its id."""
    assert stage.wallet is not None
    tree = share([stage.practice.organisation], except_labels=[except_label])
    now_s = stage.hospital.clock()
    signed = wallet.sign_choice(stage.wallet, stage.at(stage.hospital), tree, time_s=now_s)
    take_choice(stage.hospital, signed.raw, signed.message, signed.residual)
    stage.wallet = wallet.keep_choice(stage.wallet, stage.at(stage.hospital), signed, time_s=now_s)
    return signed.message.choice


def ask(stage: Stage) -> Granted | Denied:
    """The doctor asks for the whole chart."""
    return request(stage.practice, stage.session(), _wish(stage))


def _wish(stage: Stage) -> Wish:
    return Wish(stage.pseudonym, stage.hospital.organisation, RoleClass.CLINICAL, Purpose.TREAT)


def _chart(stage: Stage, node: Node) -> tuple[Resource, ...]:
    chart = stage.person.chart_at(node.organisation)
    assert chart is not None, "she is a patient of both"
    entries = tuple(Entry(None, parse(body), f"resource {n}") for n, body in enumerate(chart.resources, start=1))
    found = patient_chart(Bundle("collection", entries))
    return (found.patient, *found.resources)


def _is_psychiatric(labels: tuple[str, ...]) -> bool:
    return any(label.endswith(f"|{PSYCHIATRY}") for label in labels)
