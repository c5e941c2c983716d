"""The one TOML file and all defaults.

The first file found is the only one read:

1. `--config FILE`
2. `$XDG_CONFIG_HOME/voice-agent/config.toml` (`~/.config/voice-agent/config.toml`)
3. `/etc/voice-agent/config.toml`

Without any, the defaults below hold, and they need no file: the microphone is ALSA's default, the
models are the ones that ship, no broker is contacted. Every key has its unit in its name. Secrets
are never in this file: `mqtt.password_file` names one, or `VOICE_AGENT_MQTT_PASSWORD` holds it.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import tomllib
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.errors import ConfigError
from agent.records import RecordError, read_record

_LARGEST_FILE = 256 * 1024  # bytes
_LARGEST_SECRET = 4 * 1024  # bytes
PASSWORD_VARIABLE = "VOICE_AGENT_MQTT_PASSWORD"  # noqa: S105 - a name, not a password


def _setting(
    default: Any, meaning: str, minimum: float | None = None, maximum: float | None = None
) -> Any:
    """A key with its default, its one-line meaning and the values that are allowed."""
    metadata = {"meaning": meaning, "minimum": minimum, "maximum": maximum}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class DeviceConfig:
    """Who this board is."""

    id: str = _setting("", "name in topics; empty: made from the machine id")


@dataclass(frozen=True, kw_only=True)
class AudioConfig:
    """Where sound comes from."""

    source: str = _setting("alsa:default", "alsa:NAME, file:PATH, or - for raw s16le 16 kHz mono")
    ring_seconds: float = _setting(4.0, "sound kept for the pre-roll", 1.0, 60.0)
    reopen_min_seconds: float = _setting(0.5, "first pause before a lost device is reopened", 0.1)
    reopen_max_seconds: float = _setting(30.0, "longest such pause", 0.1)


@dataclass(frozen=True, kw_only=True)
class WakeConfig:
    """The wake word; what is not set comes from the bundle's manifest."""

    word_file: str = _setting("", "own wake word (.tflite); empty: the bundle's")
    threshold: float | None = _setting(None, "probability that counts as heard", 0.0, 1.0)
    smoothing_frames: int | None = _setting(None, "frames of 40 ms averaged", 1, 50)
    refractory_seconds: float | None = _setting(None, "deaf time after a detection", 0.0, 30.0)
    second_stage: float | None = _setting(
        None, "least agreement of the recogniser; 0: it is not asked", 0.0, 1.0
    )


@dataclass(frozen=True, kw_only=True)
class KeepConfig:
    """Sound that is kept on disk for training the wake word; nothing is, unless asked for."""

    near_misses: bool = _setting(False, "keep 3 s of what nearly woke it")
    false_accepts: bool = _setting(False, "keep 3 s of what woke it before nothing was understood")
    folder: str = _setting("", "empty: `kept` in the state directory")
    above: float = _setting(0.2, "lowest score of a near miss", 0.01, 1.0)
    max_bytes: int = _setting(20_000_000, "the oldest give way beyond this", 100_000)
    max_age_seconds: int = _setting(1209600, "what is older goes; 14 days", 60)


@dataclass(frozen=True, kw_only=True)
class SessionConfig:
    """When a command ends; `max_utterance_seconds` always holds."""

    context_seconds: float = _setting(0.5, "sound before the wake word for the encoder", 0.0, 3.0)
    start_timeout_seconds: float = _setting(4.0, "give up if nobody speaks", 0.5, 60.0)
    trailing_silence_seconds: float = _setting(0.8, "silence that ends a command", 0.1, 10.0)
    no_token_seconds: float = _setting(1.2, "time without a new letter that ends it", 0.1, 10.0)
    max_utterance_seconds: float = _setting(15.0, "longest command", 1.0, 60.0)
    partial_interval_seconds: float = _setting(0.12, "least time between partials", 0.0, 10.0)


@dataclass(frozen=True, kw_only=True)
class BundleConfig:
    """The models."""

    path: str = _setting("", "directory of a model bundle; empty: the one that ships")
    overlay: str = _setting("", "own changes of weights over any release; empty: none")


@dataclass(frozen=True, kw_only=True)
class SocketConfig:
    """The socket between the processes."""

    path: str = _setting("", "empty: listen.sock in the state directory")
    allowed_users: tuple[str, ...] = _setting((), "names or uids beside our own and root")
    health_seconds: float = _setting(10.0, "time between two health reports", 0.5, 3600.0)


@dataclass(frozen=True, kw_only=True)
class MqttConfig:
    """The broker; nothing is contacted while `host` is empty."""

    host: str = _setting("", "broker's name or address; empty: results go to standard output")
    port: int = _setting(0, "0: 1883, or 8883 with tls", 0, 65535)
    username: str = _setting("", "empty: none")
    password_file: str = _setting("", f"file with the password; or set {PASSWORD_VARIABLE}")
    client_id: str = _setting("", "empty: va-<device id>; must be unique on the broker")
    topic_prefix: str = _setting("va", "first level of every topic")
    tls: bool = _setting(False, "encrypt, and check the broker's certificate")
    ca_file: str = _setting("", "authority that signed the broker's; empty: the system's")
    certificate_file: str = _setting("", "own client certificate")
    key_file: str = _setting("", "its key")
    keepalive_seconds: int = _setting(30, "silence after which the link is tested", 5, 3600)
    session_expiry_seconds: int = _setting(86400, "broker keeps commands for us", 0, 2592000)
    will_delay_seconds: int = _setting(5, "time until we are announced as gone", 0, 3600)
    reconnect_min_seconds: float = _setting(1.0, "first pause; the device adds a random part", 0.1)
    reconnect_max_seconds: float = _setting(120.0, "longest pause", 0.1, 3600.0)
    inflight: int = _setting(8, "results sent but not yet confirmed", 1, 20)
    max_packet_bytes: int = _setting(65536, "larger packets end the connection", 1024, 16777216)
    publish_partials: bool = _setting(True, "publish words while they are spoken")


