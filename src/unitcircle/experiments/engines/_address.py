"""The address of a scheduler: on this machine or a private network, because whoever reaches one can run code."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from unitcircle.errors import ArgumentError

PORT = 8786
"""Port of a Dask scheduler if none is given."""
_PRIVATE = [
    ipaddress.ip_network(text)
    for text in (
        *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"),
        *("::1/128", "fc00::/7", "fe80::/10"),
    )
]
"""This machine, private networks and links. Python's ``is_private`` is also true of 0/8, 240/4 and broadcast."""


def refuse_public(host: str, /, *, encrypted: bool = False) -> None:
    """Raise unless a host is on this machine or on a private network, or the connection is encrypted."""
    try:
        addresses = {str(info[4][0]).partition("%")[0] for info in socket.getaddrinfo(host, None)}
    except OSError as error:
        raise ArgumentError("engine", "must name a host that can be resolved", f"{host!r} ({error})") from error
    for address in map(ipaddress.ip_address, addresses):
        # An IPv4 address inside an IPv6 one is that IPv4 address: ::ffff:0.0.0.0 binds all interfaces.
        address = getattr(address, "ipv4_mapped", None) or address  # noqa: PLW2901
        if address.is_unspecified:
            remedy = "Anyone who reaches a scheduler runs code on its workers: bind it to one private address."
            raise ArgumentError("engine", "must name one address, not all of a machine", host, remedy)
        if not (encrypted or any(address in network for network in _PRIVATE)):
            rule = "must be on this machine or a private network, or be given TLS certificates"
            raise ArgumentError("engine", rule, f"{host} ({address})", "See docs/clusters.md.")


def host_and_port(address: str, /) -> tuple[str, int]:
    """Return host and port of ``"HOST:PORT"``."""
    rule = "must be HOST:PORT"
    try:
        parts = urlsplit(f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ArgumentError("engine", rule, f"{address!r} ({error})") from error
    if not host or parts.path or parts.username is not None:
        raise ArgumentError("engine", rule, repr(address))
    return host, port or PORT
