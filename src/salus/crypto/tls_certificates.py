"""TLS certificates: when one ends. Nothing here trusts one; who does checks it by its chain."""

from cryptography import x509


class CertificateUnfit(Exception):
    """What was read is no certificate in PEM."""


def ends_at_s(pem: bytes) -> int:
    """Return when the first certificate of a file in PEM ends, Unix seconds.

    Raises:
        CertificateUnfit: there is none.
    """
    try:
        return int(x509.load_pem_x509_certificate(pem).not_valid_after_utc.timestamp())
    except ValueError as error:
        raise CertificateUnfit("expected a certificate in PEM") from error
