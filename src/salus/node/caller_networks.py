"""Caller networks: as whom those are counted whose network address is all that is known of them."""

import ipaddress


def network_of(address: str) -> str:
    """Return an address of IPv4 as it is, of IPv6 the 64 bits that one owner has; what is no address, as it is."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:  # RFC 4291 2.5.5.2
            return str(found.ipv4_mapped)
        return str(ipaddress.IPv6Network((int(found) >> 64 << 64, 64)))
    return str(found)
