"""`aecodec verify` and `recover`: what is damaged, and what can be saved of it."""

from aecodec.api.reader import Reader
from aecodec.api.recover import lost_text, recover
from aecodec.api.trust import Trust
from aecodec.api.verify import Verdict, verify
from aecodec.cli.inputs import STDIO, parse_dtype, parse_shape, read_source
from aecodec.cli.outputs import refuse_existing, seekable
from aecodec.cli.progress import say
from aecodec.cli.tables import print_json
from aecodec.errors import UsageError


def verify_file(
    name: str,
    against: str | None,
    raw: tuple[str | None, str | None],
    settings: tuple[str | None, str, int | None, Trust],
    quiet: bool,
    as_json: bool = False,
) -> bool:
    """Verify and report; True if the file is sound. `settings`: model, provider, threads, trust."""
    with seekable(name) as source, Reader(source, *settings) as reader:
        original = None
        if against is not None:
            original = read_source(against, parse_dtype(raw[0]), parse_shape(raw[1]), None).array
            if original is None:
                raise UsageError("--against must name a file, not standard input")
        verdict = verify(reader, original)
    if as_json:
        print_json(verdict.to_json())
    else:
        _report(name, verdict, quiet)
    return verdict.sound


def _report(name: str, verdict: Verdict, quiet: bool) -> None:
    for bad in verdict.bad:
        what = f"chunk {bad.number}, " if bad.number is not None else ""
        say(f"{name} : {what}steps {bad.start} to {bad.stop - 1}: {bad.reason}")
    for start, stop in verdict.missing:
        say(f"{name} : steps {start} to {stop - 1}: missing, no chunk holds them")
    for record in verdict.records:
        say(f"{name} : byte {record.offset}: {record.reason}")
    if not verdict.complete:
        say(f"{name} : no sound end: the file was cut off or damaged there, or is still being written")
    found = f"worst error {verdict.worst_error:g}" if verdict.worst_error is not None else "checksums only"
    found += f", {verdict.psnr:.2f} dB" if verdict.psnr is not None else ""
    if verdict.sound:
        say(f"{name} : sound, {verdict.chunks} chunk(s), {found}", quiet)


def recover_file(name: str, output: str, trust: Trust, force: bool, quiet: bool, as_json: bool = False) -> None:
    """Write what is sound of one file to another and say what was lost."""
    if output == STDIO:
        raise UsageError("recover writes a file: name it with -o")
    refuse_existing(output, force)
    with seekable(name) as source:
        allowed = trust.allow_embedded_model
        recovery = recover(source, output, overwrite=force, limits=trust.limits, allow_embedded_model=allowed)
    if as_json:
        print_json(recovery.to_json())
        return
    steps = sum(stop - start for start, stop in recovery.kept)
    say(f"{name} : {recovery.chunks} chunk(s) with {steps} step(s) kept, {output}", quiet)
    say(f"{name} : {lost_text(recovery)}", quiet and recovery.everything)
