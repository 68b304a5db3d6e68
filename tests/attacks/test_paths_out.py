"""The code itself is walked for what no test can try: a path out that asks nobody, a statement made from text (R4)."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from salus.contracts.membership import KeyUse
from salus.node.http_signatures import MessageUnsigned, RequestHead, SignedRequest, gather, read_request, sign_request
from salus.testing.world import HOSPITAL, PRACTICE
from salus.vault.vault import Vault
from tests.attacks.attackers import OUTSIDER, Scene, digest
from tools.source_tree import ROOT, imported_modules, parse, python_files, shown

ABOVE_THE_VAULT = ("src/salus/node", "src/salus/api", "src/salus/portal", "src/salus/importers", "src/salus/cli")
OPENERS = {
    "open",
    "open_small",
    "at_hand",
    "sealed_many",
    "sealed_segment",
    "sealed_segments",
    "release_slots",
    "patient_slot",
    "reading",
}
"""Methods of a vault that give out a record, sealed or not, or a key to it."""
TELLERS = {"record", "record_many", "records"}
"""Methods that give out what is known of a record: classes, codes, labels, title."""
PLAINTEXT_NAMES = {
    "salus.crypto.sealing": {"open_sealed", "open_stream", "Opener", "seal", "seal_stream"},
    "salus.crypto.hpke": {"open_with"},
    "salus.node.documents": {"find", "find_many"},
}
"""Functions through whose hands plaintext goes; who imports `salus.clinical` has records in hand, too (P3)."""
WORDS = ("salus.clinical.labels", "salus.clinical.uk_time", "salus.clinical.fhir.kinds")
"""What labels, times and types are called, of nobody's records."""


