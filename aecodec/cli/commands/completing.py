"""The command that prints what makes a shell complete the others."""

from enum import StrEnum
from typing import Annotated

import typer

from aecodec.cli.report import reported

VARIABLE = "_AECODEC_COMPLETE"  # set by the scripts, which run the command to ask it


class Shell(StrEnum):
    """Shells that can complete."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"
    POWERSHELL = "powershell"


@reported
def completion(shell: Annotated[Shell, typer.Argument(help="which shell's script to print")]) -> None:
    """Print a script of completions: eval "$(aecodec completion bash)", in ~/.bashrc or as one's shell has it."""
    from typer._completion_shared import get_completion_script  # behind typer's own --show-completion

    script = get_completion_script(prog_name="aecodec", complete_var=VARIABLE, shell=shell.value)
    print(script)  # noqa: T201  # what the user asked for
