"""Against Google's Tink, both ways: the streaming format and HPKE, with the same keys as raw bytes."""

import io
from collections.abc import Iterator
from typing import Any

import pytest

from salus.crypto.hpke import HpkeKey, HpkeSuite, open_with, seal_to
from salus.crypto.seal_format import FIRST_SEGMENT_PLAIN_BYTES, HEADER_SIZE_BYTES, SEGMENT_PLAIN_BYTES, Header
from salus.crypto.sealing import SealBroken, key_commitment, open_sealed, seal, stream_key

tink = pytest.importorskip("tink")
from tink import core, hybrid, secret_key_access, streaming_aead  # noqa: E402
from tink.proto import aes_gcm_hkdf_streaming_pb2, common_pb2, hpke_pb2, tink_pb2  # noqa: E402

KEY = bytes(range(32))
ASSOCIATED = b"chain record version"
PREFIX = "type.googleapis.com/google.crypto.tink."
KEMS = {HpkeSuite.X25519: hpke_pb2.DHKEM_X25519_HKDF_SHA256, HpkeSuite.HYBRID: hpke_pb2.X_WING}

MIB = 1 << 20
TWO_FULL = FIRST_SEGMENT_PLAIN_BYTES + SEGMENT_PLAIN_BYTES
SIZES = [MIB + 1, TWO_FULL - 1, TWO_FULL, TWO_FULL + 1, TWO_FULL + SEGMENT_PLAIN_BYTES, 5 * MIB]


@pytest.fixture(scope="module", autouse=True)
def _registered() -> None:
    streaming_aead.register()
    hybrid.register()


def plaintext(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


@pytest.mark.parametrize("size", SIZES)
def test_tink_opens_what_we_sealed(size: int) -> None:
    sealed = seal(KEY, plaintext(size), ASSOCIATED)
    assert tink_opens(sealed[HEADER_SIZE_BYTES:], sealed[:HEADER_SIZE_BYTES] + ASSOCIATED) == plaintext(size)


@pytest.mark.parametrize("size", SIZES)
def test_we_open_what_tink_sealed(size: int) -> None:
    header = Header(suite=2, commitment=key_commitment(KEY), size_bytes=size).encode()
    body = tink_seals(plaintext(size), header + ASSOCIATED)
    assert open_sealed(KEY, header + body, ASSOCIATED) == plaintext(size)


def test_tink_refuses_what_we_refuse() -> None:
    sealed = bytearray(seal(KEY, plaintext(MIB + 1), ASSOCIATED))
    sealed[-1] ^= 1
    with pytest.raises(SealBroken):
        open_sealed(KEY, sealed, ASSOCIATED)
    with pytest.raises(core.TinkError):
        tink_opens(bytes(sealed[HEADER_SIZE_BYTES:]), bytes(sealed[:HEADER_SIZE_BYTES]) + ASSOCIATED)


@pytest.mark.parametrize("suite", HpkeSuite)
def test_tink_opens_what_we_sealed_to_a_key(suite: HpkeSuite) -> None:
    key = HpkeKey.from_seed(suite, KEY)
    decrypt = hpke_handle(key, private=True).primitive(hybrid.HybridDecrypt)
    assert decrypt.decrypt(seal_to(key.public, b"release key", info=b"permit")[1:], b"permit") == b"release key"


@pytest.mark.parametrize("suite", HpkeSuite)
def test_we_open_what_tink_sealed_to_a_key(suite: HpkeSuite) -> None:
    key = HpkeKey.from_seed(suite, KEY)
    encrypt = hpke_handle(key, private=False).primitive(hybrid.HybridEncrypt)
    sealed = bytes((suite,)) + encrypt.encrypt(b"release key", b"permit")
    assert open_with(key, sealed, info=b"permit") == b"release key"


def tink_seals(text: bytes, associated: bytes) -> bytes:
    target = io.BytesIO()
    target.close = lambda: None  # type: ignore[method-assign]  # Tink closes what it writes to
    with streaming_primitive().new_encrypting_stream(target, associated) as stream:
        stream.write(text)
    return target.getvalue()


def tink_opens(body: bytes, associated: bytes) -> bytes:
    with streaming_primitive().new_decrypting_stream(io.BytesIO(body), associated) as stream:
        return b"".join(_pieces(stream))


def _pieces(stream: io.RawIOBase) -> Iterator[bytes]:
    while piece := stream.read(MIB):
        yield piece


def streaming_primitive() -> Any:
    key = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKey(
        params=aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingParams(
            ciphertext_segment_size=MIB, derived_key_size=32, hkdf_hash_type=common_pb2.SHA256
        ),
        key_value=stream_key(KEY),
    )
    handle = raw_handle("AesGcmHkdfStreamingKey", key, tink_pb2.KeyData.SYMMETRIC)
    return handle.primitive(streaming_aead.StreamingAead)


def hpke_handle(key: HpkeKey, *, private: bool) -> Any:
    public = hpke_pb2.HpkePublicKey(
        params=hpke_pb2.HpkeParams(kem=KEMS[key.suite], kdf=hpke_pb2.HKDF_SHA256, aead=hpke_pb2.AES_256_GCM),
        public_key=key.public[1:],
    )
    if not private:
        return raw_handle("HpkePublicKey", public, tink_pb2.KeyData.ASYMMETRIC_PUBLIC)
    secret = hpke_pb2.HpkePrivateKey(public_key=public, private_key=raw_private(key))
    return raw_handle("HpkePrivateKey", secret, tink_pb2.KeyData.ASYMMETRIC_PRIVATE)


def raw_private(key: HpkeKey) -> bytes:
    # X-Wing's private key is its seed; that of X25519 is the scalar derived from it.
    return key.seed if key.suite is HpkeSuite.HYBRID else key._private.private_bytes_raw()  # type: ignore[union-attr]


def raw_handle(name: str, key: Any, kind: int) -> Any:
    data = tink_pb2.KeyData(type_url=PREFIX + name, value=key.SerializeToString(), key_material_type=kind)
    entry = tink_pb2.Keyset.Key(key_data=data, status=tink_pb2.ENABLED, key_id=1, output_prefix_type=tink_pb2.RAW)
    keyset = tink_pb2.Keyset(primary_key_id=1, key=[entry]).SerializeToString()
    return tink.proto_keyset_format.parse(keyset, secret_key_access.TOKEN)
