"""Which 32 bytes are a fit Ed25519 key (docs/spec/contracts.md): canonical, on the curve, of prime order.

RFC 8032 5.1, affine and slow; answers are kept.
"""

from functools import cache
from typing import Final

P: Final = 2**255 - 19
Q: Final = 2**252 + 27742317777372353535851937790883648493
D: Final = -121665 * pow(121666, P - 2, P) % P
Point = tuple[int, int, int]


@cache
def is_fit_key(key: bytes) -> bool:
    """Tell whether a key may be registered."""
    if len(key) != 32:
        return False
    number = int.from_bytes(key, "little")
    y, sign = number % (1 << 255), number >> 255
    x = _x_of(y) if y < P else None
    if x is None or (x == 0 and sign):
        return False
    if x % 2 != sign:
        x = P - x
    point = (x, y, 1)
    is_identity = point[0] == 0 and y == 1
    return not is_identity and _is_zero(_times(Q, point))


def _x_of(y: int) -> int | None:
    """A square root of (y² - 1) / (d y² + 1); None when there is none."""
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    return None if (x * x - square) % P else x


def _times(scalar: int, point: Point) -> Point:
    result: Point = (0, 1, 1)
    while scalar:
        if scalar % 2:
            result = _add(result, point)
        point = _add(point, point)
        scalar //= 2
    return result


def _add(left: Point, right: Point) -> Point:
    """Projective coordinates x = X/Z, y = Y/Z of -x² + y² = 1 + d x² y²; the law is complete."""
    (x1, y1, z1), (x2, y2, z2) = left, right
    a, c, d = z1 * z2, x1 * x2, y1 * y2
    b, e = a * a, D * c * d
    f, g = b - e, b + e
    x = a * f * ((x1 + y1) * (x2 + y2) - c - d) % P
    y = a * g * (d + c) % P
    return x, y, f * g % P


def _is_zero(point: Point) -> bool:
    x, y, z = point
    return x % P == 0 and (y - z) % P == 0
