"""Why membership says no, in order of precedence."""

from enum import IntEnum


class Rejection(IntEnum):
    """Why membership says no."""

    ORGANISATION_UNKNOWN = 101
    CERTIFICATE_KNOWN = 102
    CERTIFICATE_UNKNOWN = 103
    ROLE_NOT_HELD = 104
    EXPIRY_UNFIT = 105
    USE_UNFIT = 106
    KEY_UNFIT = 107
    KEY_IN_USE = 108
    SESSION_KEY_UNFIT = 109
