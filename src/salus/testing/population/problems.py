"""What people of this population suffer from: how common it is by age, what it is treated with, who treats it.

Rates are rounded from what UK practices report, so that a thousand people look like a practice; they are no statistics.
"""

from __future__ import annotations

from typing import NamedTuple

from salus.testing.population.uk_core.coding import Code

# Security labels (HL7 v3). R marks what goes to nobody without a reason; the second code says what it is about.
PSYCHIATRIC = ("R", "PSY")
HIV = ("R", "HIV")
SEXUAL_INFECTION = ("R", "STD")
REPRODUCTIVE = ("R", "SEX")
DOMESTIC_ABUSE = ("R", "SDV")
SUBSTANCES = ("R", "ETH", "PSY")  # looked after by psychiatrists
GENETIC = ("R", "GDIS")
MOOD = ("N", "PSY")  # told to the practice every day, and yet a matter that people may want to keep there


class Problem(NamedTuple):
    """An illness.

    `rates` are per thousand people of 0-17, 18-39, 40-64 and 65 or more years. `clinic` is the hospital clinic or
    mental health team that looks after it, empty when the practice does alone. `lasts` says that it does not heal.
    `at_practice` is false for what people take to a clinic without telling their practice.
    """

    name: Code
    rates: tuple[int, int, int, int]
    medicines: tuple[str, ...] = ()
    panels: tuple[str, ...] = ()
    clinic: str = ""
    sensitivity: tuple[str, ...] = ()
    lasts: bool = True
    gender: str = ""
    at_practice: bool = True


PROBLEMS = (
    Problem(Code("38341003", "Hypertensive disorder"), (0, 20, 220, 480),
            ("amlodipine", "ramipril"), ("U&E", "lipids")),
    Problem(Code("44054006", "Type 2 diabetes mellitus"), (0, 10, 85, 160),
            ("metformin",), ("HbA1c", "U&E"), "diabetes"),
    Problem(Code("46635009", "Type 1 diabetes mellitus"), (3, 5, 5, 3), (), ("HbA1c",), "diabetes"),
    Problem(Code("195967001", "Asthma"), (90, 75, 70, 70), ("salbutamol",)),
    Problem(Code("13645005", "Chronic obstructive lung disease"), (0, 0, 25, 80), ("salbutamol",), ("FBC",), "chest"),
    Problem(Code("49436004", "Atrial fibrillation"), (0, 0, 12, 90), ("clopidogrel",), ("TFT",), "cardiac"),
    Problem(Code("53741008", "Coronary arteriosclerosis"), (0, 0, 30, 120),
            ("aspirin", "atorvastatin"), ("lipids",), "cardiac"),
    Problem(Code("84114007", "Heart failure"), (0, 0, 8, 60), ("ramipril",), ("U&E",), "cardiac"),
    Problem(Code("709044004", "Chronic kidney disease"), (0, 2, 25, 160), ("ramipril",), ("U&E",)),
    Problem(Code("40930008", "Hypothyroidism"), (2, 15, 45, 80), ("levothyroxine",), ("TFT",)),
    Problem(Code("55822004", "Hyperlipidaemia"), (0, 15, 140, 230), ("simvastatin",), ("lipids", "LFT")),
    Problem(Code("396275006", "Osteoarthritis"), (0, 3, 80, 270), ("paracetamol",)),
    Problem(Code("69896004", "Rheumatoid arthritis"), (0, 3, 10, 15),
            ("methotrexate",), ("FBC", "LFT"), "rheumatology"),
    Problem(Code("90560007", "Gout"), (0, 4, 25, 50), ("ibuprofen",)),
    Problem(Code("37796009", "Migraine"), (20, 90, 90, 30), ("paracetamol",)),
    Problem(Code("235595009", "Gastro-oesophageal reflux disease"), (4, 35, 100, 140), ("omeprazole",)),
    Problem(Code("84757009", "Epilepsy"), (5, 7, 9, 11), (), ("FBC",), "neurology"),
    Problem(Code("24079001", "Atopic dermatitis"), (150, 55, 35, 30)),
    Problem(Code("87522002", "Iron deficiency anaemia"), (5, 25, 25, 40), (), ("FBC",), lasts=False),
    Problem(Code("68566005", "Urinary tract infection"), (15, 60, 60, 110), ("amoxicillin",), lasts=False),
    Problem(Code("233604007", "Pneumonia"), (4, 4, 8, 35), ("amoxicillin",), ("FBC", "CRP"), "admission", lasts=False),
    Problem(Code("74400008", "Appendicitis"), (6, 7, 3, 1), ("paracetamol",), ("FBC", "CRP"), "surgery", lasts=False),
    Problem(Code("5913000", "Fracture of neck of femur"), (0, 0, 2, 25),
            ("co-codamol",), ("FBC",), "surgery", lasts=False),
    Problem(Code("22298006", "Myocardial infarction"), (0, 0, 12, 45),
            ("aspirin", "atorvastatin"), ("FBC",), "admission", lasts=False),
    Problem(Code("35489007", "Depressive disorder"), (0, 110, 120, 90), ("citalopram",), (), "", MOOD),
    Problem(Code("197480006", "Anxiety disorder"), (0, 90, 75, 50), (), (), "", MOOD),
    Problem(Code("370143000", "Major depressive disorder"), (0, 20, 20, 15),
            ("mirtazapine",), (), "psychiatry", PSYCHIATRIC),
    Problem(Code("58214004", "Schizophrenia"), (0, 6, 8, 5), ("olanzapine",), ("HbA1c",), "psychiatry", PSYCHIATRIC),
    Problem(Code("13746004", "Bipolar disorder"), (0, 8, 9, 6),
            ("lithium",), ("lithium level",), "psychiatry", PSYCHIATRIC),
    Problem(Code("47505003", "Posttraumatic stress disorder"), (0, 20, 15, 5),
            ("quetiapine",), (), "psychiatry", PSYCHIATRIC),
    Problem(Code("86406008", "Human immunodeficiency virus infection"), (0, 4, 5, 2),
            (), ("HIV monitoring",), "sexual health", HIV),
    Problem(Code("105629000", "Chlamydial infection"), (0, 25, 4, 0),
            ("azithromycin",), (), "sexual health", SEXUAL_INFECTION, lasts=False, at_practice=False),
    Problem(Code("386639001", "Termination of pregnancy"), (0, 20, 2, 0),
            (), ("FBC",), "early pregnancy", REPRODUCTIVE, lasts=False, gender="female", at_practice=False),
    Problem(Code("706893006", "Victim of intimate partner abuse"), (0, 18, 12, 4),
            (), (), "safeguarding", DOMESTIC_ABUSE, lasts=False),
    Problem(Code("7200002", "Alcoholism"), (0, 12, 20, 8), ("diazepam",), ("LFT",), "psychiatry", SUBSTANCES),
    Problem(Code("75544000", "Opioid dependence"), (0, 6, 5, 1), (), (), "psychiatry", SUBSTANCES),
    Problem(Code("412734009", "BRCA1 gene mutation positive"), (0, 3, 5, 3),
            (), (), "genetics", GENETIC, gender="female"),
)  # fmt: skip


