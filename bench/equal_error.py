"""No bound: aecodec with psnr=... against the best peer's size at the same root mean square error (ratio.py --nrmse).

NRMSE is the root mean square error over the range of the test array. aecodec is asked for it with `psnr=` and the range of the
whole array, its model fitted on the train split and not counted; the peers' sizes are at the NRMSE that it then has, or,
if that is more than 2 % under the one asked for, at the one asked for.
"""

import csv
import dataclasses
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import imagecodecs
import numpy as np
from fields import FieldSet
from fitting import fit, value_range
from peers import Coded, rms_error, worst_error
from peers_rms import SETTINGS, peers_at, size_at

import aecodec

NRMSE = (1e-2, 3e-3, 1e-3)
_ATTEMPTS, _NEAR = 5, 0.98


@dataclasses.dataclass(frozen=True)
class Row:
    """One set at one NRMSE; a line of the CSV. Sizes in bytes, of the peers interpolated at the NRMSE `compared_at`.

    `aecodec_bounded_size`: of aecodec with `max_error=` instead, at the bound that gives `compared_at`; not in the gain.
    `train_mean_over_nrmse`: error of the train split's mean field as a multiple of the NRMSE asked for; at 1 or less that field,
    which a fitted model holds, is enough alone.
    """

    name: str
    precision: str
    nrmse: float
    level: int
    psnr_asked: float
    aecodec_nrmse: float
    compared_at: float
    aecodec_size: int
    sz3_size: float
    sperr_size: float
    zfp_size: float
    aecodec_bounded_size: float
    best_peer: str
    best_setting: str
    raw_size: int
    gain_over_best_peer: float
    train_mean_over_nrmse: float


def run(
    fields: Iterable[FieldSet | str], targets: Sequence[float] | None, levels: Sequence[int], path: Path | None, facts: list[str]
) -> None:
    """Measure all sets, print and write the CSV."""
    rows: list[Row] = []
    header = [
        *facts,
        f"SPERR: {imagecodecs.sperr_version()}",
        *(f"{codec} settings: {setting}" for codec, setting in SETTINGS.items()),
        "aecodec settings: psnr with value_range of the whole array, model fitted on the train split, not counted",
        f"psnr asked for: corrected until the NRMSE is at most {1 - _NEAR:.0%} under the one named, {_ATTEMPTS} times at most",
        "of each peer: the smallest of all layouts and modes at the NRMSE compared_at, what aecodec was measured to have,",
        f"  or, if that is more than {1 - _NEAR:.0%} under the one asked for, the one asked for, which favours the peers",
        "interpolation: log size over log NRMSE between the two measured points next to it; a measured point within it if smaller",
        "integers: peers get float32, their output is rounded",
        "aecodec_bounded_size: max_error= with the same model, at the same NRMSE, interpolated as the peers' are; not in the gain",
    ]
    for field in fields:
        if isinstance(field, str):
            header.append(f"note: {field}")
            print(field)
            continue
        for target in targets or NRMSE:
            found = measure(field, target, levels)
            rows += found
            for row in found:
                show(row)
    for line in summary(rows):
        header.append(line)
        print(line)
    target_path = path or Path(__file__).with_name("nrmse.csv")
    with target_path.open("w", newline="", encoding="utf-8") as file:
        file.writelines(f"# {line}\n" for line in header)
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([f.name for f in dataclasses.fields(Row)])
        writer.writerows([f"{v:.6g}" if isinstance(v, float) else v for v in dataclasses.astuple(row)] for row in rows)


