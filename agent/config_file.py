"""Writes a configuration as TOML."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from agent.config import Config


def as_toml(config: Config, *, commented: bool) -> str:
    """A configuration as a file.

    Args:
        config: All settings.
        commented: True for a file to start from: meanings beside the keys, and every key switched
            off, so that later versions may choose better defaults.

    Returns:
        TOML that `load_config` reads.
    """
    lines = []
    for section in dataclasses.fields(config):
        values = getattr(config, section.name)
        lines.append(f"[{section.name}]  # {(type(values).__doc__ or '').strip()}")
        for key in dataclasses.fields(values):
            value = getattr(values, key.name)
            if commented:
                shown = f"# {key.name} = {_value(value)}"
                lines.append(f"{shown:<40} # {key.metadata['meaning']}")
            elif value is not None:
                lines.append(f"{key.name} = {_value(value)}")
        lines.append("")
    return "\n".join(lines)


def _value(value: Any) -> str:
    if value is None:
        return ""
    # JSON's strings, numbers, booleans and lists are TOML too, but for this one character.
    text = json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
    return text.replace("\x7f", "\\u007f")
