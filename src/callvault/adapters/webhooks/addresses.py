"""Which addresses are public: nothing of this machine, of its network or of a cloud's inside is."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

Address = IPv4Address | IPv6Address

REFUSED = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",
        "100.64.0.0/10",  # shared by carriers
        "168.63.129.16/32",  # a public address, yet the inside of Azure
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "240.0.0.0/4",
        "::/96",
        "64:ff9b:1::/48",
        "100::/64",
        "fec0::/10",
    )
)
WITH_IPV4_IN_THEIR_END = tuple(ip_network(network) for network in ("64:ff9b::/96", "::ffff:0:0:0/96"))


def is_public(text: str) -> bool:
    """Whether the address, and any that is hidden in it, belongs to the internet at large."""
    address = ip_address(text.partition("%")[0])
    return all(_is_public(each) for each in (address, *_within(address)))


def _is_public(address: Address) -> bool:
    refused = any(address.version == network.version and address in network for network in REFUSED)
    unusual = address.is_multicast or address.is_link_local or address.is_loopback or address.is_unspecified
    if _carries_ipv4(address):
        return not unusual
    return address.is_global and not (refused or unusual)


def _carries_ipv4(address: Address) -> bool:
    return isinstance(address, IPv6Address) and (address.ipv4_mapped is not None or _is_translated(address))


def _is_translated(address: IPv6Address) -> bool:
    return any(address in network for network in WITH_IPV4_IN_THEIR_END)


def _within(address: Address) -> Iterable[IPv4Address]:
    if isinstance(address, IPv4Address):
        return ()
    hidden = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if _is_translated(address):
        hidden.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [each for each in hidden if each is not None]
