"""Images from the net, and images shown to it; all on the loopback, in this process."""

import asyncio
import contextlib
import gzip
import http.server
import io
import threading
from collections.abc import Awaitable, Callable, Iterator

import numpy as np
import PIL.Image
import pytest
from bad_images import bad_images, check_bad_image
from hypothesis import given, settings

from acquisition import virtual_time
from acquisition.errors import ConfigError, ImageError
from acquisition.images import Image
from acquisition.images.processors.image import Download, HttpServer


class Files(http.server.ThreadingHTTPServer):
    """Serves what is in `content`; a path that is not there hangs after its first bytes."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.go_on = threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            server: Files

            def do_GET(self) -> None:
                if self.path == "/gone":
                    self.send_error(404)
                    return
                if self.path == "/elsewhere":
                    self.send_response(302)
                    self.send_header("Location", "/a.fits")
                    self.end_headers()
                    return
                body = self.server.content.get(self.path, b"SIMPLE")
                self.send_response(200)
                self.send_header("Content-Length", str(len(body) if self.path in self.server.content else 10**6))
                self.end_headers()
                self.wfile.write(body)
                if self.path not in self.server.content:
                    self.wfile.flush()
                    self.server.go_on.wait(5)

            def log_message(self, *args: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def files(monkeypatch) -> Iterator[Files]:
    monkeypatch.setenv("no_proxy", "*")
    files = Files()
    yield files
    files.go_on.set()
    files.shutdown()
    files.server_close()


def download(files: Files, content: bytes) -> Image:
    files.content["/x"] = content
    return virtual_time.run(Download(files.url + "/x")(Image()))


def encoded(pixels: np.ndarray, mode: str | None = None, form: str = "png") -> bytes:
    with io.BytesIO() as stream:
        PIL.Image.fromarray(pixels, mode).save(stream, form)
        return stream.getvalue()


def test_fits_comes_as_it_is_whatever_its_name(files: Files) -> None:
    image = Image(np.arange(12, dtype=np.uint16).reshape(3, 4))
    image.header["OBJECT"] = "M1"
    for content in (image.to_bytes(), gzip.compress(image.to_bytes())):
        got = download(files, content)
        np.testing.assert_array_equal(got.data, image.data)
        assert got.header["OBJECT"] == "M1"
    files.content["/a.fits"] = image.to_bytes()
    np.testing.assert_array_equal(virtual_time.run(Download(files.url + "/elsewhere")(Image())).data, image.data)


def test_pictures_become_pixels(files: Files) -> None:
    """pyobs makes colour of grey ones, and takes the local time for DATE-OBS."""
    rng = np.random.default_rng(1)
    for dtype in (np.uint8, np.uint16):
        grey = rng.integers(0, 255, (20, 30)).astype(dtype)
        got = download(files, encoded(grey))
        np.testing.assert_array_equal(got.data, grey)
        assert got.data.dtype == dtype
    colour = rng.integers(0, 255, (20, 30, 3)).astype(np.uint8)
    got = download(files, encoded(colour))
    np.testing.assert_array_equal(got.data, np.moveaxis(colour, -1, 0))
    assert got.header["DATE-OBS"].startswith("2026-03-01T20:00:0")  # virtual time's epoch
    opaque = np.concatenate([colour, np.full((20, 30, 1), 255, np.uint8)], axis=2)
    np.testing.assert_array_equal(download(files, encoded(opaque)).data, np.moveaxis(colour, -1, 0))


def test_downloads_that_are_no_image(files: Files) -> None:
    for content in (b"", b"<html>", b"SIMPLE  = T", encoded(np.zeros((9, 9), np.uint8))[:40], b"\x1f\x8bxx"):
        with pytest.raises(ImageError, match="127"):
            download(files, content)
    with pytest.raises(ImageError, match="status 404"):
        virtual_time.run(Download(files.url + "/gone")(Image()))
    with pytest.raises(ImageError, match=r"within 0\.1 s"):
        asyncio.run(Download(files.url + "/hangs", timeout=0.1)(Image()))
    files.content["/big"] = bytes(2000)
    with pytest.raises(ImageError, match="larger than 1000 bytes"):
        virtual_time.run(Download(files.url + "/big", max_bytes=1000)(Image()))
    for url, options in (("file:///etc/passwd", {}), ("http://x/", {"timeout": 0}), ("http://x/", {"max_bytes": 0})):
        with pytest.raises(ValueError, match="allowed"):
            Download(url, **options)


# --- the server -------------------------------------------------------------------------------------------------------


async def get(port: int | None, path: str, headers: str = "", method: str = "GET") -> tuple[int, str, bytes]:
    """Status, head and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode())
    head, _, body = (await asyncio.wait_for(reader.read(), 5)).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return int(head.split()[1]), head.decode(), body


