"""`aecodec tune`."""

from pathlib import Path
from typing import Any

from aecodec.cli.outputs import refuse_existing
from aecodec.cli.progress import say, size_text
from aecodec.cli.tables import print_json, print_table
from aecodec.cli.train import training_inputs
from aecodec.errors import UsageError


def tune_files(
    inputs: list[str],
    folder: Path,
    output: str | None,
    raw: tuple[str | None, str | None],
    options: dict[str, Any],
    shown: tuple[bool, bool, bool],
) -> None:
    """Search, print the table of trials, and write the model if one was trained; `shown`: force, quiet, JSON."""
    force, quiet, as_json = shown
    if (output is None) != (options["final_budget"] is None):
        raise UsageError("-o names the model that --final-budget trains with the best settings; give both or neither")
    if output is not None:
        refuse_existing(output, force)
    from aecodec.training import tune

    found = tune(training_inputs(inputs, raw, options["axes"]), folder, **options, progress=not quiet)
    if as_json:
        print_json({"trials": [vars(trial) for trial in found.trials], "best": found.best})
    elif not quiet:
        names = list(dict.fromkeys(name for trial in found.trials for name in trial.settings))
        rows = [
            [
                str(t.number),
                t.state,
                "" if t.bits is None else f"{t.bits:.4f}",
                "" if t.model_bytes is None else size_text(t.model_bytes),
                f"{t.seconds:.0f}",
                *(f"{t.settings[name]:.4g}" if name in t.settings else "" for name in names),
            ]
            for t in found.trials
        ]
        print_table(["trial", "state", "bits/value", "model", "s", *names], rows)
    if found.model is not None and output is not None:
        found.model.save(output, overwrite=force)
        say(f"{output} : {size_text(len(found.model.stored))}, trained with the best settings, {found.model.id[:12]}", quiet)


def parse_ranges(texts: list[str] | None) -> dict[str, tuple[float, float]] | None:
    """ "width=8:64" and the like."""
    if not texts:
        return None
    found = {}
    for text in texts:
        name, _, bounds = text.partition("=")
        try:
            low, high = (float(part) for part in bounds.split(":"))
        except ValueError:
            raise UsageError(f"--search {text!r} is not NAME=LOW:HIGH, such as width=8:64") from None
        found[name] = (low, high)
    return found
