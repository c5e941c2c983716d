"""`voice-agent link`: the process on the network."""

from __future__ import annotations

import argparse
import fcntl
from pathlib import Path

HELP = "publish results and receive commands; the process on the network, which has no microphone"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments.

    Args:
        parser: The command's parser.
    """
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file")
    parser.add_argument("--state", type=Path, metavar="DIR", help="directory for what must last")
    parser.add_argument("--verbose", action="store_true", help="log every packet")


def main(args: argparse.Namespace) -> int:
    """Runs until SIGTERM or SIGINT.

    Args:
        args: The parsed arguments.

    Returns:
        The exit status.

    Raises:
        ConfigError: The configuration cannot be used, or another `link` has this state.
        MqttError: A certificate, a key or the host name cannot be used.
    """
    from agent import __version__
    from agent.channel import Client
    from agent.channel.handshake import allowed_uids
    from agent.config import load_config, read_password
    from agent.console import Console
    from agent.errors import ConfigError
    from agent.events import PROTOCOL, Hello, Ids
    from agent.interrupts import stopped_by_signals
    from agent.link import Link, Sink, state_payload
    from agent.log import start_logging
    from agent.mqtt.outbox import Outbox
    from agent.mqtt.topics import Topics
    from agent.paths import device_id, socket_path, state_directory, update_state

    start_logging("link", verbose=args.verbose)
    config = load_config(args.config)
    state = state_directory(args.state)
    boot_id = Ids().boot_id
    topics = Topics(prefix=config.mqtt.topic_prefix, device=device_id(config))

    with (state / "link.lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f"{state}: another `link` uses this state; stop it or give another --state."
            ) from error
        channel = Client(
            socket_path(config, state),
            hello=Hello(protocol=PROTOCOL, agent=__version__, boot_id=boot_id, role="link"),
            uids=allowed_uids(config.socket.allowed_users),
        )
        sink: Sink
        if config.mqtt.host:
            from agent.mqtt.connection import Connection

            sink = Connection(
                config.mqtt,
                topics,
                password=read_password(config.mqtt),
                last_will=state_payload("offline", boot_id, listening=False),
                on_activity=channel.wake,
            )
        else:
            sink = Console()
        watch = None
        if config.update.fleet and config.mqtt.host:
            from agent.update.watch import watch_updates

            watch = watch_updates(config, args.config, update_state(config, state))
        link = Link(
            channel=channel,
            outbox=Outbox(
                state / "outbox.sqlite",
                limit=config.outbox.max_results,
                memory_limit=config.outbox.memory_results,
            ),
            sink=sink,
            topics=topics,
            boot_id=boot_id,
            partials=config.mqtt.publish_partials,
            watch=watch,
        )
        with stopped_by_signals(link.stop):
            link.run()
    return 0
