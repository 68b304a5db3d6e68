"""Why tickets says no, in order of precedence."""

from enum import IntEnum


class Rejection(IntEnum):
    """Why tickets says no."""

    TICKET_UNKNOWN = 501
    TICKET_OF_OTHER = 502
    TICKET_EXPIRED = 503
    TICKET_REVOKED = 504
    TICKET_USED_UP = 505
    TICKET_KNOWN = 506
    CONDITION_UNFIT = 507
    KEY_UNFIT = 508
    USES_UNFIT = 509
    EXPIRY_UNFIT = 510
    ANCESTORS_FULL = 511