def serving(server: HttpServer, client: Callable[[HttpServer], Awaitable[None]]) -> None:
    async def both() -> None:
        try:
            await server(Image(np.arange(600, dtype=np.uint8).reshape(20, 30)))
            await client(server)
        finally:
            await server.aclose()

    asyncio.run(both())


def test_a_browser_sees_the_latest_image() -> None:
    async def client(server: HttpServer) -> None:
        status, head, page = await get(server.port, "/")
        assert (status, "text/html" in head) == (200, True)
        assert b'<img src="image.png">' in page
        status, head, picture = await get(server.port, "/image.png")
        assert (status, "image/png" in head) == (200, True)
        assert np.array(PIL.Image.open(io.BytesIO(picture)))[1, 0] == 30
        later = Image(np.full((20, 30), 7, np.uint8))
        assert await server(later) is later
        _, _, picture = await get(server.port, "/image.png?x")
        assert np.array(PIL.Image.open(io.BytesIO(picture))).max() == 7
        assert (await get(server.port, "/image.png", method="HEAD"))[2] == b""
        assert (await get(server.port, "/../etc/passwd"))[0] == 404
        assert (await get(server.port, "/", method="POST"))[0] == 405
        await server.reset()
        assert (await get(server.port, "/image.png"))[0] == 404

    server = HttpServer("image.png", port=0)
    assert server.port is None
    serving(server, client)
    serving(server, client)  # in another event loop


def test_others_must_show_the_token() -> None:
    async def client(server: HttpServer) -> None:
        assert (await get(server.port, "/image.jpg"))[0] == 401
        assert (await get(server.port, "/?token=wrong"))[0] == 401
        status, _, page = await get(server.port, "/?token=good%20token")
        assert (status, b'src="image.jpg?token=good%20token"' in page) == (200, True)
        assert (await get(server.port, "/image.jpg", "authorization: Bearer good token\r\n"))[0] == 200
        assert (await get(server.port, "/image.jpg", "Authorization: Basic good token\r\n"))[0] == 401

    serving(HttpServer(url="0.0.0.0", port=0, token="good token"), client)
    for url in ("0.0.0.0", "192.168.1.2", "myhost", "::"):
        with pytest.raises(ValueError, match="token"):
            HttpServer(url=url)


async def rest_of(port: int | None, sent: bytes) -> bytes:
    """What comes back for some bytes, until the server has enough."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = b""
    with contextlib.suppress(OSError):
        writer.write(sent)
        received = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return received


def test_clients_that_misbehave_are_dropped() -> None:
    async def client(server: HttpServer) -> None:
        assert await rest_of(server.port, b"GET / HT") == b""
        assert await rest_of(server.port, b"x" * 100_000) == b""
        idle = [asyncio.create_task(rest_of(server.port, b"GET")) for _ in range(32)]
        await asyncio.sleep(0.02)
        assert await rest_of(server.port, b"GET / HTTP/1.1\r\n\r\n") == b""  # one too many
        assert set(await asyncio.gather(*idle)) == {b""}
        assert (await get(server.port, "/"))[0] == 200

    serving(HttpServer(port=0, timeout=0.2), client)


def test_a_port_that_is_taken() -> None:
    async def client(server: HttpServer) -> None:
        with pytest.raises(ConfigError, match=r"port \d+"):
            await HttpServer(port=server.port or 0)(Image(np.zeros((3, 3), np.uint8)))

    serving(HttpServer(port=0), client)
    for arguments in ({"filename": "x.nothing"}, {"port": -1}, {"timeout": 0}, {"token": "short"}):
        with pytest.raises(ValueError, match="allowed"):
            HttpServer(**arguments)


@settings(max_examples=25)
@given(image=bad_images())
def test_bad_input(image: Image) -> None:
    server = HttpServer(port=0)
    check_bad_image(server, image)
    if server._socket is not None:
        server._socket.close()
