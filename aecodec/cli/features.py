"""`aecodec features`."""

import time
from pathlib import Path

from aecodec.api.trust import Trust
from aecodec.cli.progress import progress, say
from aecodec.cli.task_data import Source, task_data, task_model
from aecodec.errors import UsageError
from aecodec.tasks.features import POOLS, save_features


def write_features(
    name: str, output: Path, model: str, pool: str, source: Source, settings: tuple[str, Trust], force: bool, quiet: bool
) -> None:
    """Write the table and say how large it is. `settings`: provider, trust."""
    if pool not in POOLS:
        raise UsageError(f"--pool {pool!r} is unknown; use {', '.join(POOLS)}")
    loaded = task_model(model, *settings)
    start = time.perf_counter()
    with task_data(name, source, loaded, *settings) as (data, axes), progress("encoding", None, quiet):
        rows, width = save_features(data, loaded, output, axes, pool, overwrite=force)  # type: ignore[arg-type]  # checked above
    say(f"{output} : {rows} row(s) of {width} features in {time.perf_counter() - start:.1f} s, {loaded.id[:12]}", quiet)
