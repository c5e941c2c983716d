"""Full images from a mirror: a real HTTPS server with a certificate of our own."""

from __future__ import annotations

import dataclasses
import http.server
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.errors import AbsentError, EndlessDataError, UnreachableError
from agent.update.https_fetcher import HttpsFetcher
from agent.update.release import Release, parse_release
from tests.agent.mqtt.broker import free_port
from tests.agent.mqtt.test_tls import authority, certificate
from tests.agent.update.test_release import CUSTOM, SHA

CONTENT = bytes(range(256)) * 500


class Mirror(http.server.ThreadingHTTPServer):
    """Serves one file in the way that a test wants.

    Attributes:
        behaviour: `ranges`, `whole` (knows no ranges), `endless`, `short`, `elsewhere`, `gone`.
        asked: Paths and ranges that were asked for.
    """

    daemon_threads = True
    behaviour = "ranges"

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.asked: list[tuple[str, str | None]] = []
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)
        self._thread.start()

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is what some tests are about."""

    def close(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Mirror

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append((self.path, wanted))
        behaviour = self.server.behaviour
        if behaviour == "elsewhere":
            self.send_response(302)
            self.send_header("Location", "https://evil.example/")
            self.end_headers()
            return
        if behaviour == "gone":
            self.send_error(404)
            return
        start = 0
        if wanted is not None and behaviour != "whole":
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        self.end_headers()
        body = CONTENT[start:]
        if behaviour == "short":
            body = body[:1000]
        self.wfile.write(body)
        while behaviour == "endless":
            self.wfile.write(bytes(65536))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mirror")
    authority(folder, "house")
    certificate(folder, "mirror", "house", "subjectAltName=IP:127.0.0.1")
    return folder


@pytest.fixture
def mirror(keys: Path) -> Iterator[Mirror]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys / "mirror.pem", keys / "mirror.key")
    mirror = Mirror(context)
    yield mirror
    mirror.close()


@pytest.fixture
def fetcher(keys: Path) -> HttpsFetcher:
    context = ssl.create_default_context(cafile=str(keys / "house.pem"))
    return HttpsFetcher(context, timeout_s=10.0)


def _release(port: int) -> Release:
    custom = CUSTOM | {
        "format": "full",
        "base_sha256": "",
        "mirror": f"https://127.0.0.1:{port}/models/",
    }
    return parse_release("toy/rpi4/7.tar.xz", len(CONTENT), SHA, custom)


def test_a_full_image_comes_in_parts(mirror: Mirror, fetcher: HttpsFetcher) -> None:
    pieces = list(fetcher.chunks(_release(mirror.server_port), 0))
    assert b"".join(pieces) == CONTENT
    assert max(map(len, pieces)) <= 32768
    assert mirror.asked == [(f"/models/toy/rpi4/{SHA}.7.tar.xz", None)]


@pytest.mark.parametrize("behaviour", ["ranges", "whole"])
def test_it_goes_on_where_it_was_also_where_ranges_are_not_known(
    mirror: Mirror, fetcher: HttpsFetcher, behaviour: str
) -> None:
    mirror.behaviour = behaviour
    for start in (1, 32768, 65536, len(CONTENT) - 1):
        rest = b"".join(fetcher.chunks(_release(mirror.server_port), start))
        assert rest == CONTENT[start:]


def test_a_mirror_that_never_ends_is_left(mirror: Mirror, fetcher: HttpsFetcher) -> None:
    mirror.behaviour = "endless"
    pieces: list[bytes] = []
    with pytest.raises(EndlessDataError, match="sends more than the 128000 bytes"):
        pieces.extend(fetcher.chunks(_release(mirror.server_port), 0))
    assert sum(map(len, pieces)) <= len(CONTENT)


def test_a_mirror_that_stops_early_is_noticed_by_whoever_counts(
    mirror: Mirror, fetcher: HttpsFetcher
) -> None:
    mirror.behaviour = "short"
    assert len(b"".join(fetcher.chunks(_release(mirror.server_port), 0))) == 1000


@pytest.mark.parametrize("behaviour", ["elsewhere", "gone"])
def test_a_mirror_that_has_it_not_or_sends_us_away(
    mirror: Mirror, fetcher: HttpsFetcher, behaviour: str
) -> None:
    mirror.behaviour = behaviour
    with pytest.raises(AbsentError, match="without redirection"):
        list(fetcher.chunks(_release(mirror.server_port), 0))
    assert len(mirror.asked) == 1


def test_nobody_there_or_nobody_we_know(mirror: Mirror, fetcher: HttpsFetcher) -> None:
    with pytest.raises(UnreachableError, match="the next check goes on"):
        list(fetcher.chunks(_release(free_port()), 0))
    # The system's authorities do not know ours.
    with pytest.raises(UnreachableError, match="certificate"):
        list(HttpsFetcher().chunks(_release(mirror.server_port), 0))


def test_without_encryption_nothing_is_fetched(fetcher: HttpsFetcher) -> None:
    release = dataclasses.replace(_release(1), mirror="http://127.0.0.1/")
    with pytest.raises(AbsentError, match="not an https mirror"):
        list(fetcher.chunks(release, 0))
