"""Whom a resource is about, as far as the resource itself can say: references, and an NHS number if it gives one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from salus.clinical import nhs_number
from salus.clinical.fhir.elements import objects, text, texts
from salus.clinical.fhir.faults import Fault, FhirRejected
from salus.clinical.nhs_number import NhsNumber, NhsNumberInvalid

# Where the subject stands when it is in neither `patient` nor `subject` (FHIR R4, patient compartment and elements).
SUBJECT_PATHS: Mapping[str, tuple[str, ...]] = {
    "Appointment": ("participant.actor",),
    "AppointmentResponse": ("actor",),
    "AuditEvent": ("entity.what",),
    "Binary": ("securityContext",),
    "Coverage": ("beneficiary",),
    "EnrollmentRequest": ("candidate",),
    "Group": ("member.entity",),
    "Person": ("link.target",),
    "Provenance": ("target",),
    "ResearchSubject": ("individual",),
    "Schedule": ("actor",),
    "Task": ("for",),
}
USUAL_PATHS = ("patient", "subject")

# Types that are the record of one person: without a patient they can belong to nobody's chart.
PERSONAL = frozenset(
    (
        *("Account", "AdverseEvent", "AllergyIntolerance", "Appointment", "AppointmentResponse", "BodyStructure"),
        *("CarePlan", "CareTeam", "ChargeItem", "Claim", "ClaimResponse", "ClinicalImpression", "Communication"),
        *("CommunicationRequest", "Composition", "Condition", "Consent", "Coverage", "CoverageEligibilityRequest"),
        *("CoverageEligibilityResponse", "DetectedIssue", "DeviceRequest", "DeviceUseStatement", "DiagnosticReport"),
        *("DocumentManifest", "DocumentReference", "Encounter", "EnrollmentRequest", "EpisodeOfCare"),
        *("ExplanationOfBenefit", "FamilyMemberHistory", "Flag", "Goal", "GuidanceResponse", "ImagingStudy"),
        *("Immunization", "ImmunizationEvaluation", "ImmunizationRecommendation", "Invoice", "List", "Media"),
        *("MedicationAdministration", "MedicationDispense", "MedicationRequest", "MedicationStatement"),
        *("MolecularSequence", "NutritionOrder", "Observation", "Procedure", "QuestionnaireResponse", "RelatedPerson"),
        *("RequestGroup", "ResearchSubject", "RiskAssessment", "ServiceRequest", "Specimen", "SupplyDelivery"),
        *("SupplyRequest", "Task", "VisionPrescription"),
    )
)

# Types that are about no one person, wherever they stand: the directory of a server, not a chart. By R4's definitions
# none of their references leads to a Patient.
SHARED = frozenset(
    (
        *("ActivityDefinition", "CapabilityStatement", "CatalogEntry", "ChargeItemDefinition", "CodeSystem"),
        *("CompartmentDefinition", "ConceptMap", "DeviceDefinition", "EffectEvidenceSynthesis", "Endpoint"),
        *("EventDefinition", "Evidence", "EvidenceVariable", "ExampleScenario", "GraphDefinition"),
        *("HealthcareService", "ImplementationGuide", "InsurancePlan", "Library", "Location", "Measure"),
        *("Medication", "MedicationKnowledge", "MedicinalProduct", "MedicinalProductAuthorization"),
        *("MedicinalProductContraindication", "MedicinalProductIndication", "MedicinalProductIngredient"),
        *("MedicinalProductInteraction", "MedicinalProductManufactured", "MedicinalProductPackaged"),
        *("MedicinalProductPharmaceutical", "MedicinalProductUndesirableEffect", "MessageDefinition"),
        *("NamingSystem", "ObservationDefinition", "OperationDefinition", "Organization"),
        *("OrganizationAffiliation", "PlanDefinition", "Practitioner", "PractitionerRole", "Questionnaire"),
        *("ResearchDefinition", "ResearchElementDefinition", "ResearchStudy", "RiskEvidenceSynthesis"),
        *("SearchParameter", "SpecimenDefinition", "StructureDefinition", "StructureMap", "Substance"),
        *("SubstanceNucleicAcid", "SubstancePolymer", "SubstanceProtein", "SubstanceReferenceInformation"),
        *("SubstanceSourceMaterial", "SubstanceSpecification", "TerminologyCapabilities", "TestReport"),
        *("TestScript", "ValueSet"),
    )
)

# Types that are in somebody's chart where they name a patient, and in the directory where they do not: a device in a
# store room.
EITHER = frozenset(("Device",))

# Where a type that names no patient says to what it belongs, and so to whom.
HOST_PATHS: Mapping[str, str] = {
    "AppointmentResponse": "appointment",
    "Binary": "securityContext",
    "DeviceMetric": "source",
    "Slot": "schedule",
}

ATTACHMENT_PATHS = ("content.attachment.url", "content.url", "presentedForm.url", "payload.contentAttachment.url")


def subjects(content: Mapping[str, object]) -> tuple[str, ...]:
    """The references at the subject's place that may mean a patient, in order and without versions.

    A reference that names another type (`Group/1`, `Practitioner/2`) is left out, except in a Provenance, which is
    about whatever it targets. `urn:` and `#` references say no type and are kept. A Patient is its own subject.
    """
    kind = str(content["resourceType"])
    if kind == "Patient":
        own_id = text(content, "id")
        return (f"Patient/{own_id}",) if own_id else ()
    found = (unversioned(reference) for path in paths_of(kind) for reference in texts(content, f"{path}.reference"))
    return tuple(dict.fromkeys(each for each in found if kind == "Provenance" or may_be_patient(each)))


def hosts(content: Mapping[str, object]) -> tuple[str, ...]:
    """The references to what a resource belongs to that names no patient itself, without versions."""
    path = HOST_PATHS.get(str(content["resourceType"]))
    found = texts(content, f"{path}.reference") if path is not None else ()
    return tuple(dict.fromkeys(unversioned(each) for each in found if not may_be_patient(each)))


def paths_of(kind: str) -> tuple[str, ...]:
    """Where a type keeps its subject."""
    return SUBJECT_PATHS.get(kind, USUAL_PATHS)


def unversioned(reference: str) -> str:
    """`Patient/1/_history/2` means the same person as `Patient/1`."""
    return reference.partition("/_history/")[0]


def may_be_patient(reference: str) -> bool:
    """Whether a reference is to a Patient or does not say to what."""
    if reference.startswith(("urn:", "#")):
        return True
    parts = reference.split("/")
    return len(parts) >= 2 and parts[-2] == "Patient"


def stated_nhs_number(content: Mapping[str, object]) -> NhsNumber | None:
    """The NHS number that a Patient carries, or by which another resource names its patient; None when it gives none.

    Raises:
        FhirRejected: BAD_NHS_NUMBER when the number fails its check.
    """
    for identifier in identifiers(content):
        value = text(identifier, "value")
        if identifier.get("system") == nhs_number.SYSTEM and identifier.get("use") != "old" and value is not None:
            return checked(value)
    return None


def identifiers(content: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    """A Patient's own identifiers; of any other resource the logical references to its subject."""
    kind = str(content["resourceType"])
    if kind == "Patient":
        yield from objects(content, "identifier")
        return
    for path in paths_of(kind):
        yield from objects(content, f"{path}.identifier")


def checked(value: str) -> NhsNumber:
    """A number that passes modulus 11."""
    try:
        return nhs_number.parse(value)
    except NhsNumberInvalid as error:
        expected, hint = "an NHS number of ten digits that passes modulus 11", "correct it, or leave the identifier out"
        raise FhirRejected(Fault.BAD_NHS_NUMBER, expected=expected, came="one that does not", hint=hint) from error


def attachments(content: Mapping[str, object]) -> tuple[str, ...]:
    """The addresses of documents that a resource points to, some of which may be Binary resources beside it."""
    return tuple(unversioned(url) for path in ATTACHMENT_PATHS for url in texts(content, path))
