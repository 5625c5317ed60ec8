"""Each README table in Markdown, from the rows of one CSV."""

import csv
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

CODECS = ("SZ3", "SPERR", "ZFP", "aecodec fitted", "aecodec embedded")
BOUNDS = ("0.01", "0.001")
LEGEND = "\n`*` values on a hidden lattice, `i` integers, `=` the mean of the training split alone keeps what was asked for.\n"
Rows = list[dict[str, str]]


def rows_of(path: Path) -> Rows:
    """Rows of a CSV, without its comment lines."""
    return parsed(path.read_text(encoding="utf-8").splitlines())


def parsed(lines: Iterable[str]) -> Rows:
    """As `rows_of`, of the lines of a CSV."""
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def ratio(found: Rows, level: str, bounds: Sequence[str] = BOUNDS) -> str:
    """Times smaller than the raw array, a row per set and bound; `*` marks integers and values on a hidden lattice."""
    out = []
    for name in dict.fromkeys(row["name"] for row in found):
        for bound in bounds:
            here = {
                r["codec"]: r for r in found if r["name"] == name and r["fraction"] == bound and r.get("level", "") in ("", level)
            }
            if "aecodec fitted" not in here:
                continue
            star = "" if here["aecodec fitted"]["precision"] == "true" else " *"
            cells = [f"{float(here[codec]['ratio']):.1f}" for codec in CODECS]
            out.append([name + star, bound, *cells, here["aecodec with model"]["model_size"]])
    return markdown(["test set", "bound / range", *CODECS, "model bytes"], out)


def gains(found: Rows) -> str:
    """Gains over the best peer on each set: geometric means and worst, a row per level and bound."""
    out = []
    ours = [row for row in found if row["codec"] in CODECS[-2:]]
    for level, bound in dict.fromkeys((row["level"], row["fraction"]) for row in ours):
        here: dict[str, _Gains] = {}
        for row in ours:
            if (row["level"], row["fraction"]) == (level, bound):
                mark = _mark(row, "train_mean_error_over_bound")
                here.setdefault(row["name"], _Gains(row["name"], mark, [])).values.append(float(row["gain_over_best_peer"]))
        out += [[level, bound, label, *texts] for label, texts in _summary(list(here.values()))]
    out += _both(ours)
    return markdown(["level", "bound / range", "gain over the best peer", "fitted", "embedded"], out) + LEGEND


def _both(rows: Rows) -> list[list[str]]:
    """The geometric mean over all sets at the two usual bounds together, a row per level."""
    out = []
    for level in dict.fromkeys(row["level"] for row in rows):
        here = [row for row in rows if row["level"] == level and row["fraction"] in BOUNDS]
        texts = []
        for codec in CODECS[-2:]:
            gained = [math.log(float(row["gain_over_best_peer"])) for row in here if row["codec"] == codec]
            texts.append(f"{math.exp(sum(gained) / len(gained)):.2f}" if gained else "")
        count = sum(row["codec"] == CODECS[-1] for row in here)
        out.append([level, " and ".join(BOUNDS), f"**geometric mean of both** ({count})", *texts])
    return out


def networks(path: Path) -> str:
    """What networks save on each set, and what whole numbers cost of it."""
    out = []
    for row in rows_of(path):
        before, real, whole = (float(row[f"held_bits_{each}"]) for each in ("linear", "float", "whole"))
        out.append(
            [
                *(row["name"], row["fit_size"], row["network_size"], f"{float(row['smaller_percent']):.1f} %"),
                *(row["fit_model"], row["network_model"], row["network"], row["core_seconds"]),
                *(f"{100 * (1 - whole / before):.1f} %", f"{100 * (whole / real - 1):+.2f} %"),
            ]
        )
    header = ["test set", "fitted", "network", "smaller", "model bytes", "with network", "network", "core-seconds"]
    return markdown([*header, "smaller, held out", "cost of whole numbers"], out)