def functions(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """(name, node) of each function of a file, methods by their class, and the file's own statements as `module`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef):
                    yield f"{node.name}.{inner.name}", inner
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node


def opens_vault(node: ast.AST) -> set[str]:
    """Which of the openers a piece of code uses on anything that is called a vault."""
    return {
        inner.attr
        for inner in ast.walk(node)
        if isinstance(inner, ast.Attribute)
        and inner.attr in OPENERS | TELLERS
        and ast.unparse(inner.value).rpartition(".")[2].lstrip("_") == "vault"
    }


def openings() -> set[str]:
    """`file: function` of every place above the vault that opens it."""
    return {
        f"{shown(path)}: {name}"
        for path in python_files(*ABOVE_THE_VAULT)
        for name, node in functions(parse(path))
        if opens_vault(node)
    }


def listed(heading: str) -> set[str]:
    """The first column of the table under a heading of SECURITY.md."""
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    section = re.split(rf"^## {re.escape(heading)}$", text, flags=re.MULTILINE)[1].split("\n## ")[0]
    return set(re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE))


@pytest.mark.promise("R4", "R1")
def test_every_place_that_opens_the_vault_is_listed() -> None:
    """A permission check that nothing calls would show here as an opening that nobody has accounted for."""
    assert openings() == listed("Paths out")


@pytest.mark.promise("P3")
def test_every_module_that_has_plaintext_is_listed() -> None:
    found = {shown(path) for path in python_files("src") if has_plaintext(path)}
    folders = tuple(each for each in listed("Where plaintext exists") if each.endswith("/"))
    files = listed("Where plaintext exists") - set(folders)
    assert {each for each in found if not each.startswith(folders)} == files
    assert [folder for folder in folders if not any(each.startswith(folder) for each in found)] == []


def has_plaintext(path: Path) -> bool:
    """Imports a function that opens or seals, or what reads records; or asks the vault to open."""
    tree = parse(path)
    names = {name for _, name in imported_modules(tree)}
    wanted = {f"{module}.{name}" for module, functions_ in PLAINTEXT_NAMES.items() for name in functions_}
    if names & wanted or any(name.startswith("salus.clinical.") and not name.startswith(WORDS) for name in names):
        return True
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return bool(
        calls
        & {
            "documents.find",
            "documents.find_many",
            "node.vault.open",
            "node.vault.open_small",
            "node.vault.at_hand",
            "each.let_out",
            "vault.open",
            "vault.open_small",
        }
    )


DECIDES_FIRST = {
    "release.py: offer_part": ("require_fresh", "hear", "judge", "_offer"),
    "release.py: accept_part": ("require_fresh", "hear_again", "verify_requester", "log", "_slots"),
    "release.py: stream_record": ("_require_entitled", "sealed_segments", "_require_entitled"),
    "release.py: _require_entitled": ("require_fresh", "hear_again"),
    "own_care.py: open_for_own_staff": (
        *("require_fresh", "hear_in_continuity", "_open", "request", "require_live", "_open"),
    ),
    "own_care.py: _open": ("keep_request", "judge", "open_judged"),
    "own_care.py: open_judged": ("draft_parts", "_each_part"),
    "own_care.py: _each_part": ("log", "let_out"),
    "respond.py: Responder.respond": ("require_fresh", "_continue", "_under"),
    "respond.py: Responder._under": ("_take", "work"),
    "respond.py: Responder._respond_under": ("_hear", "_opened"),
    "respond.py: Responder._hear": ("require_live", "hear_residual"),
    "respond.py: _opened": ("judge_versions", "open_judged"),
    "judge.py: hear": ("require_live", "hear_residual"),
    "judge.py: hear_again": ("require_live", "identify", "_check_delegate"),
    "judge.py: hear_residual": ("identify", "_check_delegate", "rules_for"),
}
"""On every path out: what is asked, in which order, before anything is given."""
CALLED_BY = {
    "offer_part": {"answer.py"},
    "accept_part": {"answer.py"},
    "stream_record": {"answer.py"},
    "judge": {"choices_elsewhere.py", "release.py", "own_care.py"},
    "decide": {"judge.py", "consult.py", "sharing.py"},
    "_offer": {"release.py"},
    "_slots": {"release.py"},
    "judge_versions": {"choices_elsewhere.py", "respond.py"},
    "open_judged": {"own_care.py", "respond.py"},
    "respond": {"show.py"},
    "_each_part": {"own_care.py"},
    "let_out": {"own_care.py"},
    "open_for_own_staff": {"view_patient.py"},
}
"""Who calls the functions through which anything leaves.

`consult` and `sharing` decide of a record that nobody asked for, and `choices_elsewhere` whether a patient may see what
they decided; none of them opens one.
"""


def called(node: ast.AST) -> list[str]:
    """The functions that a piece of code calls, by their own names, in the order in which the calls end."""
    calls = [inner for inner in ast.walk(node) if isinstance(inner, ast.Call)]
    ordered = sorted(calls, key=lambda call: (call.end_lineno, call.end_col_offset))
    return [ast.unparse(call.func).rpartition(".")[2] for call in ordered]


def in_order(wanted: tuple[str, ...], found: list[str]) -> bool:
    left = iter(found)
    return all(name in left for name in wanted)


@pytest.mark.promise("R1", "R3", "R4")
@pytest.mark.parametrize("place", DECIDES_FIRST)
def test_every_path_out_asks_before_it_gives(place: str) -> None:
    file, name = place.split(": ")
    bodies = dict(functions(parse(ROOT / "src/salus/node/services" / file)))
    found = called(bodies[name])
    assert in_order(DECIDES_FIRST[place], found), found


@pytest.mark.promise("R4")
def test_nothing_goes_around_the_functions_that_ask() -> None:
    node = python_files("src/salus/node", "src/salus/api", "src/salus/portal", "src/salus/importers")
    callers = {
        name: {path.name for path in node if name in called(parse(path))} - {"decision.py"} for name in CALLED_BY
    }
    assert callers == CALLED_BY


@pytest.mark.promise("R4")
def test_the_methods_that_open_are_all_looked_for() -> None:
    """A method added to the vault is looked for, or known to give out nothing."""
    harmless = {
        "deposit", "deposit_many", "register", "newest_versions", "relationships", "holds", "set_patient_key",
        "erase_relationship", "erase_record", "discard", "renew_root", "renew_root_if_due", "orphans", "sweep",
    }  # fmt: skip
    public = {name for name, value in vars(Vault).items() if callable(value) and not name.startswith("_")}
    assert public == harmless | (OPENERS - {"reading"}) | TELLERS


@pytest.mark.parametrize(
    ("code", "want"),
    [
        ("def f(node):\n    return node.vault.open(r, 1)", {"open"}),
        ("def f(self):\n    return self._vault.release_slots(r, 1)", {"release_slots"}),
        ("def f(vault):\n    give = vault.sealed_segments\n    return give(r, 1)", {"sealed_segments"}),
        ("def f(path):\n    return path.open()", set()),
    ],
)
def test_a_planted_opening_is_found(code: str, want: set[str]) -> None:
    ((_, node),) = functions(ast.parse(code))
    assert opens_vault(node) == want


# Statements from text


STATEMENTS = {"text", "exec_driver_sql", "execute", "executemany", "scalar", "scalars"}


def composed_statements(tree: ast.Module) -> list[str]:
    """Statements whose text is put together when the program runs."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    named = [call for call in calls if ast.unparse(call.func).rpartition(".")[2] in STATEMENTS and call.args]
    return [f"{call.lineno}: {ast.unparse(call)}" for call in named if is_composed(call.args[0])]


def is_composed(node: ast.expr) -> bool:
    """An f-string, a `+` or `%` with text, or `format`."""
    return any(
        isinstance(inner, ast.JoinedStr)
        or (isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Add | ast.Mod) and has_text(inner))
        or (isinstance(inner, ast.Attribute) and inner.attr in ("format", "join"))
        for inner in ast.walk(node)
    )


