"""Something fetched by HTTP, within a deadline.

In: a URL and perhaps a body to post. Out: status and body of the answer, or `ImageError` that says why there is none.
"""

from __future__ import annotations

import asyncio
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPException

from acquisition.errors import ImageError

_CHUNK = 1 << 16


def check_url(url: str) -> None:
    """Make sure that a URL can be fetched.

    Raises
    ------
    ValueError
        If its scheme is not http or https, or it names no host.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"URL is {url!r}; allowed: http://host/... and https://host/...")


async def fetch(
    url: str,
    *,
    timeout_s: float,
    max_bytes: int,
    body: bytes | None = None,
    content_type: str = "application/octet-stream",
    verify: bool = True,
) -> tuple[int, bytes]:
    """Status and body of what a URL answers: to GET, or to POST if there is a body to send.

    Parameters
    ----------
    timeout_s : float
        For all of it, s.
    max_bytes : int
        Larger answers are refused.
    verify : bool
        Whether a server's certificate must be one that is trusted.

    Raises
    ------
    ImageError
        If no complete answer comes in time, or it is too large.
    """
    request = urllib.request.Request(url, body, {"Content-Type": content_type} if body is not None else {})
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        return await asyncio.wait_for(
            asyncio.to_thread(_answer, request, context, time.monotonic() + timeout_s, max_bytes), timeout_s
        )
    except TimeoutError as error:
        raise ImageError(f"{url}: no complete answer within {timeout_s:g} s") from error


def _answer(
    request: urllib.request.Request, context: ssl.SSLContext, deadline: float, max_bytes: int
) -> tuple[int, bytes]:
    """As of `fetch`, blocking; TimeoutError after the deadline (of ``time.monotonic``)."""
    url = request.full_url
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
    try:
        try:
            response = opener.open(request, timeout=max(deadline - time.monotonic(), 1e-3))
        except urllib.error.HTTPError as error:  # an answer, too
            response = error
        received = bytearray()
        with response:
            while chunk := response.read(_CHUNK):
                received += chunk
                if len(received) > max_bytes:
                    raise ImageError(f"{url}: answer is larger than {max_bytes} bytes")
                if time.monotonic() > deadline:
                    raise TimeoutError
            return int(response.status), bytes(received)
    except TimeoutError:
        raise
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, TimeoutError):
            raise TimeoutError from error
        raise ImageError(f"{url}: {' '.join(str(reason).split()) or type(reason).__name__}") from error
