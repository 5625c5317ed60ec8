"""What goes wrong in a command, as one line on standard error and an exit status."""

import functools
import sys
from collections.abc import Callable
from typing import Any

import typer

from aecodec.errors import AecodecError, UsageError


def reported(command: Callable[..., None]) -> Callable[..., None]:
    """Turn what goes wrong into one line and an exit status."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except AecodecError as error:
            _fail(_with_notes(error, str(error)), 2 if isinstance(error, UsageError) else 1)
        except BrokenPipeError:
            _fail("the reader of standard output went away", 1)
        except KeyboardInterrupt as error:
            _fail(_with_notes(error, "interrupted", "unfinished outputs were removed"), 1)
        except OSError as error:
            _fail(_with_notes(error, f"{error.filename}: {error.strerror}" if error.filename else str(error)), 1)
        except MemoryError:
            _fail("not enough memory for arrays of this size", 1)

    return run


def _with_notes(error: BaseException, message: str, *otherwise: str) -> str:
    """The message, and what was added to the error on its way: where unfinished work is kept; `otherwise` if nothing was."""
    return "; ".join([message, *getattr(error, "__notes__", otherwise)])


def _fail(message: str, status: int) -> None:
    print(f"aecodec: {' '.join(message.split())}", file=sys.stderr)  # noqa: T201  # the one place for errors
    raise typer.Exit(status)
