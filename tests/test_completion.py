"""Completions of the command: the scripts it prints, and what they are told when a shell asks."""

import os
import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from aecodec.cli.app import app


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_scripts_of_every_shell(shell):
    done = CliRunner().invoke(app, ["completion", shell])
    assert done.exit_code == 0
    assert "_AECODEC_COMPLETE" in done.stdout
    assert "aecodec" in done.stdout


def test_bash_takes_the_script_and_completes(tmp_path):
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash here")
    command = tmp_path / "aecodec"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m aecodec "$@"\n')
    command.chmod(0o755)
    (tmp_path / "script").write_text(CliRunner().invoke(app, ["completion", "bash"]).stdout)
    ask = "source script; COMP_WORDS=(aecodec comp); COMP_CWORD=1; _aecodec_completion aecodec; echo ${COMPREPLY[@]}"
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([bash, "-c", ask], cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert set(done.stdout.split()) == {"compress", "completion"}, done.stderr


def test_unknown_shells_are_named():
    done = CliRunner().invoke(app, ["completion", "tcsh"])
    assert done.exit_code == 2
    assert "tcsh" in done.stderr
