"""`voice-agent config`: check the configuration, show what holds, or print the defaults."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.config import Config

HELP = "check the configuration file, show what holds, or print all keys with their defaults"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments.

    Args:
        parser: The command's parser.
    """
    parser.add_argument(
        "action",
        choices=("check", "show", "default"),
        help="check: is everything usable; show: what holds; default: a file to start from",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file")


def main(args: argparse.Namespace) -> int:
    """Prints the answer.

    Args:
        args: The parsed arguments.

    Returns:
        The exit status.

    Raises:
        ConfigError: The configuration cannot be used.
        MqttError: A certificate, a key or the host name cannot be used.
    """
    from agent.config import Config, find_config, load_config
    from agent.config_file import as_toml

    if args.action == "default":
        print(as_toml(Config(), commented=True), end="")
        return 0
    config = load_config(args.config)
    if args.action == "show":
        print(as_toml(config, commented=False), end="")
        return 0
    _check(config)
    path = find_config(args.config)
    print(f"{path}: ok" if path else "There is no configuration file; the defaults hold.")
    return 0


def _check(config: object) -> None:
    """What the file's types and ranges cannot say: names that exist, files that can be read."""
    from agent.channel.handshake import allowed_uids
    from agent.config import Config, read_password
    from agent.mqtt.client import check_host, tls_context
    from agent.mqtt.topics import Topics
    from agent.paths import device_id

    assert isinstance(config, Config)
    Topics(prefix=config.mqtt.topic_prefix, device=device_id(config))
    allowed_uids(config.socket.allowed_users)
    if config.mqtt.host:
        check_host(config.mqtt.host)
        tls_context(config.mqtt)
        read_password(config.mqtt)
    if config.update.fleet:
        _check_updates(config)
    if config.bundle.overlay:
        _check_overlay(config)


def _check_updates(config: Config) -> None:
    from agent.errors import ConfigError, MetadataError
    from agent.mqtt.topics import FleetTopics
    from agent.update.release import role_name
    from agent.update.root_file import read_root

    if not config.mqtt.host:
        raise ConfigError("update.fleet is set and mqtt.host is not: there is nobody to ask.")
    FleetTopics(prefix=config.mqtt.topic_prefix, fleet=config.update.fleet)
    try:
        role_name("any", config.update.hardware)
    except MetadataError as error:
        raise ConfigError(f"update.hardware: {error}") from error
    read_root(config)


def _check_overlay(config: Config) -> None:
    from pathlib import Path

    from agent.bundle.manifest import load_bundle
    from agent.errors import BundleError, ConfigError, DiffError
    from agent.hearing.loading import factory_directory
    from agent.update.overlay_format import check_fit, read_overlay

    try:
        content = read_overlay(Path(config.bundle.overlay).expanduser())
        check_fit(content, load_bundle(factory_directory(config)).manifest)
    except (BundleError, DiffError) as error:
        raise ConfigError(f"bundle.overlay: {error}") from error