def shipped(path: Path) -> str:
    """Bytes of the test splits with no model, the shipped one, and fitted ones."""
    out = []
    for row in rows_of(path):
        cells = [row[key] if row[key] != "0" else "" for key in ("none", "shipped", "own", "fitted")]
        out.append([row["name"], row["fidelity"], row["model"], *cells, f"{float(row['saved_percent']):.1f} %", row["chosen"]])
    return markdown(["test set", "fidelity", "model", "none", "shipped", "own, embedded", "fitted, beside", "saved", "chosen"], out)


def nrmse(path: Path) -> str:
    """Times smaller at equal root mean square error, then means and worst of the gain over the best peer."""
    found, out = rows_of(path), []
    of_target: dict[str, list[_Gains]] = {}
    for row in found:
        mark = _mark(row, "train_mean_over_nrmse")
        raw, gain = float(row["raw_size"]), float(row["gain_over_best_peer"])
        of_target.setdefault(row["nrmse"], []).append(_Gains(row["name"], mark, [gain]))
        sizes = [raw / float(row[column]) for column in ("sz3_size", "sperr_size", "zfp_size", "aecodec_size")]
        out.append([row["name"] + mark, row["nrmse"], *(f"{size:.1f}" for size in sizes), f"{gain:.2f}"])
    for target, values in of_target.items():
        out += [[label, target, *[""] * 4, *texts] for label, texts in _summary(values)]
    return markdown(["test set", "NRMSE", "SZ3", "SPERR", "ZFP", "aecodec psnr, fitted", "gain"], out) + LEGEND


@dataclass(frozen=True)
class _Gains:
    """Of one set, over the best peer, one for each way aecodec is used."""

    name: str
    mark: str
    values: list[float]


def _summary(found: list[_Gains]) -> list[tuple[str, list[str]]]:
    """(label, texts) of the geometric means of all sets and of those without `*` and `=`, and of the worst gains."""
    plain = [gain for gain in found if not set(gain.mark) & {"*", "="}]
    out = []
    for label, part in (("geometric mean", found), ("geometric mean without `*` and `=`", plain)):
        if part:
            columns = zip(*(gain.values for gain in part), strict=True)
            means = [f"{math.exp(sum(map(math.log, column)) / len(part)):.2f}" for column in columns]
            out.append((f"**{label}** ({len(part)})", means))
    worst = [min((gain.values[i], gain.name) for gain in found) for i in range(len(found[0].values))]
    return [*out, ("**worst**", [f"{gain:.2f} ({name})" for gain, name in worst])]


def _mark(row: dict[str, str], mean_column: str) -> str:
    lattice = " *" if row["precision"].startswith("step") else " i" if row["precision"] == "integer" else ""
    return lattice + (" =" if float(row[mean_column]) <= 1 else "")


def speed(path: Path) -> str:
    """MB/s both ways and ratios to SZ3's; then start-up, messages and fitting in a line each."""
    found, out, lines = rows_of(path), [], []
    for row in found:
        if row["kind"] == "throughput":
            codec = row["codec"] + (f" level {row['level']}" if row["level"] else "")
            over = [f"{float(row[column]):.2f}" if row[column] else "" for column in ("in_over_sz3", "out_over_sz3")]
            speeds = [f"{float(row[column]):.0f}" for column in ("mb_s_in", "mb_s_out")]
            cells = [row["name"], row["fraction"] or "lossless", codec, row["threads"]]
            out.append([*cells, *speeds, *over, f"{float(row['ratio']):.2f}"])
        elif row["kind"] == "fit":
            lines.append(f"- fitting {row['name']}: {float(row['mb_s_in']):.0f} MB/s")
        else:
            back = f" in, {float(row['ms_out']):.2f} ms out, {float(row['ratio']):.2f}:1" if row["ms_out"] else ""
            lines.append(f"- {row['kind']}, {row['name']}: {float(row['ms_in']):.2f} ms{back}")
    lines = [*_headline(found), *lines]
    header = ["array", "bound / range", "codec", "threads", "MB/s in", "MB/s out", "in / SZ3", "out / SZ3", "ratio"]
    return markdown(header, out) + "\n" + "\n".join(lines) + "\n"


