"""Why access says no without a decision, in order of precedence."""

from enum import IntEnum


class Rejection(IntEnum):
    """Why access says no without a decision; a decision that says no is AccessDenied."""

    DURATION_UNFIT = 601
    TICKET_NOT_USED = 602
    PERMIT_UNKNOWN = 603
    NOT_AN_END = 604
    END_CLOSED = 605
    EMERGENCY_UNKNOWN = 606
    OFFICER_UNFIT = 607
