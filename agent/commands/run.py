"""`voice-agent run`: both processes at once, and a view of what happens."""

from __future__ import annotations

import argparse
import io
import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.channel import Client
    from agent.screen import Screen
    from agent.supervisor import Child, Supervisor

HELP = "start listen and link together and show live what happens"

_TURN_S = 0.05
_LAST_EVENTS_S = 2.0


class _LogStream(io.TextIOBase):
    """Log lines of this process go where those of the children go."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def write(self, text: str) -> int:
        self._screen.log(text.rstrip("\n"))
        return len(text)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments.

    Args:
        parser: The command's parser.
    """
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file")
    parser.add_argument("--state", type=Path, metavar="DIR", help="directory for what must last")
    parser.add_argument(
        "--source",
        metavar="SOURCE",
        help="alsa:NAME, file:PATH or -; by default what the configuration file says, and without"
        " such a file the recording that ships",
    )


def main(args: argparse.Namespace) -> int:
    """Runs until a file source ends, or until SIGTERM or SIGINT.

    Args:
        args: The parsed arguments.

    Returns:
        The exit status: 0 if the end was wanted, otherwise that of the process that failed.

    Raises:
        ConfigError: The configuration cannot be used.
    """
    from agent import __version__
    from agent.channel import Client
    from agent.channel.handshake import allowed_uids
    from agent.config import load_config
    from agent.events import PROTOCOL, Hello, Ids
    from agent.log import start_logging
    from agent.paths import socket_path, state_directory
    from agent.screen import open_screen
    from agent.supervisor import Supervisor

    config = load_config(args.config)
    state = state_directory(args.state)
    source, origin = _choose_source(args, config.audio.source)
    observer = Client(
        socket_path(config, state),
        hello=Hello(protocol=PROTOCOL, agent=__version__, boot_id=Ids().boot_id, role="observer"),
        uids=allowed_uids(config.socket.allowed_users),
    )
    screen = open_screen(f"voice-agent: {origin}")
    # That the view waits for `listen` is no news to whoever has just started both.
    logging.getLogger("agent.channel.client").setLevel(logging.WARNING)
    start_logging("run", stream=_LogStream(screen) if screen.captures_logs else None)
    supervisor = Supervisor(_children(args, state, source), capture=screen.captures_logs)
    try:
        return _watch(supervisor, observer, screen)
    finally:
        screen.close()
        observer.close()


def _watch(supervisor: Supervisor, observer: Client, screen: Screen) -> int:
    from agent.interrupts import stopped_by_signals

    stopping = False

    def stop() -> None:
        nonlocal stopping
        stopping = True
        observer.wake()

    def turn() -> None:
        for event in observer.poll(_TURN_S):
            screen.show(event)
        screen.hearing(observer.server is not None)
        for line in supervisor.lines():
            screen.log(line)

    ended = None
    with stopped_by_signals(stop):
        try:
            supervisor.start()
            while not stopping and ended is None:
                turn()
                ended = supervisor.turn()
            # What `listen` said last is still on its way.
            deadline = time.monotonic() + _LAST_EVENTS_S
            while ended and observer.server is not None and time.monotonic() < deadline:
                turn()
        finally:
            supervisor.stop()
            for line in supervisor.lines():
                screen.log(line)
    if ended is None:
        return 0
    return ended.status if ended.status is not None and ended.status >= 0 else 1


def _choose_source(args: argparse.Namespace, configured: str) -> tuple[str, str]:
    """The source and how to call it on the screen."""
    from agent.config import find_config

    if args.source:
        return args.source, args.source
    if find_config(args.config) is not None:
        return configured, configured
    from firmware_models import factory_bundle

    demo = factory_bundle() / "demo.flac"
    return f"file:{demo}", "the recording that ships; a microphone: --source alsa:default"


def _children(args: argparse.Namespace, state: Path, source: str) -> list[Child]:
    from agent.supervisor import Child

    def command(name: str, *more: str) -> list[str]:
        config = ["--config", str(args.config)] if args.config else []
        return [sys.executable, "-m", "agent.cli", name, *config, "--state", str(state), *more]

    from_file = source.startswith("file:")
    return [
        Child(
            "listen",
            command("listen", "--source", source),
            # The same file would fail in the same way.
            restart_on_error=not from_file,
            keeps_stdin=source == "-",
        ),
        Child("link", command("link")),
    ]