def _headline(rows: Rows) -> list[str]:
    """Level 1 against SZ3, one thread each, over all arrays and bounds: smallest, median and largest of what is measured."""
    pairs = []
    for row in rows:
        if (row["codec"], row["level"], row["threads"]) == ("aecodec", "1", "1"):
            same = (row["name"], row["fraction"])
            theirs = next(r for r in rows if r["codec"] == "SZ3" and (r["name"], r["fraction"]) == same)
            ratio_over = float(row["ratio"]) / float(theirs["ratio"])
            pairs.append((float(row["in_over_sz3"]), float(row["out_over_sz3"]), ratio_over))
    if not pairs:
        return []
    texts = [f"{min(c):.2f} to {max(c):.2f} (median {statistics.median(c):.2f})" for c in zip(*pairs, strict=True)]
    return [f"- level 1 over SZ3, one thread each: speed in {texts[0]}, out {texts[1]}, ratio {texts[2]}"]


def packing(path: Path) -> str:
    """Overhead over the entropy and MB/s each way; a row per source and size, a column per packer."""
    found = rows_of(path)
    names = list(dict.fromkeys(row["packer"] for row in found))
    out = []
    for kind, count in dict.fromkeys((row["kind"], row["symbols"]) for row in found):
        here = {row["packer"]: row for row in found if (row["kind"], row["symbols"]) == (kind, count)}
        first = next(iter(here.values()))
        cells = [
            f"{float(r['overhead_percent']):.2f} %, {float(r['mb_s_in']):.0f} / {float(r['mb_s_out']):.0f}" if r else ""
            for r in map(here.get, names)
        ]
        out.append([kind, count, first["dtype"], f"{float(first['bits_per_symbol']):.3f}", *cells])
    return markdown(["symbols", "count", "type", "bits", *(f"{name}: over, MB/s in / out" for name in names)], out) + _targets(
        found
    )


def _targets(rows: Rows) -> str:
    """How far aecodec is from 1 % and 300 MB/s at 1 Mi symbols (1e6 counts too) and more."""
    lines = []
    for packer in dict.fromkeys(row["packer"] for row in rows if row["packer"].startswith("aecodec")):
        large = [row for row in rows if row["packer"] == packer and int(row["symbols"]) >= 1_000_000]
        if not large:
            continue
        over = [float(row["overhead_percent"]) for row in large]
        there, back = ([float(row[column]) for row in large] for column in ("mb_s_in", "mb_s_out"))
        lines.append(
            f"- {packer}, {len(large)} rows of a million symbols and more: {sum(v <= 1.0 for v in over)} within 1 % "
            f"(worst {max(over):.2f} %); at 300 MB/s: {sum(v >= 300 for v in there)} in (slowest {min(there):.0f}), "
            f"{sum(v >= 300 for v in back)} out (slowest {min(back):.0f})"
        )
    return "\n" + "\n".join(lines) + "\n" if lines else ""


def lossless(path: Path) -> str:
    """Times smaller than the raw test arrays, a row per set; then the geometric mean of sizes over the best peer's, by group."""
    found = [row for row in rows_of(path) if row["part"] == "test"]
    ours = [codec for codec in dict.fromkeys(row["codec"] for row in found) if codec.startswith("aecodec")]
    out, over = [], {}
    for name in dict.fromkeys(row["name"] for row in found):
        here = [row for row in found if row["name"] == name]
        best = min((row for row in here if row["codec"] not in ours), key=lambda row: int(row["size"]))
        by = {row["codec"]: row for row in here}
        out.append(
            [name, best["group"], *(f"{float(by[c]['ratio']):.2f}" for c in ours), f"{float(best['ratio']):.2f}", best["codec"]]
        )
        over.setdefault(best["group"], []).append([float(by[c]["over_best_peer"]) for c in ours])
    for group, sizes in over.items():
        means = [f"{math.exp(sum(map(math.log, column)) / len(sizes)):.3f}" for column in zip(*sizes, strict=True)]
        out.append([f"**size over the best peer's** ({len(sizes)})", group, *means, "1", ""])
    return markdown(["test array", "values", *ours, "best peer", "which"], out)
