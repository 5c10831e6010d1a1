"""The latest image for a browser.

In: `Image`s. Out: the same, and a small HTTP server that shows the latest one.
"""

from __future__ import annotations

import asyncio
import hmac
import html
import ipaddress
import logging
import socket
import urllib.parse
from typing import Any

from acquisition.errors import ConfigError
from acquisition.images import Image, ImageProcessor

from .encode import encode_image, format_of

log = logging.getLogger(__name__)

_MAX_CONNECTIONS = 32
_MAX_HEAD = 8192


class HttpServer(ImageProcessor):
    """Serve the latest image as a picture, row 0 at the top: as ``/<filename>``, and in a page that renews itself as /.

    The server starts with the first image. It listens on this machine only, unless told otherwise; then everybody must
    show the token, as ``?token=...`` or as a bearer's authorization. Pixels are scaled as by `encode_image`.

    Parameters
    ----------
    filename : str
        Name of the picture; its ending is the format, unless that is given.
    format : str, optional
        As Pillow names it, such as JPEG.
    url : str
        Name or address of the interface to listen on, such as localhost or 0.0.0.0.
    port : int
        0: any that is free (see `port`).
    token : str, optional
        What a client must show.
    timeout : float
        How long a client may take over a request and its answer, s, > 0.
    **kwargs
        As of `ImageProcessor`.

    Raises
    ------
    ValueError
        If a parameter is out of range, or the interface is not this machine's loopback and there is no token.
    """

    def __init__(
        self,
        filename: str = "image.jpg",
        format: str | None = None,
        url: str = "localhost",
        port: int = 9400,
        token: str | None = None,
        timeout: float = 10.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._format = format_of(filename, format)
        self._filename = filename.strip("/")
        if not 0 <= port <= 65535 or not 0 < timeout < 3600:
            raise ValueError(f"port is {port}, timeout {timeout} s; allowed: 0 to 65535, above 0")
        if token is not None and (len(token) < 8 or not token.isascii() or not token.isprintable()):
            raise ValueError("token is too simple; allowed: from 8 printable ASCII characters")
        if token is None and not _is_loopback(url):
            raise ValueError(f"url is {url!r}, where others can look in; allowed without a token: localhost")
        self._host, self._asked_port, self._token, self._timeout_s = url, port, token, timeout
        self._picture: bytes | None = None
        self._socket: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connections = 0

    @property
    def port(self) -> int | None:
        """Where it listens; None before the first image."""
        return None if self._socket is None else int(self._socket.getsockname()[1])

    async def __call__(self, image: Image) -> Image:
        """Show an image.

        Raises
        ------
        ImageError
            If its pixels are no picture.
        ConfigError
            If the port is taken, or the interface is not this machine's.
        """
        self._picture = await asyncio.to_thread(encode_image, image, self._filename, self._format)
        await self._start()
        return image

    async def reset(self) -> None:
        """Show nothing until the next image."""
        self._picture = None

    async def aclose(self) -> None:
        """Stop listening."""
        if self._server is not None and self._loop is asyncio.get_running_loop():
            self._server.close()
        if self._socket is not None:
            self._socket.close()
        self._server = self._socket = self._loop = None

    async def _start(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return
        await self.aclose()  # an earlier event loop's
        try:
            family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
            self._socket = socket.create_server((self._host, self._asked_port), family=family)
        except OSError as error:
            raise ConfigError(
                f"cannot show images on {self._host}, port {self._asked_port}: {error.strerror or error}"
            ) from error
        self._server = await asyncio.start_server(self._serve, sock=self._socket, limit=_MAX_HEAD)
        self._loop = loop
        log.info("images are shown on http://%s:%s/", self._host, self.port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections > _MAX_CONNECTIONS:
                return
            async with asyncio.timeout(self._timeout_s):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer_to(head.decode("latin-1")))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            log.debug("a client went away: %s", error)
        finally:
            self._connections -= 1
            writer.transport.abort()

    def _answer_to(self, head: str) -> bytes:
        request, *lines = head.split("\r\n")
        method, _, rest = request.partition(" ")
        target = urllib.parse.urlsplit(rest.partition(" ")[0])
        if method not in ("GET", "HEAD"):
            return _answer("405 Method Not Allowed", more="Allow: GET, HEAD\r\n")
        if not self._may(target.query, lines):
            return _answer("401 Unauthorized", more="WWW-Authenticate: Bearer\r\n")
        path = urllib.parse.unquote(target.path)
        if path == "/":
            source = html.escape(urllib.parse.quote(self._filename) + (f"?{target.query}" if target.query else ""))
            page = (
                '<!DOCTYPE html><html><head><meta http-equiv="refresh" content="2">'
                f'<title>{html.escape(self._filename)}</title></head><body><img src="{source}"></body></html>'
            )
            return _answer("200 OK", page.encode(), "text/html; charset=utf-8", head_only=method == "HEAD")
        if path != f"/{self._filename}" or self._picture is None:
            return _answer("404 Not Found")
        return _answer("200 OK", self._picture, f"image/{self._format.lower()}", head_only=method == "HEAD")

    def _may(self, query: str, lines: list[str]) -> bool:
        if self._token is None:
            return True
        shown = urllib.parse.parse_qs(query).get("token", [])
        for line in lines:
            name, _, value = line.partition(":")
            scheme, _, credentials = value.strip().partition(" ")
            if name.strip().lower() == "authorization" and scheme.lower() == "bearer":
                shown.append(credentials.strip())
        return any(hmac.compare_digest(token.encode(), self._token.encode()) for token in shown)


def _answer(
    status: str, body: bytes = b"", content_type: str = "text/plain", more: str = "", head_only: bool = False
) -> bytes:
    body = body or status.encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n{more}"
        "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode("latin-1") + (b"" if head_only else body)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
