"""Where the load goes: a server of one's own."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass, field
from urllib.parse import urlsplit


class NotOwn(Exception):
    """The address is not this machine's, and nobody has said that load may go there."""


@dataclass(frozen=True, slots=True)
class Target:
    """The server under load.

    Attributes:
        origin: its scheme, host and port, as a browser writes them.
        prefix: the path that it is served under, without a slash at the end; "" for none.
    """

    host: str
    port: int
    origin: str
    prefix: str
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    @classmethod
    def at(cls, url: str, *, own: bool = False) -> Target:
        """Return the target at an address.

        Args:
            own: whether the caller has said that the server is its own. One on this machine is.

        Raises:
            ValueError: it is no http or https address.
            NotOwn.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"{url!r} must be an address such as http://127.0.0.1:8000")
        if not own and not is_this_machine(parts.hostname):
            raise NotOwn(f"{parts.hostname} is not this machine; add --yes-this-is-mine where it is yours")
        secure = parts.scheme == "https"
        return cls(
            parts.hostname,
            parts.port or (443 if secure else 80),
            f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}",
            parts.path.rstrip("/"),
            ssl.create_default_context() if secure else None,
        )

    @property
    def netloc(self) -> str:
        """The host and port, for the header Host."""
        return self.origin.partition("://")[2]


def is_this_machine(host: str) -> bool:
    """Whether the name or address can only mean this machine. A name that is looked up elsewhere may mean any."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