@dataclass(frozen=True, kw_only=True)
class OutboxConfig:
    """Results that wait for the broker, on disk."""

    max_results: int = _setting(5000, "the oldest give way beyond this", 1, 1000000)
    memory_results: int = _setting(256, "kept in memory while the disk is full", 1, 10000)


@dataclass(frozen=True, kw_only=True)
class UpdateConfig:
    """Signed releases of the models, over MQTT; nothing is fetched while `fleet` is empty."""

    fleet: str = _setting("", "whose releases are installed; empty: no updates, no slots")
    root_file: str = _setting("", "root metadata of whoever signs the releases, `1.root.json`")
    hardware: str = _setting("any", "this machine in a word, for releases meant only for it")
    state: str = _setting("", "state directory of `link`, where the slots are; empty: --state")
    check_seconds: int = _setting(3600, "time between two checks; a random part is added", 60)
    bytes_per_second: int = _setting(0, "limit for receiving; 0: none", 0)
    mirrors: bool = _setting(True, "fetch full images over https where a release says so")
    probation_seconds: int = _setting(3600, "clean hearing until a release is kept", 0, 2592000)


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings."""

    device: DeviceConfig = field(default_factory=DeviceConfig)
    audio: AudioConfig = field(default_factory=AudioConfig)
    wake: WakeConfig = field(default_factory=WakeConfig)
    keep: KeepConfig = field(default_factory=KeepConfig)
    session: SessionConfig = field(default_factory=SessionConfig)
    bundle: BundleConfig = field(default_factory=BundleConfig)
    socket: SocketConfig = field(default_factory=SocketConfig)
    mqtt: MqttConfig = field(default_factory=MqttConfig)
    outbox: OutboxConfig = field(default_factory=OutboxConfig)
    update: UpdateConfig = field(default_factory=UpdateConfig)


def find_config(explicit: Path | None = None) -> Path | None:
    """The file that holds, by the order above.

    Args:
        explicit: What `--config` says.

    Returns:
        The file, or None if the defaults hold.
    """
    if explicit is not None:
        return explicit
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    for folder in (Path(home).expanduser(), Path("/etc")):
        path = folder / "voice-agent" / "config.toml"
        if path.exists():
            return path
    return None


def load_config(explicit: Path | None = None) -> Config:
    """Reads the configuration.

    Args:
        explicit: What `--config` says.

    Returns:
        All settings, with defaults where the file is silent.

    Raises:
        ConfigError: The file cannot be read, is not TOML, or has a key or value that is not
            allowed; the message names file and key and what is allowed.
    """
    path = find_config(explicit)
    if path is None:
        return Config()
    try:
        with path.open("rb") as stream:
            text = stream.read(_LARGEST_FILE + 1).decode()
        if len(text) > _LARGEST_FILE:
            raise ConfigError(f"{path}: longer than {_LARGEST_FILE} bytes; is it the right file?")
        table = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}); check the path and its permissions."
        ) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: not a TOML file ({error}).") from error
    try:
        config = read_record(Config, table)
    except RecordError as error:
        hint = _nearest(error.path) if error.unknown else "."
        raise ConfigError(f"{path}: {error}{hint}") from error
    _check_pairs(config, path)
    return config


def known_keys() -> list[str]:
    """Every key as `section.key`, in the order of the file."""
    return [
        f"{section.name}.{key.name}"
        for section in dataclasses.fields(Config)
        for key in dataclasses.fields(_section_type(section.name))
    ]


def read_password(config: MqttConfig) -> str | None:
    """The broker's password, from the environment or from the file.

    Args:
        config: The broker's section.

    Returns:
        The password, or None if there is none.

    Raises:
        ConfigError: The file cannot be read.
    """
    if PASSWORD_VARIABLE in os.environ:
        return os.environ[PASSWORD_VARIABLE]
    if not config.password_file:
        return None
    try:
        with Path(config.password_file).expanduser().open("rb") as stream:
            return stream.read(_LARGEST_SECRET).decode().strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"mqtt.password_file: {config.password_file} cannot be read ({error});"
            " check the path and its permissions."
        ) from error


def _check_pairs(config: Config, path: Path) -> None:
    for section, low, high in (
        ("audio", "reopen_min_seconds", "reopen_max_seconds"),
        ("mqtt", "reconnect_min_seconds", "reconnect_max_seconds"),
    ):
        values = getattr(config, section)
        if getattr(values, low) > getattr(values, high):
            raise ConfigError(f"{path}: {section}.{low} must not exceed {section}.{high}.")
    if bool(config.mqtt.certificate_file) != bool(config.mqtt.key_file):
        raise ConfigError(f"{path}: mqtt.certificate_file and mqtt.key_file go together.")


def _nearest(key: str) -> str:
    known = known_keys()
    # The right key in the wrong section, or in none, is the likeliest mistake.
    last = key.rpartition(".")[2]
    close = [name for name in known if name.endswith(f".{last}")]
    if not close:
        sections = [section.name for section in dataclasses.fields(Config)]
        candidates = known if "." in key else sections + known
        close = difflib.get_close_matches(key, candidates, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; known keys: {', '.join(known)}"


def _section_type(name: str) -> type[Any]:
    return typing.cast("type[Any]", typing.get_type_hints(Config)[name])
