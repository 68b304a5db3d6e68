"""What apps find out by themselves: SMART's configuration, OpenID Connect's, and the public keys."""

from typing import Final

from salus.api.smart.client_authentication import ALGORITHMS
from salus.api.smart.scopes import NATIVE
from salus.api.smart.settings import SmartSettings
from salus.api.smart.signing_keys import ALGORITHM
from salus.api.smart.ticket_exchange import GRANT_TYPE
from salus.node.services.tickets import TICKET_TYPES

SMART_PATH: Final = "/.well-known/smart-configuration"
OPENID_PATH: Final = "/.well-known/openid-configuration"
OAUTH_PATH: Final = "/.well-known/oauth-authorization-server"
JWKS_PATH: Final = "/.well-known/jwks.json"
AUTHORIZE_PATH: Final = "/oauth/authorize"
TOKEN_PATH: Final = "/oauth/token"  # noqa: S105 -- an address
INTROSPECT_PATH: Final = "/oauth/introspect"
REVOKE_PATH: Final = "/oauth/revoke"
MANAGE_PATH: Final = "/oauth/apps"

CAPABILITIES: Final = [
    "launch-ehr",
    "launch-standalone",
    "authorize-post",
    "client-public",
    "client-confidential-symmetric",
    "client-confidential-asymmetric",
    "sso-openid-connect",
    "context-banner",
    "context-ehr-patient",
    "context-standalone-patient",
    "permission-offline",
    "permission-online",
    "permission-patient",
    "permission-user",
    "permission-v1",
    "permission-v2",
]
"""Of SMART 2.2, 3.1.1; each is exercised by a test."""
SCOPES: Final = [
    "openid",
    "fhirUser",
    "launch",
    "launch/patient",
    "online_access",
    "offline_access",
    "patient/*.cruds",
    "user/*.cruds",
    "system/*.rs",
    *NATIVE,
]


def configuration(settings: SmartSettings) -> dict[str, object]:
    """Return what is at each of the three addresses: SMART's and OpenID Connect's fields together."""
    return {
        "issuer": settings.issuer,
        "jwks_uri": settings.at(JWKS_PATH),
        "authorization_endpoint": settings.at(AUTHORIZE_PATH),
        "token_endpoint": settings.at(TOKEN_PATH),
        "introspection_endpoint": settings.at(INTROSPECT_PATH),
        "revocation_endpoint": settings.at(REVOKE_PATH),
        "management_endpoint": settings.at(MANAGE_PATH),
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials", GRANT_TYPE],
        "smart_permission_ticket_types_supported": list(TICKET_TYPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": [
            "none",
            "client_secret_basic",
            "client_secret_post",
            "private_key_jwt",
        ],
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "scopes_supported": SCOPES,
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "authorization_response_iss_parameter_supported": True,
        "capabilities": CAPABILITIES,
    }
