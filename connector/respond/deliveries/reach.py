"""Connects to receivers, and to no address that nobody meant: what a name resolves to is checked, then connected to.

Private, loopback, link-local and other special addresses, those of metadata services among them, are refused unless
they lie in the networks of the receiver. Promises: the address that was checked is the one that is connected to, so a
name that changes its answer gains nothing; what takes longer than the deadline is cut off, however slowly it drips.
Will not: read or write.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from types import TracebackType

from connector.settings.model import AnyNetwork

Address = IPv4Address | IPv6Address
AZURE = IPv4Address("168.63.129.16")  # its metadata service has a public address
NAT64 = ip_network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
ADVICE = "name it in receiver_networks, or in networks of this receiver, if that is meant"


class Forbidden(OSError):
    """The receiver is at an address that it may not have; `words` say which."""

    def __init__(self, address: str) -> None:
        """Make the words."""
        self.words = f"it is at {address}, which is no public address: {ADVICE}"
        super().__init__(self.words)


def is_public(address: Address) -> bool:
    """Return whether an address is one of the open Internet, and so are those that are embedded in it."""
    if isinstance(address, IPv6Address):
        inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        inner += [IPv4Address(int(address) & 0xFFFFFFFF)] if address in NAT64 else []
        if any(each is not None and not is_public(each) for each in inner):
            return False
        return address.ipv4_mapped is not None or (address.is_global and not address.is_multicast)
    return address.is_global and not address.is_multicast and address != AZURE


def allowed(text: str, networks: Sequence[AnyNetwork]) -> bool:
    """Return whether a receiver that may be in these networks may have the address."""
    address = ip_address(text)
    plain = (isinstance(address, IPv6Address) and address.ipv4_mapped) or address
    return is_public(address) or any(plain in network for network in networks)


def places(host: str, port: int, networks: Sequence[AnyNetwork]) -> list[str]:
    """Return the addresses of a host that may be connected to; Forbidden if it has others only, gaierror if none."""
    found = [str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    good = [text for text in dict.fromkeys(found) if allowed(text, networks)]
    if not good:
        raise Forbidden(found[0])
    return good


@dataclass
class Attempt:
    """The connections of one attempt, for as long as the with statement and no longer than `seconds`."""

    networks: Sequence[AnyNetwork]
    seconds: float
    over: bool = False
    _open: list[socket.socket] = field(default_factory=list)
    _timer: threading.Timer | None = None

    def connect(self, host: str, port: int, timeout: float) -> socket.socket:
        """Return a connection to the first of the host's addresses that answers; OSError if none does."""
        trouble = OSError()
        for address in places(host, port, self.networks):
            try:
                connection = socket.create_connection((address, port), timeout)
            except OSError as error:
                trouble = error
                continue
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.append(connection.dup())  # TLS takes the connection itself away
            return connection
        raise trouble

    def _end(self) -> None:
        """Cut off what is still open: whoever reads or writes there gets an error."""
        self.over = True
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Attempt:
        """Begin to count."""
        self._timer = threading.Timer(self.seconds, self._end)
        self._timer.daemon = True
        self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop counting."""
        if self._timer:
            self._timer.cancel()
            self._timer.join()
        for connection in self._open:
            connection.close()
