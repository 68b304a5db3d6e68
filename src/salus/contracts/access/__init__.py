"""Access: requests, decisions, permits, the anchors of releases, emergencies and challenges.

Every request gets a committed answer with its reason (R1, R2). A permit is conditional: the custodian applies the whole
rules to every record before it releases anything, and checks the permit again against current state each time (R3).
"""

from salus.contracts.access.handlers import challenge, commit_releases, request_access, review_emergency
from salus.contracts.access.messages import (
    AccessDenied,
    AccessPermitted,
    Challenge,
    Challenged,
    CommitReleases,
    EmergencyReviewed,
    ReleasesCommitted,
    RequestAccess,
    ReviewEmergency,
)
from salus.contracts.access.order import decide_request
from salus.contracts.access.queries import (
    PermitDead,
    Versions,
    emergency,
    granted,
    open_request,
    permit,
    permit_id,
    require_live,
    unreviewed,
    versions,
)
from salus.contracts.access.rejections import Rejection
from salus.contracts.access.state import (
    CLOSING_S,
    CONTRACT,
    EMERGENCIES,
    PERMITS,
    UNREVIEWED,
    Basis,
    DenialReason,
    Emergency,
    End,
    Permit,
    Unreviewed,
    Verdict,
)

__all__ = [
    "CLOSING_S",
    "CONTRACT",
    "EMERGENCIES",
    "PERMITS",
    "UNREVIEWED",
    "AccessDenied",
    "AccessPermitted",
    "Basis",
    "Challenge",
    "Challenged",
    "CommitReleases",
    "DenialReason",
    "Emergency",
    "EmergencyReviewed",
    "End",
    "Permit",
    "PermitDead",
    "Rejection",
    "ReleasesCommitted",
    "RequestAccess",
    "ReviewEmergency",
    "Unreviewed",
    "Verdict",
    "Versions",
    "challenge",
    "commit_releases",
    "decide_request",
    "emergency",
    "granted",
    "open_request",
    "permit",
    "permit_id",
    "request_access",
    "require_live",
    "review_emergency",
    "unreviewed",
    "versions",
]
