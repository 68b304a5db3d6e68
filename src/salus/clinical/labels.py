"""Security labels of HL7: how confidential a record is, and which sensitive matter it is about.

A label is held as `system|code`, the form in which FHIR searches for tokens and in which sharing choices name it.
"""

from __future__ import annotations

CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
OBSERVATION_VALUE = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
PATIENT_ASSERTED = "PATAST"
"""HL7 v3 ObservationValue, of what a patient has said of themself."""

# HL7 v3 Confidentiality, from least to most.
CONFIDENTIALITY_DISPLAYS = {
    "U": "unrestricted",
    "L": "low",
    "M": "moderate",
    "N": "normal",
    "R": "restricted",
    "V": "very restricted",
}

# HL7 v3 ActCode, ActInformationSensitivityPolicy: the matters that custodians of this network label.
SENSITIVITY_DISPLAYS = {
    "BH": "behavioral health information sensitivity",
    "ETH": "substance abuse information sensitivity",
    "GDIS": "genetic disease information sensitivity",
    "HIV": "HIV/AIDS information sensitivity",
    "PSY": "psychiatry disorder information sensitivity",
    "SDV": "sexual assault, abuse, or domestic violence information sensitivity",
    "SEX": "sexuality and reproductive health information sensitivity",
    "STD": "sexually transmitted disease information sensitivity",
    "TBOO": "taboo",
}


def label(code: str) -> str:
    """`system|code` of a confidentiality (`N`, `R` …) or a sensitivity (`PSY`, `HIV` …).

    Raises:
        KeyError: a code of neither list.
    """
    return f"{system_of(code)}|{code}"


def system_of(code: str) -> str:
    """The code system that defines a label."""
    if code in CONFIDENTIALITY_DISPLAYS:
        return CONFIDENTIALITY
    if code in SENSITIVITY_DISPLAYS:
        return ACT_CODE
    raise KeyError(code)


def display_of(code: str) -> str:
    """HL7's own words for a label."""
    return (CONFIDENTIALITY_DISPLAYS | SENSITIVITY_DISPLAYS)[code]