def has_text(node: ast.AST) -> bool:
    return any(isinstance(inner, ast.Constant) and isinstance(inner.value, str) for inner in ast.walk(node))


@pytest.mark.promise("R4")
def test_no_statement_is_made_from_strings() -> None:
    """SQL from strings (CWE-89): values travel beside the statement, never in it."""
    faults = [f"{shown(path)}:{fault}" for path in python_files("src") for fault in composed_statements(parse(path))]
    assert faults == []


@pytest.mark.parametrize(
    "code",
    [
        "c.execute(f'SELECT {x}')",
        "c.execute('SELECT ' + x)",
        "c.execute(text('SELECT %s' % x))",
        "c.exec_driver_sql('SELECT {}'.format(x))",
        "c.scalar(text(' '.join(parts)))",
    ],
)
def test_a_planted_statement_is_found(code: str) -> None:
    assert composed_statements(ast.parse(code))


# Header fields that a stranger writes


UNSIGNED_FIELDS = {"host", "forwarded", "x-forwarded-host", "x-forwarded-for", "x-forwarded-proto", "x-real-ip"}


@pytest.mark.promise("R1")
def test_host_header_trust(on: Scene) -> None:
    """The Host field says who I am and where answers and links go; whoever sends a request writes it.

    Published of web frameworks and of gateways in front of record servers (CWE-644, cache and reset poisoning). A
    request for the practice is sent to the hospital under the hospital's Host, and requests are sent with every such
    field set to the attacker's: who a request is for is signed, and nothing reads those fields.
    """
    key = on.outsider.signing(KeyUse.HTTP)
    head = RequestHead(path="/exchange/ask", sender=OUTSIDER, recipient=PRACTICE, digest=digest())
    request = sign_request(head, key, created_s=on.hospital.clock(), nonce=bytes(16))
    hostile = dict.fromkeys(UNSIGNED_FIELDS, "hospital.example")
    read = read_with(request, hostile)
    assert read == request
    assert read.head.recipient == PRACTICE
    with pytest.raises(MessageUnsigned):
        read_with(request, {"salus-recipient": HOSPITAL}).verify()
    answering = python_files("src/salus/api", "src/salus/node", "src/salus/portal")
    found = [shown(path) for path in answering if reads_of_unsigned_fields(parse(path))]
    assert found == ["src/salus/node/hooks.py"], "which sends one, to whom a subscription names"


def read_with(request: SignedRequest, fields: dict[str, str]) -> SignedRequest:
    sent = request.fields() | fields
    raw = [(name.encode(), value.encode()) for name, value in sent.items()]
    return read_request(gather(raw), path=request.head.path)


def reads_of_unsigned_fields(tree: ast.Module) -> list[int]:
    """Lines with the name of such a field as text."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            value = node.value.decode("latin-1") if isinstance(node.value, bytes) else node.value
            if value.lower() in UNSIGNED_FIELDS:
                found.append(node.lineno)
    return found


def test_a_planted_read_of_the_host_field_is_found() -> None:
    assert reads_of_unsigned_fields(ast.parse("x = fields.get('Host')\ny = raw[b'x-forwarded-host']")) == [1, 2]


# Every published fault has its attack


FAULTS = (
    "permission_check_that_nothing_calls",
    "unauthenticated_permission_edit",
    "signature_that_covers_only_a_time",
    "future_time_stamps_accepted",
    "replay_within_the_deadline",
    "host_header_trust",
    "sql_from_strings",
    "stranger_disables_a_custodian",
    "removal_of_an_unknown_custodian_removes_another",
    "re_initialised_contract_taken_over",
    "dead_man_timer_in_wrong_units",
    "a_third_party_appends_to_a_patients_access_list",
    "administrator_destroys_the_registry",
    "requester_identity_taken_from_an_argument",
    "grant_cost_that_grows_with_the_number_of_grants",
    "a_seen_bearer_ticket_used_by_somebody_else",
    "a_choice_whose_rules_the_custodian_does_not_hold",
    "an_access_hidden_from_the_patients_history",
    "a_release_without_receipt_by_a_dishonest_custodian",
    "a_release_without_receipt_by_a_dishonest_requester",
    "one_ciphertext_that_opens_to_two_texts",
)


def test_every_published_fault_is_tried() -> None:
    tests = {name for path in python_files("tests/attacks") for name, _ in functions(parse(path))}
    assert [fault for fault in FAULTS if f"test_{fault}" not in tests] == []
