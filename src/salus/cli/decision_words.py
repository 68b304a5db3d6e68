"""What the ledger decided, in words for the person who asked."""

from salus.contracts.access import Basis, DenialReason

DENIALS = {
    DenialReason.REQUESTER_SUSPENDED: "your organisation is suspended",
    DenialReason.CUSTODIAN_SUSPENDED: "the custodian is suspended",
    DenialReason.RELATIONSHIP_CLOSED: "the patient has closed the relationship with this custodian",
    DenialReason.RELATIONSHIP_ERASED: "the relationship was erased",
    DenialReason.ROLE_NOT_HELD: "your organisation may not ask in this capacity",
    DenialReason.NETWORK_POLICY_FORBIDS: "the network's policy forbids it",
    DenialReason.CUSTODIAN_POLICY_FORBIDS: "the custodian's policy forbids it",
    DenialReason.EMERGENCY_NOT_CLINICAL: "only clinicians may break the glass",
    DenialReason.EMERGENCIES_UNREVIEWED: "too many emergencies wait for their review",
    DenialReason.PATIENT_DENIES: "a sharing choice of the patient denies it",
    DenialReason.NOTHING_PERMITS: "no sharing choice of the patient permits it, and nothing else does",
}
BASES = {
    Basis.EMERGENCY: "the glass was broken in an emergency, which will be reviewed",
    Basis.CHOICE: "a sharing choice of the patient may permit it",
    Basis.TICKET: "the patient's ticket permits it",
    Basis.OWN_STAFF: "own staff asks for direct care",
    Basis.PATIENT: "the patient asks",
    Basis.POLICY: "a policy permits it",
}
