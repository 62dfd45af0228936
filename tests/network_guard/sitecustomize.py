"""Refuses connections to other machines, and look-ups of their names.

Python imports a module of this name at its start: with this folder in PYTHONPATH, that holds for a
process and for those that it starts. What is refused is noted in the file that LOG names, if any.
Only sockets of Python are seen; a namespace without a network is for the others.
"""

import errno
import ipaddress
import os
import socket
from pathlib import Path

#: The environment variable with the file in which every refused name or address is a line.
LOG = "DATASELECT_NETWORK_LOG"

_connect, _connect_ex, _sendto = (
    socket.socket.connect, socket.socket.connect_ex, socket.socket.sendto
)  # fmt: skip
_getaddrinfo, _gethostbyname = socket.getaddrinfo, socket.gethostbyname


def check(host):
    """Raises OSError where a host is not this machine."""
    host = host.decode() if isinstance(host, bytes) else host
    if not host or host == "localhost" or host == socket.gethostname() or _is_own(host):
        return
    if os.environ.get(LOG):
        with Path(os.environ[LOG]).open("a", encoding="utf-8") as file:
            print(host, file=file)
    raise OSError(errno.ENETUNREACH, f"tests reach this machine only, not {host}")


def _is_own(host):
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if address.is_loopback or address.is_unspecified:
        return True
    import psutil

    own = (entry.address for found in psutil.net_if_addrs().values() for entry in found)
    return host in own


def _checked(function):
    def call(self, *arguments):
        if self.family in (socket.AF_INET, socket.AF_INET6):
            check(arguments[-1][0])
        return function(self, *arguments)

    return call


def getaddrinfo(host, *arguments, **options):
    """`socket.getaddrinfo`, of this machine alone."""
    check(host)
    return _getaddrinfo(host, *arguments, **options)


def gethostbyname(host):
    """`socket.gethostbyname`, of this machine alone."""
    check(host)
    return _gethostbyname(host)


socket.socket.connect, socket.socket.connect_ex = _checked(_connect), _checked(_connect_ex)
socket.socket.sendto = _checked(_sendto)
socket.getaddrinfo, socket.gethostbyname = getaddrinfo, gethostbyname
