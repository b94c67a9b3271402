"""Which addresses pages may be fetched from, checked on the address that is dialled.

A name may lead anywhere, and a literal has many spellings (decimal, hex, IPv6-mapped), so nothing
is judged by the URL: only the address that the resolver hands to the connection counts.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import ClassVar, Self

from scrapy.crawler import Crawler
from scrapy.resolver import CachingThreadedResolver
from twisted.internet.base import ReactorBase
from twisted.internet.defer import Deferred
from twisted.internet.error import DNSLookupError


class PrivateAddressError(DNSLookupError):
    """A page led to an address that is not public."""


class GuardedResolver(CachingThreadedResolver):
    """Resolves names and literals, and refuses what is not public.

    Twisted keeps to itself why a name has no address, so `refused` tells: host → its address.
    """

    allow_private = False
    refused: ClassVar[dict[str, str]] = {}

    @classmethod
    def from_crawler(cls, crawler: Crawler, reactor: ReactorBase) -> Self:
        resolver = super().from_crawler(crawler, reactor)
        resolver.allow_private = crawler.settings.getbool("ALLOW_PRIVATE_NETWORKS")
        return resolver

    def getHostByName(self, name: str, timeout: Sequence[int] = ()) -> Deferred[str]:  # noqa: N802 - Twisted's name
        found = super().getHostByName(name, timeout)
        return found if self.allow_private else found.addCallback(_public, name)


def _public(address: str, host: str) -> str:
    if not is_public(address):
        GuardedResolver.refused[host] = address
        raise PrivateAddressError(host)
    return address


def refusal_of(host: str) -> str | None:
    """Return why `host` was not dialled, as a line to read; None when the guard had no part."""
    address = GuardedResolver.refused.get(host) or _literal(host)
    if address is None or is_public(address):
        return None
    return (
        f"{host} is at {address}, which is no public address; "
        "set SITREP_ALLOW_PRIVATE_NETWORKS=1 to allow it"
    )


def _literal(host: str) -> str | None:
    try:
        return str(ipaddress.ip_address(host.split("%")[0]))
    except ValueError:
        return None


def is_public(address: str) -> bool:
    """Tell whether an IP address is a public one; IPv4 inside IPv6 is judged as IPv4.

    >>> is_public("127.0.0.1"), is_public("::ffff:10.0.0.1"), is_public("9.9.9.9")
    (False, False, True)
    """
    ip = ipaddress.ip_address(address.split("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return ip.is_global and not ip.is_multicast
