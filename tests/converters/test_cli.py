from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from converters import cli


def test_overview_and_unknown_commands(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["--help"]) == 0
    assert "synthesise" in capsys.readouterr().out
    assert cli.main([]) == 2
    assert cli.main(["sing"]) == 2
    assert "There is no command 'sing'" in capsys.readouterr().err


def test_modules_of_the_commands_are_named_after_them():
    modules = {command.name: command.module for command in cli.COMMANDS}
    assert modules["train-asr"] == "converters.commands.train_asr"


def test_a_command_loads_only_its_own_modules():
    code = (
        "import sys; from converters import cli; cli.main(['cache']);"
        "sys.exit(any(m.split('.')[0] in {'torch', 'numpy', 'rich'} for m in sys.modules))"
    )
    root = Path(cli.__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_an_error_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("names", reason="needs the extra converters")
    out = str(tmp_path / "pool")
    status = cli.main(
        ["synthesise", "--kind", "wake", "--phrase", "xyzzyq", "--count", "2", "--out", out]
    )
    assert status == 1
    shown = capsys.readouterr().err
    assert shown.startswith("error: ")
    assert shown.count("\n") == 1


def test_a_pool_through_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "pool"
    status = cli.main(
        ["synthesise", "--kind", "test", "--count", "4", "--jobs", "1", "--out", str(out)]
    )
    shown = capsys.readouterr()
    if "install the package" in shown.err:
        pytest.skip(shown.err)
    assert status == 0
    assert f"{out}: 4 utterances" in shown.out
    assert (out / "audio.i16").stat().st_size > 4 * 16_000
