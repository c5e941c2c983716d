"""What the README says exists, and its tables are those of the code."""

from __future__ import annotations

import argparse
import importlib
import json
import re
import tomllib
from pathlib import Path

import pytest

from agent.config import load_config
from agent.events import decode
from agent.mqtt.topics import ROW_OF_EVENT, TOPICS, payload
from tests.packaging.readme_tables import README, replaced

_ROOT = README.parent
_TEXT = README.read_text()


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", _TEXT, re.MULTILINE | re.DOTALL)


def _shell_lines() -> list[str]:
    return [line.strip() for block in _blocks("sh") for line in block.splitlines()]


def test_the_tables_are_those_of_the_code():
    # If this fails: python -m tests.packaging.readme_tables
    assert replaced(_TEXT) == _TEXT


def test_every_make_target_exists():
    targets = set(re.findall(r"^([a-z-]+):", (_ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", _TEXT, re.MULTILINE))
    assert named
    assert named <= targets


def _named_commands(program: str) -> list[tuple[str, str]]:
    """(command, rest of the line) of every call of a program in the README."""
    calls = re.findall(rf"(?:^|[`/ ]){program} ([a-z][a-z-]+)([^`\n#|]*)", _TEXT, re.MULTILINE)
    return sorted(set(calls))


@pytest.mark.parametrize(("command", "rest"), _named_commands("voice-agent"))
def test_every_command_and_option_exists(command: str, rest: str):
    module = importlib.import_module(f"agent.commands.{command}")
    parser = argparse.ArgumentParser()
    module.configure(parser)
    known = set(re.findall(r"--[a-z-]+", parser.format_help()))
    assert set(re.findall(r"--[a-z-]+", rest)) <= known


@pytest.mark.parametrize(("command", "rest"), _named_commands("voice-converters"))
def test_every_converter_exists(command: str, rest: str):
    # Read, not imported: here is no torch. A command hands some of its options to other modules.
    file = _ROOT / "converters" / "commands" / f"{command.replace('-', '_')}.py"
    handed = re.findall(r"from converters\.asr import ([\w, ]+)", file.read_text())
    modules = [_ROOT / "converters/asr" / f"{m}.py" for line in handed for m in line.split(", ")]
    source = "".join(path.read_text() for path in (file, *modules))
    options = set(re.findall(r"--[a-z-]+", rest)) - {"--help"}
    assert not {option for option in options if f'"{option}"' not in source}


def test_every_file_it_names_exists():
    links = re.findall(r"\]\(([^)#:]+)\)", _TEXT)
    assert links
    assert not [link for link in links if not (_ROOT / link).exists()]
    copied = [
        part for line in _shell_lines() for part in re.findall(r"(?<!/)systemd/[\w.*-]+", line)
    ]
    assert copied
    assert not [part for part in copied if not list(_ROOT.glob(part))]


def test_every_link_within_leads_somewhere():
    headings = re.findall(r"^#+ (.+)$", _TEXT, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", _TEXT)) <= anchors


@pytest.mark.parametrize("block", _blocks("toml"))
def test_examples_of_the_configuration_are_valid(block: str, tmp_path: Path):
    assert tomllib.loads(block)
    file = tmp_path / "config.toml"
    file.write_text(block)
    load_config(file)


@pytest.mark.parametrize(
    ("row", "block"),
    re.findall(
        r"^`va/dev/\w+/([a-z/]+)`[^\n]*:\n\n```json\n(.*?)^```", _TEXT, re.MULTILINE | re.DOTALL
    ),
)
def test_examples_of_messages_are_what_the_agent_sends(row: str, block: str):
    pattern = f"<prefix>/dev/<id>/{row}"
    (name,) = [name for name, topic in TOPICS.items() if topic.pattern == pattern]
    (kind,) = [kind for kind, row_name in ROW_OF_EVENT.items() if row_name == name]
    example = json.loads(block)
    event = decode(json.dumps({"kind": kind, **example}).encode())
    assert event is not None
    assert json.loads(payload(event)) == example


def test_nothing_is_left_to_be_filled_in():
    assert "TO BE FILLED" not in _TEXT
