"""The `aecodec` command."""

from aecodec.cli.app import main

__all__ = ["main"]
