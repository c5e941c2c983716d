"""`voice-agent listen`: the process that hears."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "hear and recognise; the process with the microphone, which has no network"

_LINK_COMES_S = 3.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments.

    Args:
        parser: The command's parser.
    """
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file")
    parser.add_argument("--state", type=Path, metavar="DIR", help="directory of the socket")
    parser.add_argument(
        "--source",
        metavar="SOURCE",
        help="alsa:NAME, file:PATH, or - for raw 16-bit mono sound at 16 kHz on standard input",
    )
    parser.add_argument(
        "--fast", action="store_true", help="play a file as fast as it can be heard"
    )
    parser.add_argument("--verbose", action="store_true", help="log more")


def main(args: argparse.Namespace) -> int:
    """Runs until the source ends, or until SIGTERM or SIGINT.

    Args:
        args: The parsed arguments.

    Returns:
        The exit status.

    Raises:
        AudioError: A recording cannot be read.
        BundleError: The models cannot be used.
        ConfigError: The configuration cannot be used.
        SocketError: The socket cannot be made.
    """
    from agent import __version__
    from agent.bundle.manifest import Bundle, load_bundle
    from agent.channel import Server
    from agent.channel.handshake import allowed_uids
    from agent.config import load_config
    from agent.events import PROTOCOL, Command, Hello, Ids
    from agent.hearing.capture import Capture
    from agent.hearing.features import SAMPLE_RATE
    from agent.hearing.loading import factory_directory
    from agent.hearing.opening import open_source
    from agent.hearing.pipeline import Pipeline
    from agent.hearing.ring_buffer import RingReader, SampleRing
    from agent.hearing.sources import parse_source
    from agent.interrupts import stopped_by_signals
    from agent.listen import Listener
    from agent.log import start_logging
    from agent.paths import socket_path, state_directory, update_state
    from agent.service.notify import Notifier
    from agent.update.current import current_slot

    start_logging("listen", verbose=args.verbose)
    config = load_config(args.config)
    source = parse_source(args.source or config.audio.source)
    state = state_directory(args.state)
    ids = Ids()

    def build(bundle: Bundle) -> Pipeline:
        return Pipeline(bundle, config)

    current = overlaid = None
    if config.bundle.overlay:
        from agent.update.overlaid import Overlaid

        file = Path(config.bundle.overlay).expanduser()
        overlaid = Overlaid(file, state / "overlay", build)
        build = overlaid.build
    if config.update.fleet:
        # Where releases are installed, the record says which slot is used.
        current = current_slot(
            state=update_state(config, state),
            own_state=state,
            factory=factory_directory(config),
            build=build,
        )
        pipeline = current.load()
    else:
        pipeline = build(load_bundle(factory_directory(config)))
    ring = SampleRing(round(config.audio.ring_seconds * SAMPLE_RATE))
    reader = RingReader(ring)
    capture = Capture(
        lambda: open_source(source),
        ring,
        paced=not args.fast,
        reopen_seconds=(config.audio.reopen_min_seconds, config.audio.reopen_max_seconds),
        waiting=lambda: reader.waiting,
    )
    listener: Listener | None = None

    def obey(command: Command) -> None:
        if listener is not None:
            listener.command(command)

    server = Server(
        socket_path(config, state),
        hello=Hello(protocol=PROTOCOL, agent=__version__, boot_id=ids.boot_id, role="listen"),
        uids=allowed_uids(config.socket.allowed_users),
        on_command=obey,
    )
    notifier = Notifier()
    store = keeper = None
    if config.keep.near_misses or config.keep.false_accepts:
        from agent.hearing.keeper import Keeper
        from agent.hearing.sound_store import SoundStore

        folder = Path(config.keep.folder).expanduser() if config.keep.folder else state / "kept"
        store = SoundStore(
            folder, limit_bytes=config.keep.max_bytes, age_seconds=config.keep.max_age_seconds
        )
        keeper = Keeper(config.keep, ring, store)
    listener = Listener(
        config=config,
        pipeline=pipeline,
        capture=capture,
        reader=reader,
        server=server,
        ids=ids,
        notifier=notifier,
        current=current,
        overlaid=overlaid,
        keeper=keeper,
    )
    # From the moment others can see the socket, SIGTERM must not leave it behind.
    with stopped_by_signals(listener.stop):
        server.start()
        try:
            if source.kind == "file":
                # A recording begins when it is started, so whoever wants to see it comes first.
                server.wait_for_peer("link", _LINK_COMES_S)
            capture.start()
            notifier.ready("Listening.")
            listener.run()
        finally:
            server.close()
            notifier.close()
            if overlaid is not None:
                overlaid.close()
            if store is not None:
                store.close()
    return 0
