"""salus verify: check a receipt, a history or a proof, offline."""

from pathlib import Path

import click

from salus.cli.failures import NO
from salus.cli.options import FILE, as_json_option
from salus.cli.output import Facts, note, show


@click.command(name="verify", short_help="Check a receipt, a history or a proof, offline.")
@click.argument("proof", type=FILE)
@click.option("--trust", type=FILE, required=True, help="The trust file, from somebody whom you trust, or a store.")
@as_json_option
def command(proof: Path, trust: Path, as_json: bool) -> int:
    """Check PROOF against a trust file or a trust store, and say in plain words what it proves.

    Needs the two files and nothing else: no node, no ledger, no network. Exit status 1: it proves nothing, or it proves
    that somebody did wrong.

    \b
    Example:
      salus verify ./eleanor.salus-receipt --trust ./trust.json
    """
    import time

    from salus.ledger.verifier import TrustStore
    from salus.sdk.following import trust_lines
    from salus.sdk.trust_file import read_trust
    from salus.sdk.verify import verify_file

    root = read_trust(trust)
    verdict = verify_file(proof.read_bytes(), root, now_s=int(time.time()))
    trusted = trust_lines(root) if isinstance(root, TrustStore) else []
    facts: Facts = {
        "holds": True,
        "kind": verdict.kind,
        "chain": root.chain,
        "lines": verdict.lines,
        "faults": verdict.faults,
        "trusted": trusted,
    }
    show(facts, [f"This {verdict.kind} holds.", *verdict.lines, *trusted], as_json=as_json)
    if verdict.faults:
        note(f"error: it holds, and proves {len(verdict.faults)} wrong")
        note("hint: keep the file; challenge the access, or go to the privacy officer")
    return NO if verdict.faults else 0
