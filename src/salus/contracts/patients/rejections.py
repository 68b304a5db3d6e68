"""Why patients says no, in order of precedence."""

from enum import IntEnum


class Rejection(IntEnum):
    """Why patients says no."""

    PSEUDONYM_KNOWN = 201
    RELATIONSHIP_UNKNOWN = 202
    NOT_THE_CUSTODIAN = 203
    RELATIONSHIP_CLOSED = 204
    RECOVERY_UNFIT = 205
    HOLDER_UNFIT = 206
    KEY_UNFIT = 207
    KEY_KNOWN = 208
    KEY_UNKNOWN = 209
    KEY_OF_PATIENT = 210
    KEYS_FULL = 211
    EXPIRY_UNFIT = 212
    RECOVERY_UNKNOWN = 213
    RECOVERY_STARTED = 214
    RECOVERY_SPENT = 215
    RECOVERY_EARLY = 216
    RECOVERY_FINAL = 217
    CHANGE_UNKNOWN = 218
