"""The promise of the two processes: who hears has no network, who is on the network cannot hear."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from agent.channel import Client
from agent.channel.handshake import allowed_uids
from agent.events import Ack, Event, Final
from tests.agent.channel.samples import hello
from tests.agent.mqtt.broker import until
from tests.system.stack import Heard, Stack

# urllib.parse is in every Python 3.11 process, because pathlib needs it; it only takes text apart.
NETWORK = {"paho", "ssl", "_ssl", "http", "urllib.request", "tuf", "socketserver", "asyncio"}
SOUND = {
    "agent.hearing",
    "agent.bundle",
    "agent.listen",
    "alsaaudio",
    "soundfile",
    "soxr",
    "numpy",
    "ai_edge_litert",
    "tflite_runtime",
}


def loaded(file: Path, names: set[str]) -> set[str]:
    modules = file.read_text().split()
    assert "agent.cli" in modules
    return {
        name
        for name in names
        if any(module == name or module.startswith(f"{name}.") for module in modules)
    }


def empty_network() -> list[str]:
    prefix = ["unshare", "--net"]
    try:
        subprocess.run([*prefix, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"an empty network namespace cannot be made here: {error}")
    return prefix


def test_listen_recognises_in_an_empty_network_namespace(stack: Stack) -> None:
    prefix = empty_network()
    modules = stack.folder / "modules"
    listen = stack.start(
        "listen",
        "--fast",
        "--source",
        f"file:{stack.voice.recording}",
        modules=modules,
        prefix=prefix,
        stdin=subprocess.DEVNULL,
    )
    # The socket is a file, so a peer outside of the namespace can be on it.
    peer = Client(stack.state / "listen.sock", hello=hello("link"), uids=allowed_uids(()))
    events: list[Event] = []

    def everything() -> bool:
        events.extend(peer.poll(0.1))
        finals = [event for event in events if isinstance(event, Final)]
        for final in finals:
            peer.send(Ack(ids=(final.id,)))
        return len(finals) == len(stack.voice.texts)

    until(everything, "the results")
    assert listen.wait() == 0, listen.log
    peer.close()
    finals = [event for event in events if isinstance(event, Final)]
    assert [final.text for final in finals] == stack.voice.texts
    assert loaded(modules, NETWORK) == set()
    assert loaded(modules, {"agent.mqtt", "agent.link"}) == set()


def test_link_never_loads_what_hears(tone_stack: Stack, heard: Heard) -> None:
    modules = tone_stack.folder / "modules"
    link, listen = tone_stack.link(modules=modules), tone_stack.listen()
    until(heard.online, "the start")
    listen.say(tone_stack.voice.sound)
    heard.once(1)
    assert link.terminate() == 0, link.log
    assert loaded(modules, SOUND) == set()
    assert loaded(modules, {"paho"}) == {"paho"}
