"""TLS with a certificate authority of our own, against a real broker."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.config import Config, MqttConfig
from agent.mqtt.connection import Connection
from agent.mqtt.signals import Delivered
from agent.mqtt.topics import Topics
from tests.agent.mqtt.broker import MOSQUITTO, Broker, until


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def authority(folder: Path, name: str) -> None:
    openssl(
        folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
        "-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", f"{name}.key",
        "-out", f"{name}.pem",
    )  # fmt: skip


def certificate(folder: Path, name: str, signer: str, extension: str) -> None:
    (folder / f"{name}.ext").write_text(extension)
    openssl(
        folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr",
    )  # fmt: skip
    openssl(
        folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{signer}.pem", "-CAkey",
        f"{signer}.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext",
        "-out", f"{name}.pem",
    )  # fmt: skip


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None or MOSQUITTO is None:
        pytest.skip("openssl or mosquitto is not installed")
    folder = tmp_path_factory.mktemp("keys")
    authority(folder, "house")
    authority(folder, "stranger")
    certificate(folder, "broker", "house", "subjectAltName=IP:127.0.0.1")
    certificate(folder, "elsewhere", "house", "subjectAltName=DNS:elsewhere.example")
    certificate(folder, "kitchen", "house", "extendedKeyUsage=clientAuth")
    return folder


@pytest.fixture
def broker(tmp_path: Path, keys: Path, request: pytest.FixtureRequest) -> Iterator[Broker]:
    name = getattr(request, "param", "broker")
    broker = Broker(
        tmp_path,
        f"cafile {keys}/house.pem\ncertfile {keys}/{name}.pem\nkeyfile {keys}/{name}.key\n"
        "require_certificate true",
    )
    broker.start()
    yield broker
    broker.kill()


def connection(
    keys: Path, broker: Broker, *, ca: str = "house", own: str | None = "kitchen"
) -> Connection:
    config: MqttConfig = dataclasses.replace(
        Config().mqtt,
        host="127.0.0.1",
        port=broker.port,
        tls=True,
        ca_file=str(keys / f"{ca}.pem"),
        certificate_file=str(keys / f"{own}.pem") if own else "",
        key_file=str(keys / f"{own}.key") if own else "",
        reconnect_min_seconds=0.1,
        reconnect_max_seconds=0.5,
    )
    made = Connection(
        config,
        Topics(prefix="va", device="kitchen"),
        password=None,
        last_will=b"",
        on_activity=lambda: None,
    )
    made.start()
    return made


def test_results_travel_encrypted(keys: Path, broker: Broker) -> None:
    made = connection(keys, broker)
    until(lambda: made.poll() is not None and made.connected, "the connection")
    made.publish("final", b"x" * 60_000, key="f1")
    until(lambda: Delivered("f1") in made.poll(), "the delivery")
    made.close(None)


# paho leaves the socket of a failed handshake to the garbage collector, which complains.
leaves_sockets = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def refused(made: Connection, caplog: pytest.LogCaptureFixture) -> None:
    until(lambda: made.poll() == [] and "cannot be reached" in caplog.text, "the refusal")
    assert "certificate verify failed" in caplog.text
    assert not made.connected
    made.close(None)


@leaves_sockets
def test_a_broker_of_a_strange_authority_is_refused(
    keys: Path, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    refused(connection(keys, broker, ca="stranger"), caplog)


@leaves_sockets
@pytest.mark.parametrize("broker", ["elsewhere"], indirect=True)
def test_a_certificate_for_another_name_is_refused(
    keys: Path, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    refused(connection(keys, broker), caplog)


@leaves_sockets
def test_a_broker_that_wants_a_certificate_and_gets_none_is_named(
    keys: Path, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    made = connection(keys, broker, own=None)
    until(lambda: made.poll() == [] and "ends the connection at once" in caplog.text, "the line")
    assert not made.connected
    made.close(None)
