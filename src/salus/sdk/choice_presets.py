"""Sharing choices that people make most, as provisions: share with somebody except what is labelled, refuse somebody.

Anything else is written as a tree (`choice_files`). A preset is only a shorter way to write one.
"""

from collections.abc import Iterable
from datetime import date

from salus.clinical import labels
from salus.contracts.provisions import (
    FIRST_DAY,
    LAST_DAY,
    Provision,
    ProvisionInvalid,
    ProvisionType,
    Purpose,
    RoleClass,
    as_set,
    check,
)
from salus.ledger.identifiers import OrganisationId

EPOCH = date(1970, 1, 1)
DIRECT_CARE = (Purpose.TREAT, Purpose.ETREAT)
CARERS = (RoleClass.CLINICAL, RoleClass.PHARMACY)


def share(
    organisations: Iterable[str],
    *,
    purposes: tuple[Purpose, ...] = DIRECT_CARE,
    role_classes: tuple[RoleClass, ...] = CARERS,
    except_labels: Iterable[str] = (),
    except_classes: Iterable[str] = (),
    until: date | None = None,
) -> Provision:
    """Return: these organisations may see everything, except what carries one of the labels or is of these classes.

    Args:
        except_labels: `PSY`, or `system|code`.
        except_classes: FHIR resource types.
        until: the last day; None means until withdrawn.

    Raises:
        ProvisionInvalid: a label that is none, an organisation code that is none, a bound that is passed.
    """
    withheld = [
        Provision(type=ProvisionType.DENY, labels=as_set(map(label, except_labels))),
        Provision(type=ProvisionType.DENY, classes=as_set(except_classes)),
    ]
    return _checked(
        Provision(
            type=ProvisionType.PERMIT,
            organisations=_organisations(organisations),
            role_classes=as_set(role_classes),
            purposes=as_set(purposes),
            valid_from_day=FIRST_DAY,
            valid_to_day=LAST_DAY if until is None else (until - EPOCH).days,
            provisions=tuple(each for each in withheld if each.labels or each.classes),
        )
    )


def refuse(organisations: Iterable[str]) -> Provision:
    """Return: these organisations may see nothing, for whatever purpose but an emergency. Raises ProvisionInvalid."""
    return _checked(Provision(type=ProvisionType.DENY, organisations=_organisations(organisations)))


def label(text: str) -> str:
    """Return a label as records carry it. Raises ProvisionInvalid for a code that no list has."""
    if "|" in text:
        return text
    try:
        return labels.label(text.upper())
    except KeyError as error:
        known = ", ".join(labels.SENSITIVITY_DISPLAYS)
        raise ProvisionInvalid(f"a label such as {known}", "another", "name one of them, or system|code") from error


def _organisations(codes: Iterable[str]) -> tuple[OrganisationId, ...]:
    return as_set(OrganisationId(code.upper()) for code in codes)


def _checked(tree: Provision) -> Provision:
    check(tree)
    return tree
