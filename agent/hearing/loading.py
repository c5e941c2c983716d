"""Loads what `--bundle` and `--config` name, for the commands that hear recordings."""

from __future__ import annotations

import atexit
import dataclasses
import logging
import shutil
import tempfile
from pathlib import Path

from agent.bundle.manifest import Bundle, load_bundle
from agent.config import Config, load_config
from agent.errors import DiffError
from agent.hearing.pipeline import Pipeline, load_wake_words
from agent.hearing.wake_word import WakeWord
from agent.update.overlay_format import apply_overlay, read_overlay
from firmware_models import factory_bundle

_LOGGER = logging.getLogger(__name__)


def chosen_bundle(explicit: Path | None, config: Config) -> Bundle:
    """The bundle: what the command line names, else the configuration, else the one that ships.

    What the command line names is taken as it is. Otherwise the overlay of the configuration is
    applied, whether or not it has passed a trial: so its owner can hear what it does. One that
    cannot be applied is left out, and a warning says why.

    Raises:
        BundleError: It is not whole.
    """
    if explicit is not None:
        return load_bundle(explicit)
    bundle = load_bundle(factory_directory(config))
    if not config.bundle.overlay:
        return bundle
    folder = Path(tempfile.mkdtemp(prefix="voice-agent-overlay-"))
    # The models read their files as long as the process lives.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        content = read_overlay(Path(config.bundle.overlay).expanduser())
        apply_overlay(content, bundle.directory, folder / "bundle")
    except DiffError as error:
        _LOGGER.warning("The overlay is not used: %s: %s", type(error).__name__, error)
        return bundle
    return load_bundle(folder / "bundle")


def factory_directory(config: Config) -> Path:
    """The bundle before any update: what the configuration names, else the one that ships."""
    return Path(config.bundle.path).expanduser() if config.bundle.path else factory_bundle()


def load_pipeline(bundle: Path | None, config_file: Path | None, *, wake: bool) -> Pipeline:
    """Everything that hears, ready.

    Args:
        bundle: What `--bundle` says.
        config_file: What `--config` says.
        wake: False leaves the wake words out.

    Raises:
        BundleError: The models cannot be used.
        ConfigError: The configuration cannot be used.
    """
    config = load_config(config_file)
    return Pipeline(chosen_bundle(bundle, config), config, wake=wake)


def load_words(
    bundle: Path | None, config_file: Path | None, word_file: Path | None
) -> list[WakeWord]:
    """Only the wake words.

    Args:
        bundle: What `--bundle` says.
        config_file: What `--config` says.
        word_file: An own wake word instead of the bundle's.

    Raises:
        BundleError: A model cannot be used.
        ConfigError: The configuration cannot be used.
    """
    config = load_config(config_file)
    if word_file is not None:
        wake = dataclasses.replace(config.wake, word_file=str(word_file))
        config = dataclasses.replace(config, wake=wake)
    return load_wake_words(chosen_bundle(bundle, config), config)
