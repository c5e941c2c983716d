from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

import pytest

from converters.updates.broker import BrokerSession
from converters.updates.errors import BrokerError, RepositoryFolderError
from converters.updates.publisher import push
from tests.agent.mqtt.broker import Broker, Subscriber, free_port, until
from tests.system.updates.world import FLEET, Operator, World


def kept(world: World) -> dict[str, bytes]:
    """Everything that the broker keeps for the fleet."""
    with BrokerSession(world.config, None) as session:
        messages = session.kept([world.topics.everything], world.topics.end)
        return {topic: body for topic, body in messages if body}


def test_the_broker_gets_what_the_folder_says(world: World) -> None:
    world.operator.add(1)
    world.operator.add(2)
    done = world.operator.push()
    there = kept(world)
    assert (done.sent, done.kept, done.removed) == (len(there), 0, 0)
    assert done.sent_bytes == sum(map(len, there.values()))
    for name, content in world.operator.metadata().items():
        assert there[world.topics.metadata(name)] == content
    # Parts are whole files again when they are put end to end.
    board = world.board()
    for number, form in ((1, "full"), (2, "full"), (2, "diff")):
        received = board.install(number, form)
        assert received in [
            path.read_bytes()
            for path in (world.operator.repository.folder / "targets").rglob("*.*")
        ]


def test_a_second_push_sends_nothing(world: World) -> None:
    world.operator.publish(1)
    again = world.operator.push()
    assert (again.sent, again.removed) == (0, 0)
    assert again.kept == len(kept(world))


def test_what_nobody_refers_to_any_more_is_removed(world: World) -> None:
    for number in (1, 2, 3):
        world.operator.publish(number)
    topics = kept(world)
    assert not [topic for topic in topics if ".1.tar.xz/" in topic]
    assert [topic for topic in topics if ".2.tar.xz/" in topic]
    assert world.board().releases() == [3, 2]


def test_boards_that_read_meanwhile_never_see_a_gap(world: World) -> None:
    """Parts first, then what refers to them, the timestamp last; removals after that."""
    world.operator.publish(1)
    seen = Subscriber(world.broker.port, world.topics.everything)
    try:
        until(lambda: len(seen.messages) >= len(kept(world)), "the retained messages")
        # The end marker of the listing above is no part of the repository.
        end = world.topics.end
        seen.messages.clear()
        world.operator.add(2)
        world.operator.add(3)
        world.operator.push()
        last = world.topics.metadata("timestamp.json")
        until(lambda: any(topic == last for topic, _, _ in seen.messages), "the timestamp")
        until(lambda: not [m for m in kept(world) if ".1.tar.xz/" in m], "the removal")
        order = [(topic, bool(body)) for topic, body, _ in seen.messages if topic != end]
        place = order.index((last, True))
        assert all(full for _, full in order[:place])
        assert not any(full for _, full in order[place + 1 :])
        chunks = [n for n, (topic, full) in enumerate(order) if full and "/t/" in topic]
        tables = [n for n, (topic, full) in enumerate(order) if full and "/tuf/" in topic]
        assert max(chunks) < min(tables)
    finally:
        seen.close()


def test_a_broker_that_lost_its_memory_gets_everything_again(tmp_path: Path) -> None:
    first = Broker(tmp_path / "one")
    first.start()
    operator = Operator(
        tmp_path / "operator", dataclasses.replace(World(tmp_path / "w", first).config)
    )
    operator.publish(1)
    first.kill()
    second = Broker(tmp_path / "two", port=first.port)
    second.start()
    try:
        done = operator.push()
        assert done.kept == 0
        assert done.sent >= 5
    finally:
        second.kill()


def test_killed_in_the_middle(world: World) -> None:
    """A named error; the next push finishes the work, and boards never noticed."""
    world.operator.publish(1)
    world.operator.add(2)
    counted = 0

    def progress(topic: str) -> None:
        nonlocal counted
        counted += 1
        if counted == 2:
            world.broker.kill()

    with pytest.raises(BrokerError, match=r"has gone|does not confirm"):
        push(world.operator.repository, world.config, fleet=FLEET, password=None, progress=progress)
    world.broker.start()
    # What the first push sent a moment before may not be on the broker's disk yet.
    assert set(world.board().releases()) <= {1, 2}
    world.operator.push()
    assert world.board().releases() == [2, 1]


def test_an_image_on_a_mirror_is_not_on_the_broker(world: World) -> None:
    world.operator.publish(1, mirror="https://models.example/")
    world.operator.publish(2, mirror="https://models.example/")
    names = [topic for topic in kept(world) if "/t/" in topic]
    assert names
    assert all(".2-from-1.diff/" in topic for topic in names)


def test_a_lost_file_of_the_repository(world: World) -> None:
    world.operator.add(1)
    for path in (world.operator.repository.folder / "targets").rglob("*.xz"):
        path.unlink()
    with pytest.raises(RepositoryFolderError, match="restore the repository's folder"):
        world.operator.push()
    # Nothing that refers to it was sent.
    assert kept(world) == {}


def test_nobody_answers(operator: Operator) -> None:
    config = dataclasses.replace(operator.config, host="127.0.0.1", port=free_port())
    with pytest.raises(BrokerError, match="cannot be reached"):
        push(operator.repository, config, fleet=FLEET, password=None)
    with pytest.raises(BrokerError, match=r"mqtt\.host is empty"):
        push(operator.repository, operator.config, fleet=FLEET, password=None)


def test_refused(tmp_path: Path, operator: Operator) -> None:
    broker = Broker(tmp_path / "closed", settings="allow_anonymous false")
    broker._file.write_text(broker._file.read_text().replace("allow_anonymous true\n", ""))
    broker.start()
    config = dataclasses.replace(operator.config, host="127.0.0.1", port=broker.port)
    try:
        with pytest.raises(BrokerError, match="refuses us"):
            push(operator.repository, config, fleet=FLEET, password=None)
    finally:
        broker.kill()
    assert threading.active_count() < 20
