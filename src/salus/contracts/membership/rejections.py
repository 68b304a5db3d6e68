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
    PROPOSAL_UNKNOWN = 110
    MEMBER_KNOWN = 111
    ACCESS_UNFIT = 112
    POLICY_UNFIT = 113
    VERSION_UNFIT = 114
    HEIGHT_UNFIT = 115
    LAST_VALIDATOR = 116
    POWER_UNFIT = 117
    ACTION_UNFIT = 118
    ACCUSED_UNFIT = 119
    ACCUSATION_OPEN = 120
    ROTATION_UNFIT = 121
