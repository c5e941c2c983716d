"""Loads what `--bundle` and `--config` name, for the commands that hear recordings."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from agent.bundle.manifest import Bundle, load_bundle
from agent.config import Config, load_config
from agent.hearing.pipeline import Pipeline, load_own_word, load_wake_words
from agent.hearing.wake_word import WakeWord
from firmware_models import factory_bundle


def chosen_bundle(explicit: Path | None, config: Config) -> Bundle:
    """The bundle: what the command line names, else the configuration, else the one that ships.

    Raises:
        BundleError: It is not whole.
    """
    return load_bundle(factory_directory(config) if explicit is None else explicit)


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
    if config.wake.word_file and bundle is None:
        return [load_own_word(config)]
    return load_wake_words(chosen_bundle(bundle, config), config)