class Clinic(NamedTuple):
    """A hospital clinic or team: the encounter type, the specialty as letters name it, and what is done there."""

    encounter: Code
    service: str
    procedure: Code | None = None
    admits: bool = False


ECG = Code("29303009", "Electrocardiographic procedure")
CHEST_X_RAY = Code("399208008", "Plain chest X-ray")

CLINICS = {
    "diabetes": Clinic(Code("185229005", "Seen in diabetic clinic"), "Diabetes and endocrinology"),
    "chest": Clinic(Code("185240002", "Seen in chest clinic"), "Respiratory medicine", CHEST_X_RAY),
    "cardiac": Clinic(Code("185228002", "Seen in cardiac clinic"), "Cardiology", ECG),
    "rheumatology": Clinic(Code("185211000", "Seen in hospital outpatient department"), "Rheumatology"),
    "neurology": Clinic(Code("185211000", "Seen in hospital outpatient department"), "Neurology"),
    "genetics": Clinic(Code("185211000", "Seen in hospital outpatient department"), "Clinical genetics"),
    "early pregnancy": Clinic(Code("185211000", "Seen in hospital outpatient department"), "Early pregnancy unit"),
    "sexual health": Clinic(Code("922411000000106", "Seen in sexual health clinic"), "Sexual health"),
    "safeguarding": Clinic(Code("185210004", "Seen in hospital casualty"), "Emergency department"),
    "admission": Clinic(Code("185212007", "Seen in hospital ward"), "Acute medicine", CHEST_X_RAY, admits=True),
    "surgery": Clinic(Code("185212007", "Seen in hospital ward"), "General surgery", None, admits=True),
    "psychiatry": Clinic(Code("185232008", "Seen in psychiatry clinic"), "Adult psychiatry"),
}

OPERATIONS = {
    "74400008": Code("80146002", "Appendectomy"),
    "5913000": Code("52734007", "Total replacement of hip"),
}


class Allergy(NamedTuple):
    """A substance, its FHIR category, what it does, and how badly."""

    substance: Code
    category: str
    manifestation: Code
    severity: str


RASH = Code("271807003", "Eruption of skin")
HIVES = Code("247472004", "Weal")
ANAPHYLAXIS = Code("39579001", "Anaphylaxis")

ALLERGIES = (
    (Allergy(Code("764146007", "Penicillin"), "medication", RASH, "moderate"), 50),
    (Allergy(Code("372687004", "Amoxicillin"), "medication", HIVES, "mild"), 15),
    (Allergy(Code("387458008", "Aspirin"), "medication", HIVES, "moderate"), 10),
    (Allergy(Code("762952008", "Peanut"), "food", ANAPHYLAXIS, "severe"), 10),
    (Allergy(Code("1003755004", "Latex"), "environment", RASH, "mild"), 8),
)
NO_KNOWN_ALLERGY = Code("716186003", "No known allergy")
