"""Where a server is, and the key for it."""

from __future__ import annotations

import ipaddress
import os
from urllib.parse import urlsplit

from llm_backends.errors import AuthenticationError, BadRequestError

NO_KEY = "none"
"""Sent to a server that wants no key; the SDKs insist on one."""


def checked_base_url(base_url: str) -> str:
    """`base_url` without a slash at the end.

    :raises BadRequestError: it is no http address, or has a user, a password, a query or a fragment in it.
    """
    try:
        parts = urlsplit(base_url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise BadRequestError(f"the server's address cannot be read: {error} (--base_url)") from error
    if "@" in parts.netloc:
        raise BadRequestError(
            f"the server's address, with the host {host!r}, has a user or a password in it; give keys through the "
            "environment (--base_url)"
        )
    plain = base_url.isascii() and base_url.isprintable() and " " not in base_url
    if parts.scheme not in ("http", "https") or not host or port == 0 or not plain:
        raise BadRequestError(
            f"the server's address is {base_url!r}; it must be as http://127.0.0.1:8000/v1 (--base_url)"
        )
    if parts.query or parts.fragment:
        raise BadRequestError(
            f"the server's address at {host!r} has a query or a fragment in it; leave it out (--base_url)"
        )
    return base_url.rstrip("/")


def host_of(base_url: str) -> str:
    return urlsplit(base_url).hostname or ""


def is_loopback(base_url: str) -> bool:
    """Whether the address is this machine's own."""
    host = host_of(base_url)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def key_from_environment(variable: str, *, backend: str, without: str | None = None) -> str:
    """The key in an environment variable.

    :param without: what to take when it is not set; None makes that an error.
    :raises AuthenticationError: it is not set, or cannot be sent.
    """
    key = os.environ.get(variable, "").strip()
    if not key:
        if without is not None:
            return without
        raise AuthenticationError(
            f"the backend {backend!r} needs a key; set the environment variable {variable}, or name the one that has "
            "it with --api_key_env"
        )
    if not key.isascii() or not key.isprintable():
        raise AuthenticationError(
            f"the key in the environment variable {variable} has a character that no key has; it must be plain ASCII "
            "text on one line"
        )
    return key
