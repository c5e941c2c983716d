"""The tables of the README that have their source in the code.

    python -m tests.packaging.readme_tables     rewrites them in README.md

`test_readme.py` fails while the README holds anything else.
"""

from __future__ import annotations

import dataclasses
import sys
import typing
from pathlib import Path
from typing import Any

from agent.config import Config
from agent.mqtt.topics import TOPICS

README = Path(__file__).parents[2] / "README.md"


def configuration() -> str:
    """One table for each section of the configuration file."""
    hints = typing.get_type_hints(Config)
    parts = []
    for section in dataclasses.fields(Config):
        kind = hints[section.name]
        rows = [_row(key) for key in dataclasses.fields(kind)]
        parts.append(
            f"`[{section.name}]` {(kind.__doc__ or '').strip()}\n\n"
            "| Key | Default | Meaning |\n|---|---|---|\n" + "\n".join(rows)
        )
    return "\n\n".join(parts)


def topics() -> str:
    """All topics, with `va` as the prefix."""
    rows = [
        f"| `{topic.pattern.replace('<prefix>', 'va')}` | {topic.qos} "
        f"| {'yes' if topic.retain else 'no'} | {topic.meaning.replace('|', '/')} |"
        for topic in TOPICS.values()
    ]
    return "| Topic | QoS | Retained | What it says |\n|---|---|---|---|\n" + "\n".join(rows)


TABLES = {"configuration": configuration, "topics": topics}


def replaced(text: str) -> str:
    """A README with all its tables as the code has them.

    Args:
        text: The README, with a pair of markers for each table.

    Returns:
        The new text.

    Raises:
        ValueError: Markers are missing.
    """
    for name, table in TABLES.items():
        begin, end = f"<!-- table: {name} -->\n", "<!-- end of table -->"
        before, found, rest = text.partition(begin)
        _, ended, after = rest.partition(end)
        if not (found and ended):
            raise ValueError(f"README.md has no table {name!r} between its two markers")
        text = before + begin + table() + "\n" + end + after
    return text


def _row(key: dataclasses.Field[Any]) -> str:
    limits = [key.metadata["minimum"], key.metadata["maximum"]]
    meaning = key.metadata["meaning"]
    if limits[0] is not None and limits[1] is not None:
        meaning += f" ({limits[0]:g} to {limits[1]:g})"
    elif limits[0] is not None:
        meaning += f" (at least {limits[0]:g})"
    return f"| `{key.name}` | {_toml(key.default)} | {meaning} |"


def _toml(value: Any) -> str:
    """A default as one would write it in the file."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


if __name__ == "__main__":
    README.write_text(replaced(README.read_text()))
    sys.exit(0)
