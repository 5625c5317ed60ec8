"""Tables for people and JSON for programs, on standard output."""

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table


def print_rows(title: str, rows: dict[str, str]) -> None:
    """Names and values."""
    table = Table(show_header=False, title=title, title_justify="left")
    for key, value in rows.items():
        table.add_row(key, value)
    Console().print(table)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows under headings."""
    table = Table(*columns)
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def print_json(record: Any) -> None:
    """One JSON value."""
    print(json.dumps(record, indent=2))  # noqa: T201  # what the user asked for
