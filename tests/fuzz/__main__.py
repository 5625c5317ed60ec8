"""Coverage-guided fuzzing by atheris: `python -m tests.fuzz TARGET [-runs=N] [-max_total_time=S] [CORPUS]`.

The target `all` is each in turn. atheris is no dependency: `pip install atheris`. Seeds are the golden files and what is in them.
A crash is kept as a file whose path libFuzzer prints; `python -m tests.fuzz TARGET FILE` runs it again.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import atheris
except ImportError:
    sys.exit("atheris is not installed: pip install atheris")

with atheris.instrument_imports(include=["aecodec"]):
    from .targets import TARGETS, run

_MEMORY = 3000  # MiB
_SECONDS = 20  # for one input


def fuzz(name: str, arguments: list[str]) -> None:
    """Fuzz one target in this process; does not return."""
    corpora = [a for a in arguments if not a.startswith("-")]
    with tempfile.TemporaryDirectory() as folder:
        if not corpora:
            for number, seed in enumerate(TARGETS[name].seeds()):
                (Path(folder) / str(number)).write_bytes(seed)
            arguments = [*arguments, folder]
        limits = [f"-rss_limit_mb={_MEMORY}", f"-timeout={_SECONDS}", f"-max_len={TARGETS[name].longest}", "-print_final_stats=1"]

        def once(data: bytes) -> None:
            run(name, data)

        atheris.Setup([sys.argv[0], *limits, *arguments], once)
        atheris.Fuzz()


def main() -> int:
    """Fuzz the target named, or all in turn, each in a process of its own."""
    if len(sys.argv) < 2 or sys.argv[1] not in (*TARGETS, "all"):
        sys.stderr.write(f"{__doc__}\nTargets: all, {', '.join(TARGETS)}\n")
        return 2
    if sys.argv[1] != "all":
        os.nice(10)
        fuzz(sys.argv[1], sys.argv[2:])
    status = 0
    for name in TARGETS:
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz", name, *sys.argv[2:]], capture_output=True, text=True, check=False
        )
        runs = [line.split()[-1] for line in done.stderr.splitlines() if "number_of_executed_units" in line]
        sys.stdout.write(f"{name:18} {runs[-1] if runs else '?':>10} inputs, {'sound' if not done.returncode else 'FAILED'}\n")
        sys.stdout.flush()
        if done.returncode:
            status = 1
            sys.stdout.write(done.stderr[-3000:])
    return status


if __name__ == "__main__":
    sys.exit(main())