def measure(field: FieldSet, target: float, levels: Sequence[int]) -> list[Row]:
    """A row for each level."""
    test, span = field.test, value_range(field.test)
    rms = target * span
    model = fit(field, math.sqrt(3.0) * rms)
    mean_error = math.inf
    if "t" in field.axes:
        mean_error = rms_error(test, np.broadcast_to(field.train.mean(axis=0, dtype=np.float64), test.shape))
    rows = []
    for level in levels:
        size, reached, asked = _encoded(field, model, level, target)
        # Where aecodec cannot be made as bad as asked for, the peers may be: that favours them.
        compared = reached if reached >= _NEAR * target else target
        peers = peers_at(test, field.axes, compared * span)
        best = min(peers, key=lambda codec: peers[codec].size)
        sizes = [peers[codec].size for codec in ("SZ3", "SPERR", "ZFP")]
        sizes.append(size_at(lambda error, level=level: _bounded(field, model, level, error), compared * span))
        about = (field.name, field.precision, target, level, asked, reached, compared, size)
        gain = peers[best].size / size
        rows.append(Row(*about, *sizes, best, peers[best].setting, test.nbytes, gain, mean_error / rms))
    return rows


def _encoded(field: FieldSet, model: aecodec.Model, level: int, target: float) -> tuple[int, float, float]:
    """(bytes, measured NRMSE, psnr asked for) nearest under the target.

    `psnr` holds for every channel, so that the error over all of them is often smaller than what was asked for; then it is asked
    for less.
    """
    test, span = field.test, value_range(field.test)
    ends = (float(test.min()), float(test.max()))
    psnr = -20.0 * math.log10(target)
    found: list[tuple[int, float, float]] = []
    for _ in range(_ATTEMPTS):
        packed = aecodec.compress(test, model, field.axes, level=level, embed_model=False, psnr=psnr, value_range=ends)
        reached = rms_error(test, aecodec.decompress(packed, model=model)) / span
        found.append((len(packed), reached, psnr))
        if reached == 0 or _NEAR * target <= reached <= target:
            break
        psnr = max(1.0, psnr - 20.0 * math.log10(target / reached))
    within = [attempt for attempt in found if attempt[1] <= target]
    return max(within, key=lambda attempt: attempt[1]) if within else min(found, key=lambda attempt: attempt[1])


def _bounded(field: FieldSet, model: aecodec.Model, level: int, bound: float) -> Coded:
    packed = aecodec.compress(field.test, model, field.axes, level=level, embed_model=False, max_error=bound)
    decoded = aecodec.decompress(packed, model=model)
    return Coded(len(packed), worst_error(field.test, decoded), rms_error(field.test, decoded), "")


def show(row: Row) -> None:
    """One line on the terminal."""
    ours, bounded = row.raw_size / row.aecodec_size, row.raw_size / row.aecodec_bounded_size
    peer = row.raw_size / min(row.sz3_size, row.sperr_size, row.zfp_size)
    print(
        f"{row.name:34} NRMSE {row.nrmse:g} (measured {row.aecodec_nrmse:.3g}), level {row.level}: {ours:.1f}:1 "
        f"(bounded {bounded:.1f}:1), best peer {row.best_peer} ({row.best_setting}) {peer:.1f}:1, "
        f"gain {row.gain_over_best_peer:.2f}",
        flush=True,
    )


def summary(rows: Sequence[Row]) -> Iterable[str]:
    """Geometric mean and worst gain at each NRMSE and level, of all sets and of those with neither mark."""
    for nrmse, level in dict.fromkeys((row.nrmse, row.level) for row in rows):
        here = [row for row in rows if (row.nrmse, row.level) == (nrmse, level)]
        plain = [row for row in here if not row.precision.startswith("step") and row.train_mean_over_nrmse > 1]
        for label, part in (("all", here), ("unmarked", plain)):
            if part:
                mean = math.exp(sum(math.log(row.gain_over_best_peer) for row in part) / len(part))
                worst = min(part, key=lambda row: row.gain_over_best_peer)
                yield (
                    f"gain at NRMSE {nrmse:g}, level {level}, {label} ({len(part)} sets): geometric mean {mean:.3f}, "
                    f"worst {worst.gain_over_best_peer:.3f} ({worst.name})"
                )
