"""Full images on a web server of one's own, straight from the repository's folder."""

from __future__ import annotations

import datetime as dt
import functools
import http.server
import io
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.errors import UnreachableError
from agent.update.full_image import unpack_image
from agent.update.https_fetcher import HttpsFetcher
from agent.update.trust import Trust
from tests.agent.update.handmade import read_files
from tests.system.updates.world import World


def _certificate(folder: Path) -> Path:
    """A certificate for localhost that signs itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


class Mirror:
    """Serves a folder over https on a free port."""

    def __init__(self, folder: Path, certificate: Path) -> None:
        handler = functools.partial(_Quiet, directory=str(folder))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.trust = ssl.create_default_context(cafile=str(certificate))

    @property
    def url(self) -> str:
        return f"https://localhost:{self._server.server_address[1]}/"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def mirror(world: World, tmp_path: Path) -> Iterator[Mirror]:
    mirror = Mirror(world.operator.repository.folder / "targets", _certificate(tmp_path))
    yield mirror
    mirror.close()


def _trust(world: World, mirror: Mirror | None, trust: Trust) -> Trust:
    trust._https = HttpsFetcher(mirror.trust if mirror else None)
    return trust


def test_the_image_comes_from_the_mirror_and_the_diff_from_the_broker(
    world: World, mirror: Mirror, tmp_path: Path
) -> None:
    for number in (1, 2):
        world.operator.add(number, mirror=mirror.url)
    world.operator.push()
    board = world.board()
    with board.trust() as trust:
        offers = {r.format: r for r in _trust(world, mirror, trust).refresh() if r.release == 2}
        assert offers["full"].mirror == mirror.url
        assert offers["diff"].mirror == ""
        with trust.open_target(offers["full"], board.downloads) as stream:
            image = stream.read()
        with trust.open_target(offers["diff"], board.downloads) as stream:
            assert stream.read(4) == b"VDIF"
    (tmp_path / "image").mkdir()
    unpack_image(io.BytesIO(image), tmp_path / "image")
    assert read_files(tmp_path / "image") == read_files(world.operator.folder / "bundles" / "toy-2")


def test_a_mirror_that_nobody_vouches_for(world: World, mirror: Mirror) -> None:
    """The certificate is checked like that of any web server."""
    world.operator.publish(1, mirror=mirror.url)
    board = world.board()
    with board.trust() as trust:
        (offer,) = _trust(world, None, trust).refresh()
        with pytest.raises(UnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
            trust.open_target(offer, board.downloads)
