"""Public keys of Ed25519 (RFC 8032) for which anybody can make signatures."""

from typing import Final

_P: Final = 2**255 - 19
_Y_OF_ORDER_8: Final = 0x5FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
# A point of order 1 has y = 1, of order 2 y = -1, of order 4 y = 0; the four of order 8 have these two (RFC 7748, 7).
_SMALL_ORDER: Final = frozenset({1, _P - 1, 0, _Y_OF_ORDER_8, _P - _Y_OF_ORDER_8})


def has_small_order(public_key: bytes) -> bool:
    """True if the 32 bytes are a point of order 1, 2, 4 or 8, in any encoding.

    A signature can be made without the private key that such a key verifies for every message, or for one in eight.
    OpenSSL takes the key, and `y` that is not reduced (RFC 8032, section 5.1.7, leaves both open).
    """
    y = int.from_bytes(public_key, "little") & (1 << 255) - 1
    return y % _P in _SMALL_ORDER
