"""Where the agent keeps things, and what this board is called."""

from __future__ import annotations

import hashlib
import os
import re
import socket
from pathlib import Path

from agent.config import Config
from agent.errors import ConfigError

SYSTEM_STATE = Path("/var/lib/voice-agent")
_LONGEST_SOCKET_PATH = 107  # bytes, sun_path of unix(7) less its final zero
_DEVICE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def state_directory(explicit: Path | None = None) -> Path:
    """The directory for everything that outlives a restart; made if missing.

    Args:
        explicit: What `--state` says.

    Returns:
        That, or /var/lib/voice-agent where we may write, or the user's XDG state folder.

    Raises:
        ConfigError: It cannot be made or written.
    """
    if explicit is not None:
        path = explicit
    elif os.access(SYSTEM_STATE if SYSTEM_STATE.exists() else SYSTEM_STATE.parent, os.W_OK):
        path = SYSTEM_STATE
    else:
        home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
        path = Path(home).expanduser() / "voice-agent"
    try:
        path.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{path}: the state directory cannot be made ({error.strerror});"
            " give a writable one with --state."
        ) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise ConfigError(f"{path}: not writable; give a writable directory with --state.")
    return path.absolute()


def socket_path(config: Config, state: Path) -> Path:
    """Where `listen` serves.

    Args:
        config: All settings.
        state: The state directory.

    Returns:
        The path of the socket.

    Raises:
        ConfigError: The path is longer than the kernel allows.
    """
    path = Path(config.socket.path).expanduser() if config.socket.path else state / "listen.sock"
    if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
        raise ConfigError(
            f"{path}: longer than the {_LONGEST_SOCKET_PATH} bytes a socket's path may have;"
            " set socket.path to a shorter one."
        )
    return path


def update_state(config: Config, state: Path) -> Path:
    """Where the slots and the record of updates are.

    Args:
        config: All settings.
        state: The state directory of this process.

    Returns:
        `update.state`, else the state directory.
    """
    return Path(config.update.state).expanduser() if config.update.state else state


def device_id(config: Config) -> str:
    """The name of this board in topics.

    Args:
        config: All settings.

    Returns:
        `device.id`, or a name made from the machine id, which itself is never shown.

    Raises:
        ConfigError: `device.id` holds something that a topic level must not.
    """
    if config.device.id:
        if not _DEVICE_ID.fullmatch(config.device.id):
            raise ConfigError(
                f"device.id: {config.device.id!r} must be 1 to 64 letters, digits, dots, dashes or"
                " underscores, because it becomes a level of every topic."
            )
        return config.device.id
    try:
        secret = Path("/etc/machine-id").read_bytes().strip()
    except OSError:
        secret = b""
    # machine-id(5) asks not to hand the id itself to a network.
    secret = secret or socket.gethostname().encode()
    return hashlib.sha256(b"voice-agent:" + secret).hexdigest()[:12]
