"""The command line: only the chosen command is loaded, and errors are one sentence."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from agent import __version__, cli

_ROOT = Path(__file__).parents[2]


def _loaded(*arguments: str) -> set[str]:
    """The modules that a command line has loaded when its command begins."""
    code = f"""
import sys
from agent import cli
parser, modules = cli._parser({arguments[0]!r})
parser.parse_args({list(arguments)!r})
print("\\n".join(sys.modules))
"""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=_ROOT
    )
    return set(run.stdout.split())


@pytest.mark.parametrize("command", ["listen", "link", "transcribe"])
def test_only_the_chosen_command_is_loaded(command: str):
    loaded = _loaded(command, *(["a.wav"] if command == "transcribe" else []))
    commands = {name.rpartition(".")[2] for name in loaded if name.startswith("agent.commands.")}
    assert commands == {command}
    assert not loaded & {"numpy", "paho", "soundfile", "rich", "ai_edge_litert"}


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for command in cli.COMMANDS:
        assert re.search(rf"^    {command}\s", text, re.MULTILINE)
        with pytest.raises(SystemExit):
            cli.main([command, "--help"])
        assert "usage: voice-agent" in capsys.readouterr().out


def test_the_version(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"voice-agent {__version__}\n"


def test_nothing_to_do_is_a_usage_error(capsys: pytest.CaptureFixture[str]):
    assert cli.main([]) == 2
    assert "COMMAND" in capsys.readouterr().out


def test_an_unknown_command(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        cli.main(["lisen"])
    assert ended.value.code == 2
    assert "invalid choice: 'lisen'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["listen", "--source", "nonsense"], 2, "none of alsa:NAME"),
        (["transcribe", "--bundle", "/nowhere", "a.wav"], 1, "not a model bundle"),
        (["transcribe", "--config", "/nowhere.toml", "a.wav"], 2, "cannot be read"),
    ],
    ids=["source", "bundle", "config"],
)
def test_errors_are_one_sentence(
    arguments: list[str], status: int, message: str, capsys: pytest.CaptureFixture[str]
):
    assert cli.main(arguments) == status
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert message in error


def test_a_reader_that_goes_away_leaves_no_stack_trace(toy_directory: Path):
    clips = [str(toy_directory / "selftest" / "0.flac")] * 3
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "agent.cli", "transcribe", "--json"),
            *("--bundle", str(toy_directory), *clips),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=_ROOT,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(60) == 1
        assert process.stderr.read() == b""
