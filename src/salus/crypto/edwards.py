"""Points of edwards25519 in plain integers: only for judging unusual public keys and signatures, never for secrets.

Not constant-time and about forty times slower than libsodium: it runs when PyNaCl has already said no (`signing`).
Formulae: RFC 8032 5.1.4; decoding as ZIP-215 asks, which accepts what RFC 8032 5.1.3 calls non-canonical.
"""

from typing import Final

PRIME: Final = 2**255 - 19
ORDER: Final = 2**252 + 27742317777372353535851937790883648493
ENCODING_SIZE_BYTES: Final = 32

_D: Final = -121665 * pow(121666, -1, PRIME) % PRIME
_SQRT_MINUS_ONE: Final = pow(2, (PRIME - 1) // 4, PRIME)
_SIGN_BIT: Final = 1 << 255

# Extended homogeneous coordinates X, Y, Z, T with x = X/Z, y = Y/Z, xy = T/Z (RFC 8032 5.1.4).
Point = tuple[int, int, int, int]
IDENTITY: Final[Point] = (0, 1, 1, 0)


def decode(encoded: bytes) -> Point | None:
    """The point of a 32-byte encoding; None when no point has this y.

    As ZIP-215 rule 1: y may be p or more, and x = 0 may come with the sign bit set.
    """
    value = int.from_bytes(encoded, "little")
    y = (value & (_SIGN_BIT - 1)) % PRIME
    x = _recover_x(y)
    if x is None:
        return None
    if x & 1 != value >> 255:
        x = -x % PRIME
    return x, y, 1, x * y % PRIME


def has_canonical_y(encoded: bytes) -> bool:
    """Whether y is below p, as RFC 8032 5.1.3 step 1 asks."""
    return int.from_bytes(encoded, "little") & (_SIGN_BIT - 1) < PRIME


def is_small_order(point: Point) -> bool:
    """Whether the point is one of the eight whose order divides the cofactor."""
    return is_identity(times_cofactor(point))


def times_cofactor(point: Point) -> Point:
    """[8]P."""
    return _double(_double(_double(point)))


def is_identity(point: Point) -> bool:
    """Whether x = 0 and y = 1."""
    return point[0] == 0 and point[1] == point[2]


def subtract(left: Point, right: Point) -> Point:
    """left - right."""
    x, y, z, t = right
    return _add(left, (-x % PRIME, y, z, -t % PRIME))


def combine(scalar_of_base: int, scalar: int, point: Point) -> Point:
    """[scalar_of_base]B + [scalar]P, both scalars not negative, bit by bit with shared doublings."""
    both = _add(BASE, point)
    result = IDENTITY
    for bit in range(max(scalar_of_base.bit_length(), scalar.bit_length()) - 1, -1, -1):
        result = _double(result)
        match scalar_of_base >> bit & 1, scalar >> bit & 1:
            case 1, 1:
                result = _add(result, both)
            case 1, 0:
                result = _add(result, BASE)
            case 0, 1:
                result = _add(result, point)
    return result


def _recover_x(y: int) -> int | None:
    # RFC 8032 5.1.3 steps 2 and 3: the candidate root of u/v in one exponentiation
    u, v = (y * y - 1) % PRIME, (_D * y * y + 1) % PRIME
    x = u * pow(v, 3, PRIME) * pow(u * pow(v, 7, PRIME), (PRIME - 5) // 8, PRIME) % PRIME
    if v * x * x % PRIME == u:
        return x
    if v * x * x % PRIME == -u % PRIME:
        return x * _SQRT_MINUS_ONE % PRIME
    return None


def _add(left: Point, right: Point) -> Point:
    x1, y1, z1, t1 = left
    x2, y2, z2, t2 = right
    a, b = (y1 - x1) * (y2 - x2) % PRIME, (y1 + x1) * (y2 + x2) % PRIME
    c, d = 2 * t1 * t2 * _D % PRIME, 2 * z1 * z2 % PRIME
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME


def _double(point: Point) -> Point:
    x, y, z, _ = point
    a, b, c = x * x % PRIME, y * y % PRIME, 2 * z * z % PRIME
    h = a + b
    e, g = h - (x + y) * (x + y), a - b
    f = c + g
    return e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME


_BASE = decode((4 * pow(5, -1, PRIME) % PRIME).to_bytes(32, "little"))
assert _BASE is not None
BASE: Final[Point] = _BASE
