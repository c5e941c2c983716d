"""Bad peers, bad brokers, bad disks: nothing that was recognised is lost."""

from __future__ import annotations

import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.mqtt.broker import Broker, until
from tests.agent.mqtt.hostile import HostileBroker, length
from tests.system.stack import Heard, Stack, Voice


def test_peers_that_talk_nonsense_do_not_disturb(tone_stack: Stack, heard: Heard) -> None:
    listen = tone_stack.listen()
    tone_stack.link()
    until(heard.online, "the start")
    rss = listen.rss_bytes()
    for data in (
        struct.pack(">I", 1_000_000_000) + bytes(100_000),
        b"\x00\x00\x00\x05hello",
        b"GET / HTTP/1.1\r\nHost: kitchen\r\n\r\n",
        bytes(1_000_000),
    ):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.settimeout(30)
            peer.connect(str(tone_stack.state / "listen.sock"))
            try:
                peer.sendall(data)
                while peer.recv(65536):
                    pass
            except (BrokenPipeError, ConnectionResetError):
                continue
    until(lambda: sum("is disconnected" in line for line in listen.log) == 4, "four log lines")
    assert listen.logged("MessageTooLargeError: A message of 1000000000 bytes was announced")
    assert listen.logged("MalformedMessageError")
    assert listen.rss_bytes() - rss < 10 << 20
    listen.say(tone_stack.voice.sound)
    heard.once(1)


def test_a_broker_that_announces_200_mib(tone_stack: Stack, broker: Broker) -> None:
    mebibyte = bytes(1 << 20)
    more = threading.Event()

    def flood(connection: socket.socket) -> None:
        connection.sendall(b"\x30" + length(200 << 20))
        for _ in range(200):
            connection.sendall(mebibyte)
        more.wait(30)

    hostile = HostileBroker(flood)
    good = tone_stack.config.read_text()
    tone_stack.config.write_text(good.replace(str(broker.port), str(hostile.port)))
    link, listen = tone_stack.link(), tone_stack.listen()
    try:
        until(lambda: link.logged("connected as") or hostile.connections >= 1, "a connection")
        rss = link.rss_bytes()
        until(lambda: hostile.connections >= 3, "three attempts")
        assert link.rss_bytes() - rss < 20 << 20
        assert link.logged("announced a packet of 209715200 bytes")
        listen.say(tone_stack.voice.sound)
        listen.end_of_input()
        assert listen.wait() == 0, listen.log
    finally:
        more.set()
        hostile.close()
    link.terminate()
    # Back home: what was recognised meanwhile arrives.
    tone_stack.config.write_text(good)
    heard = Heard(broker)
    try:
        tone_stack.link()
        heard.once(1)
    finally:
        heard.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    done = subprocess.run(mount, check=False, capture_output=True)
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted: {done.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_under_the_outbox(
    tmp_path: Path, tone_voice: Voice, broker: Broker, heard: Heard, small_disk: Path
) -> None:
    stack = Stack(tmp_path, tone_voice, broker.port, state=small_disk)
    try:
        listen, link = stack.listen(), stack.link()
        until(heard.online, "the start")
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
        # The broker is there: results arrive, disk or not.
        listen.say(stack.voice.sound)
        heard.once(1)
        until(lambda: link.logged("OutboxError"), "the named error")
        # Now neither disk nor broker: listen and link keep them in memory.
        broker.kill()
        for _ in range(3):
            listen.say(stack.voice.sound)
        until(lambda: sum("Result at" in line for line in listen.log) == 4, "the results")
        filler.unlink()
        until(lambda: link.logged("stored on disk again"), "the recovery")
        link.kill()
        broker.start()
        stack.link()
        heard.once(4)
    finally:
        stack.close()


def test_a_damaged_outbox_is_replaced(tone_stack: Stack, heard: Heard) -> None:
    tone_stack.state.mkdir()
    (tone_stack.state / "outbox.sqlite").write_bytes(b"\xa5" * 20000)
    link, listen = tone_stack.link(), tone_stack.listen()
    until(heard.online, "the start")
    listen.say(tone_stack.voice.sound)
    heard.once(1)
    assert link.logged("OutboxError")
    assert (tone_stack.state / "outbox.sqlite.damaged").read_bytes() == b"\xa5" * 20000


@pytest.mark.parametrize("name", ["listen", "link"])
def test_a_second_one_on_the_same_state_is_refused(
    tone_stack: Stack, heard: Heard, name: str
) -> None:
    tone_stack.link()
    tone_stack.listen()
    until(heard.online, "the start")
    second = tone_stack.start(name, *(["--source", "-"] if name == "listen" else []))
    assert second.wait() in (1, 2)
    assert second.logged("error: ")
    assert second.logged("another")
    assert not second.logged("Traceback")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("[mqtt]\nhots = 'x'", "did you mean mqtt.host"),
        ("[mqtt]\nport = 'x'", "must be a whole number"),
        ("[mqtt]\nhost = 'x'\ntls = true\nca_file = '/nothing'", "mqtt.ca_file"),
        ("[mqtt]\nhost = 'x'\npassword_file = '/nothing'", "mqtt.password_file"),
        ("[device]\nid = 'a/b'", "device.id"),
        ("[socket]\nallowed_users = ['nobody-here']", "socket.allowed_users"),
    ],
)
def test_a_wrong_configuration_ends_link_with_one_sentence(
    tone_stack: Stack, line: str, words: str
) -> None:
    tone_stack.config.write_text(line)
    link = tone_stack.link()
    assert link.wait() in (1, 2)
    (error,) = [line for line in link.log if line.startswith("error: ")]
    assert words in error
    assert not link.logged("Traceback")
