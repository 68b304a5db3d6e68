"""When a TLS certificate ends; what is none is said to be none."""

from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from salus.crypto.tls_certificates import CertificateUnfit, ends_at_s

ENDS = datetime.datetime(2027, 3, 1, 12, 0, tzinfo=datetime.UTC)


def test_it_ends_when_it_says() -> None:
    key, name = Ed25519PrivateKey.generate(), x509.Name([])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, ENDS - datetime.timedelta(days=9), ENDS)
    assert ends_at_s(made.sign(key, None).public_bytes(Encoding.PEM)) == int(ENDS.timestamp())


@pytest.mark.parametrize(
    "pem", [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_what_is_none_is_said_to_be_none(pem: bytes) -> None:
    with pytest.raises(CertificateUnfit):
        ends_at_s(pem)
