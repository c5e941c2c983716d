"""What the agent's tests share: one bundle of tones, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.bundle.manifest import Bundle, load_bundle
from tests.agent.toy_bundle import write_toy_bundle


@pytest.fixture(scope="session")
def toy_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of tones; not to be changed."""
    return write_toy_bundle(tmp_path_factory.mktemp("bundles") / "toy")


@pytest.fixture(scope="session")
def toy(toy_directory: Path) -> Bundle:
    """The same, loaded."""
    return load_bundle(toy_directory)
