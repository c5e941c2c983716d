"""From sound to a message, while each part in turn is killed with kill -9."""

from __future__ import annotations

import json
import re
import subprocess

from tests.agent.mqtt.broker import Broker, free_port, until
from tests.system.stack import Heard, Process, Stack


def found(listen: Process, count: int) -> None:
    """Waits until `listen` has so many results, whoever has heard of them."""
    until(lambda: sum("Result at" in line for line in listen.log) == count, f"result {count}")


def test_a_recording_becomes_a_message(stack: Stack, heard: Heard) -> None:
    link = stack.link()
    until(heard.states, "the state of link")
    listen = stack.start("listen", "--fast", "--source", f"file:{stack.voice.recording}")
    assert listen.wait() == 0, listen.log
    heard.once(len(stack.voice.texts))
    assert heard.texts() == stack.voice.texts

    final = heard.finals()[0]
    assert final["schema"] == 1
    assert re.fullmatch(r"[0-9a-f]{16}-\d+", final["id"])
    assert final["wake"]["score"] > 0
    assert final["nbest"][0]["text"] == final["text"]
    until(lambda: len(heard.subscriber.on("event/wake")) == len(stack.voice.texts))
    until(lambda: heard.subscriber.on("event/partial"))

    assert link.terminate() == 0
    until(lambda: heard.states()[-1]["state"] == "offline", "the farewell")


def test_whoever_is_killed_everything_arrives_once(
    stack: Stack, heard: Heard, broker: Broker
) -> None:
    each = len(stack.voice.texts)
    listen, link = stack.listen(), stack.link()
    until(heard.online, "the start")
    listen.say(stack.voice.sound)
    heard.once(each)

    link.kill()
    listen.say(stack.voice.sound)
    found(listen, 2 * each)
    stack.link()
    heard.once(2 * each)

    broker.kill()
    listen.say(stack.voice.sound)
    found(listen, 3 * each)
    broker.start()
    heard.once(3 * each)

    listen.kill()
    until(lambda: heard.states()[-1]["listening"] is False, "the state without listen")
    listen = stack.listen()
    until(heard.online, "the new listen")
    listen.say(stack.voice.sound)
    heard.once(4 * each)


def test_killed_in_the_very_moment_of_delivery(
    tone_stack: Stack, heard: Heard, broker: Broker
) -> None:
    """Nobody has noted anything yet: a result may come again, the same, and none is missing."""
    listen, link = tone_stack.listen(), tone_stack.link()
    until(heard.online, "the start")
    listen.say(tone_stack.voice.sound)
    until(heard.finals, "result 1")
    link.kill()
    tone_stack.link()
    heard.each(1)

    listen.say(tone_stack.voice.sound)
    until(lambda: len({final["id"] for final in heard.finals()}) == 2, "result 2")
    broker.kill()
    listen.say(tone_stack.voice.sound)
    found(listen, 3)
    broker.start()
    heard.each(3)


def test_link_and_broker_killed_together_with_results_under_way(
    tone_stack: Stack, heard: Heard, broker: Broker
) -> None:
    listen, link = tone_stack.listen(), tone_stack.link()
    until(heard.online, "the start")
    broker.kill()
    for count in range(1, 4):
        listen.say(tone_stack.voice.sound)
        found(listen, count)
    # On disk now, or still with listen; in both cases safe.
    link.kill()
    listen.say(tone_stack.voice.sound)
    found(listen, 4)
    tone_stack.link()
    broker.start()
    heard.once(4)
    assert heard.texts() == tone_stack.voice.texts * 4


def test_results_survive_listen_once_link_has_them(
    tone_stack: Stack, heard: Heard, broker: Broker
) -> None:
    listen, link = tone_stack.listen(), tone_stack.link()
    until(heard.online, "the start")
    broker.kill()
    listen.say(tone_stack.voice.sound)
    listen.end_of_input()
    # It ends when link has acknowledged, which link does when the disk has it.
    assert listen.wait() == 0, listen.log
    assert not listen.logged("not taken")
    link.kill()
    broker.start()
    tone_stack.link()
    heard.once(1)


def test_a_broker_that_comes_late(tone_stack: Stack) -> None:
    """Nothing is lost, and hearing does not wait, while nobody answers at the broker's address."""
    port = free_port()
    text = tone_stack.config.read_text()
    lines = [
        f"port = {port}" if line.strip().startswith("port") else line for line in text.split("\n")
    ]
    tone_stack.config.write_text("\n".join(lines))
    link, listen = tone_stack.link(), tone_stack.listen()
    listen.say(tone_stack.voice.sound)
    listen.end_of_input()
    assert listen.wait() == 0, listen.log
    until(lambda: link.logged("cannot be reached"), "the line about the broker")
    late = Broker(tone_stack.folder / "late", port=port)
    late.start()
    heard = Heard(late)
    try:
        link.kill()
        tone_stack.link()
        heard.once(1)
    finally:
        heard.close()
        late.kill()


def test_without_broker_results_go_to_standard_output(tone_stack: Stack) -> None:
    text = tone_stack.config.read_text().replace('host = "127.0.0.1"', "")
    tone_stack.config.write_text(text)
    link = tone_stack.link(stdout=subprocess.PIPE)
    listen = tone_stack.listen()
    listen.say(tone_stack.voice.sound)
    listen.end_of_input()
    assert listen.wait() == 0, listen.log
    assert link.terminate() == 0
    assert link.process.stdout is not None
    assert [json.loads(line)["text"] for line in link.process.stdout] == tone_stack.voice.texts
    assert sum("No broker is configured" in line for line in link.log) == 1
