"""The connection, against a real mosquitto."""

from __future__ import annotations

import json
import logging
import socket
import time
from pathlib import Path

import pytest

from agent.errors import MqttError
from agent.mqtt.client import draw_pauses, tls_context
from agent.mqtt.connection import Connection
from agent.mqtt.signals import Connected, Delivered, Received, Rejected
from tests.agent.mqtt.broker import Broker, Subscriber, until
from tests.agent.mqtt.watched import GONE, TOPICS, Make, settings


def test_a_result_is_delivered_once_the_broker_has_it(
    broker: Broker, house: Subscriber, make: Make
) -> None:
    connection = make(broker.port)
    assert connection.room() == 0
    assert not connection.publish("final", b"early", key="early")
    until(connection.sees(Connected()))
    assert connection.room() == 8
    assert connection.publish("final", b"{}", key="f1")
    assert connection.under_way() == {"f1"}
    until(connection.sees(Delivered("f1")))
    assert connection.under_way() == set()
    until(lambda: house.on("va/dev/kitchen/event/final") == [b"{}"])
    assert ("va/dev/kitchen/event/final", b"early", False) not in house.messages


def test_commands_arrive_and_survive_a_broker_without_memory(tmp_path: Path, make: Make) -> None:
    folder = tmp_path / "forgetful"
    folder.mkdir()
    broker = Broker(folder, "")
    config = folder / "mosquitto.conf"
    config.write_text(config.read_text().replace("persistence true", "persistence false"))
    broker.start()
    try:
        connection = make(broker.port)
        until(connection.sees(Connected()))
        for round_ in (1, 2):
            teller = Subscriber(broker.port, "nothing")
            body = f"round {round_}".encode()
            heard = connection.sees(Received("va/dev/kitchen/cmd/ping", body, False))
            deadline = time.monotonic() + 30
            while not heard():
                assert time.monotonic() < deadline
                # Until the subscription is there, nobody hears the command.
                teller.client.publish("va/dev/kitchen/cmd/ping", body, qos=1)
                time.sleep(0.05)
            teller.close()
            if round_ == 1:
                broker.kill()
                until(lambda: connection.look() == [] and not connection.connected)
                broker.start()
                until(lambda: connection.look() is not None and connection.connected)
    finally:
        broker.kill()


def test_commands_given_while_we_were_away_arrive(broker: Broker, make: Make) -> None:
    first = make(broker.port)
    until(first.sees(Connected()))
    # The SUBSCRIBE travels before this; its confirmation says that the session holds it.
    assert first.publish("reply", b"{}")
    until(lambda: first.look() is not None and not first._client._out_messages)
    first.close(None)
    teller = Subscriber(broker.port, "nothing")
    teller.client.publish("va/dev/kitchen/cmd/ping", b"x", qos=1).wait_for_publish(30)
    teller.close()
    second = make(broker.port)
    until(second.sees(Received("va/dev/kitchen/cmd/ping", b"x", False)))


def test_results_sent_into_a_dying_broker_arrive_when_it_is_back(
    broker: Broker, house: Subscriber, make: Make
) -> None:
    connection = make(broker.port)
    until(connection.sees(Connected()))
    broker.kill()
    # We may not have noticed yet; whatever was accepted must be confirmed in the end.
    accepted = [f"f{n}" for n in range(3) if connection.publish("final", b"%d" % n, key=f"f{n}")]
    until(lambda: connection.look() == [] and not connection.connected)
    assert connection.room() == 0
    broker.start()
    until(connection.sees(*(Delivered(key) for key in accepted)))
    until(lambda: len(set(house.on("final"))) == len(accepted))


def test_the_retained_state_says_offline_after_a_crash_and_after_a_farewell(
    broker: Broker, make: Make
) -> None:
    connection = make(broker.port)
    until(connection.sees(Connected()))
    connection.publish("state", b"online")
    watcher = Subscriber(broker.port, "va/dev/kitchen/state")
    until(lambda: b"online" in watcher.on("state"))
    # The network is cut: the broker publishes the last will.
    connection._client._sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
    until(lambda: watcher.on("state")[-1] == GONE)
    until(lambda: connection.look() is not None and connection.connected)
    connection.publish("state", b"online again")
    until(lambda: watcher.on("state")[-1] == b"online again")
    connection.close(b"goodbye")
    until(lambda: watcher.on("state")[-1] == b"goodbye")
    watcher.close()


