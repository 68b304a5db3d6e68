"""Names that are sealed: stable, of one form, and made by nobody without the key."""

import pytest

from salus.crypto.names import NameKey
from salus.crypto.seal_format import SealBroken

CONTENT = bytes(range(32))
KEY = NameKey(bytes(32), "test/1")


def test_a_name_is_stable_opens_again_and_fits_a_fhir_id() -> None:
    name = KEY.seal_name(CONTENT, kind="Consent")
    assert name == NameKey(bytes(32), "test/1").seal_name(CONTENT, kind="Consent")
    assert KEY.open_name(name, kind="Consent") == CONTENT
    assert len(name) == 64
    assert set(name) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.")


@pytest.mark.parametrize(
    ("key", "kind", "change"),
    [
        (NameKey(bytes(32), "test/2"), "Consent", str),
        (NameKey(b"\x01" * 32, "test/1"), "Consent", str),
        (KEY, "AuditEvent", str),
        (KEY, "Consent", lambda name: name[:-1] + ("A" if name[-1] != "A" else "B")),
        (KEY, "Consent", lambda name: name[:-4]),
        (KEY, "Consent", lambda name: name + "\N{LATIN SMALL LETTER E WITH ACUTE}"),
        (KEY, "Consent", lambda _name: ""),
    ],
)
def test_nothing_else_opens(key: NameKey, kind: str, change: object) -> None:
    name = KEY.seal_name(CONTENT, kind="Consent")
    with pytest.raises(SealBroken):
        key.open_name(change(name), kind=kind)  # type: ignore[operator]


def test_one_thing_has_one_name() -> None:
    names = (KEY.seal_name(bytes([number]) + CONTENT[1:], kind="x") for number in range(256))
    name = next(each for each in names if "-" in each or "." in each)
    for written in {name.replace("-", "+"), name.replace(".", "/")} - {name}:
        with pytest.raises(SealBroken):
            KEY.open_name(written, kind="x")
