"""The model bundles that ship: read-only package data, the factory slot of every board."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

FACTORY = "command_en"
"""Name of the bundle that is used when nothing else is chosen."""


def factory_bundle() -> Path:
    """Directory of the bundle that ships.

    Returns:
        The directory; `agent.bundle.manifest.load_bundle` says what is wrong if it is not whole.
    """
    # Installed wheels are unpacked (the package is not zip-safe), so the resource is a real path.
    return Path(str(resources.files(__name__))) / FACTORY
