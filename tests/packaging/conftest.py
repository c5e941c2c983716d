"""What several tests of the installed product need."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware_models import factory_bundle


@pytest.fixture(scope="session")
def demo_recording() -> Path:
    """A recording that ships: the wake word and a command."""
    recording = factory_bundle() / "demo.flac"
    assert recording.is_file(), "the factory bundle has no demo recording"
    return recording