def test_a_broker_that_refuses_a_result_says_why(tmp_path: Path, make: Make) -> None:
    folder = tmp_path / "strict"
    folder.mkdir()
    (folder / "acl").write_text("topic read #\ntopic write va/dev/kitchen/state\n")
    (folder / "acl").chmod(0o700)
    broker = Broker(folder, f"acl_file {folder}/acl")
    broker.start()
    try:
        connection = make(broker.port)
        until(connection.sees(Connected()))
        connection.publish("final", b"{}", key="f1")
        until(lambda: any(isinstance(signal, Rejected) for signal in connection.look()))
        assert connection.under_way() == set()
    finally:
        broker.kill()


def test_wrong_password_is_said_once_and_tried_on(
    tmp_path: Path, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    (folder / "passwords").write_text("")
    (folder / "passwords").chmod(0o700)
    broker = Broker(folder, f"password_file {folder}/passwords")
    text = (folder / "mosquitto.conf").read_text().replace("allow_anonymous true", "")
    (folder / "mosquitto.conf").write_text(text)
    broker.start()
    try:
        connection = make(broker.port, username="kitchen")
        until(lambda: connection.look() == [] and "refuses the connection" in caplog.text)
        deadline = time.monotonic() + 1.5
        while time.monotonic() < deadline:
            connection.look()
            time.sleep(0.05)
        assert caplog.text.count("refuses the connection") == 1
        assert not connection.connected
    finally:
        broker.kill()


def test_two_devices_of_one_name_are_told_and_back_off(
    broker: Broker, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    first = make(broker.port)
    until(first.sees(Connected()))
    second = make(broker.port)
    until(second.sees(Connected()))
    before = first._client._reconnect_min_delay

    def told() -> bool:
        first.look()
        second.look()
        return "give each device its own device.id" in caplog.text

    until(told)
    assert max(c._client._reconnect_min_delay for c in (first, second)) > before


def test_a_message_beyond_the_brokers_limit_is_not_sent(tmp_path: Path, make: Make) -> None:
    folder = tmp_path / "narrow"
    folder.mkdir()
    broker = Broker(folder, "max_packet_size 1000")
    broker.start()
    try:
        connection = make(broker.port)
        until(connection.sees(Connected()))
        assert not connection.publish("final", bytes(2000), key="f1")
        assert connection.under_way() == set()
        assert connection.publish("final", bytes(500), key="f2")
        until(connection.sees(Delivered("f2")))
    finally:
        broker.kill()


def test_a_dead_network_thread_is_replaced(
    broker: Broker, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    connection = make(broker.port)
    until(connection.sees(Connected()))
    old = connection._client
    old.disconnect()
    old.loop_stop()
    connection.seen.clear()
    until(connection.sees(Connected()))
    assert connection._client is not old
    assert "the network thread has died" in caplog.text
    connection.publish("final", b"{}", key="f1")
    until(connection.sees(Delivered("f1")))


def test_pauses_are_within_bounds_and_differ_between_boards() -> None:
    config = settings(1883, reconnect_min_seconds=1.0, reconnect_max_seconds=60.0)
    pauses = [draw_pauses(config) for _ in range(50)]
    assert all(1.0 <= first <= 2.0 and 30.0 <= longest <= 60.0 for first, longest in pauses)
    assert len(set(pauses)) > 10


def test_names_and_certificates_are_checked_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(MqttError, match=r"mqtt\.host"):
        Connection(
            settings(1, host="x" * 70),
            TOPICS,
            password=None,
            last_will=b"",
            on_activity=lambda: None,
        )
    for key, changes in (
        ("ca_file", {"ca_file": "nothing.pem"}),
        ("certificate_file", {"certificate_file": "nothing.pem", "key_file": "nothing.key"}),
    ):
        with pytest.raises(MqttError, match=rf"mqtt\.{key}: the certificate cannot be used"):
            tls_context(settings(1, tls=True, **changes))
    broken = tmp_path / "ca.pem"
    broken.write_text("no certificate")
    with pytest.raises(MqttError, match=r"mqtt\.ca_file"):
        tls_context(settings(1, tls=True, ca_file=str(broken)))
    assert tls_context(settings(1)) is None


def test_payloads_never_reach_the_log(
    broker: Broker, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    connection = make(broker.port)
    until(connection.sees(Connected()))
    connection.publish("final", json.dumps({"text": "very private"}).encode(), key="f1")
    until(connection.sees(Delivered("f1")))
    assert "very private" not in caplog.text
