"""The root metadata that a board begins with: the only thing that it takes on trust."""

from __future__ import annotations

from pathlib import Path

from agent.config import Config
from agent.errors import ConfigError

_LARGEST_ROOT = 64 * 1024  # bytes


def read_root(config: Config) -> bytes:
    """The root metadata: whom to believe at first.

    Raises:
        ConfigError: It cannot be read.
    """
    path = config.update.root_file
    if not path:
        raise ConfigError(
            "update.root_file names no root metadata; copy 1.root.json of your repository to the"
            " board and name it."
        )
    try:
        with Path(path).expanduser().open("rb") as stream:
            return stream.read(_LARGEST_ROOT)
    except OSError as error:
        raise ConfigError(
            f"update.root_file: {path} cannot be read ({error.strerror}); check the path."
        ) from error
