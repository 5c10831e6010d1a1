"""The daemon's state on a local unix socket, as lines of JSON.

In: states. Out: whoever connects gets the latest one at once and every later one, a line each. A client that does not
read is let go; what clients say is not listened to.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import stat
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from acquisition.errors import ConfigError

log = logging.getLogger(__name__)

MOST_CLIENTS = 16
MOST_UNREAD_BYTES = 64 * 1024
"""Of one client; beyond, it is let go."""
_ACCESS = 0o660
"""Owner and group may connect."""
_ANSWER_S = 1.0


class StateSocket:
    """A server on a unix socket; an async context manager.

    Parameters
    ----------
    path : Path
        Where it listens; its folder is made if missing. A socket that a dead process left there is replaced.

    Attributes
    ----------
    turned_away, let_go : int
        Clients that came when there were `MOST_CLIENTS`, and clients that did not read.

    Raises
    ------
    ConfigError
        On entering: somebody listens there already, there is something else, or the path is too long.
    OSError
        On entering: it may not be made there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._clients: set[asyncio.Transport] = set()
        self._latest = b""
        self._server: asyncio.Server | None = None
        self._inode = 0
        self.turned_away = 0
        self.let_go = 0

    async def __aenter__(self) -> Self:
        await self._make_way()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            os.fchmod(listener.fileno(), 0o600)  # before it is bound, so that there is no moment with more access
            try:
                listener.bind(str(self._path))
            except OSError as error:
                if "too long" in str(error):
                    raise ConfigError(f"socket {self._path}: the path is too long; allowed: 107 bytes") from None
                raise
            self._path.chmod(_ACCESS)  # whatever the umask
            self._inode = self._path.stat().st_ino
            self._server = await asyncio.get_running_loop().create_unix_server(lambda: _Client(self), sock=listener)
        except BaseException:
            listener.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        for client in list(self._clients):
            client.close()
        with contextlib.suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()

    def publish(self, state: Mapping[str, Any]) -> None:
        """Tell all clients; never waits."""
        self._latest = json.dumps(state, allow_nan=False).encode() + b"\n"
        for client in list(self._clients):
            self._send(client)

    def joined(self, client: asyncio.Transport) -> None:
        """A client has connected."""
        if len(self._clients) >= MOST_CLIENTS:
            self.turned_away += 1
            client.abort()
            return
        self._clients.add(client)
        if self._latest:
            self._send(client)

    def left(self, client: asyncio.Transport) -> None:
        """A client has gone."""
        self._clients.discard(client)

    def _send(self, client: asyncio.Transport) -> None:
        client.write(self._latest)
        if client.get_write_buffer_size() > MOST_UNREAD_BYTES:
            self.let_go += 1
            self._clients.discard(client)
            client.abort()
            log.warning("%s: a client does not read and is let go", self._path)

    async def _make_way(self) -> None:
        """Remove the socket that a dead process left."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            kind = self._path.lstat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(kind):
            raise ConfigError(f"socket {self._path}: there is a file of that name; allowed: a new name")
        try:
            async with asyncio.timeout(_ANSWER_S):
                _, writer = await asyncio.open_unix_connection(str(self._path))
        except ConnectionRefusedError:
            self._path.unlink(missing_ok=True)
            return
        except TimeoutError:
            pass
        else:
            writer.close()
        raise ConfigError(f"socket {self._path}: another process listens there; give each daemon a socket of its own")


class _Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, server: StateSocket) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.joined(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        assert self._transport is not None
        self._server.left(self._transport)
