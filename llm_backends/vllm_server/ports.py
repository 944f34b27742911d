"""Ports: which are free, and who has those that are not."""

from __future__ import annotations

import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from llm_backends.errors import BadRequestError
from llm_backends.vllm_server.options import DEFAULT_PORT
from llm_backends.vllm_server.registry import ServerRegistry

_PORTS_TRIED = 100


@asynccontextmanager
async def free_port(host: str, wanted: int | None, registry: ServerRegistry) -> AsyncIterator[int]:
    """A free port that no other start of ours takes before this context ends.

    :param wanted: None takes the first that is free, from 8000 on.
    :raises BadRequestError: it is in use; the message says by whom.
    """
    if wanted is not None:
        async with registry.locked(f"port-{wanted}"):
            if port_in_use(host, wanted):
                raise BadRequestError(_who_has(wanted, registry))
            yield wanted
        return
    for port in range(DEFAULT_PORT, DEFAULT_PORT + _PORTS_TRIED):
        with registry.locked_at_once(f"port-{port}") as held:
            if held and not port_in_use(host, port):
                yield port
                return
    raise BadRequestError(
        f"ports {DEFAULT_PORT} to {DEFAULT_PORT + _PORTS_TRIED - 1} are all in use; give a free one (--port)"
    )


def port_in_use(host: str, port: int) -> bool:
    """Whether something listens there.

    :raises BadRequestError: nothing of this user's can listen there at all.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise BadRequestError(f"host is {host!r}, which has no address: {error.strerror} (--host)") from error
    family, kind, protocol, _, address = found[0]
    with socket.socket(family, kind, protocol) as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind(address)
            attempt.listen()  # where a bind beside a wildcard listener passes, this or the server's own tells
        except PermissionError as error:
            raise BadRequestError(
                f"port is {port}, which this user may not use; take one from 1024 on (--port)"
            ) from error
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return True
            raise BadRequestError(
                f"host is {host!r}, and nothing can listen there: {error.strerror} (--host)"
            ) from error
    return False


def _who_has(port: int, registry: ServerRegistry) -> str:
    for record in registry.on_port(port):
        if record.living_processes:
            return (
                f"port {port} is in use by a server that we started ({record.served_model_name}, pid "
                f"{record.leader.pid}); use that one, stop it, or take another port (--port)"
            )
    return (
        f"port {port} is in use by something that we did not start; take another port (--port), or see what has it "
        f"with `lsof -i :{port}`"
    )
