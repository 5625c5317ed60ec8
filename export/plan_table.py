"""The literal in aecodec/packing/plan_table.py: python -m export.plan_table prints it, by packing with every layout (a minute).

Children are packed by the table as it is; printed and put in twice, it no longer changes much.
"""

from collections.abc import Iterator

import numpy as np

from aecodec.packing.plan import BYTES, HASTY, THRIFTY, layouts_of_geometric
from aecodec.packing.plan_table import FIRST_STEP, LAST_STEP, MAGNITUDES, SMALLEST
from aecodec.packing.stream import encode_stream


def best_layouts(magnitude: int, signed: bool) -> Iterator[tuple[int, int]]:
    """Thrifty and hasty op of each step for about 8**magnitude values."""
    count = 8**magnitude
    for step in range(FIRST_STEP, LAST_STEP + 1):
        p, layouts = layouts_of_geometric(step, signed)
        places = np.sort(np.random.default_rng(step + 1000).random(count))
        values = np.minimum(np.searchsorted(np.cumsum(p), places), p.size - 1).astype(np.uint16)
        np.random.default_rng(0).shuffle(values)
        layouts = [(op, time) for op, time in layouts if op != BYTES or int(values.max()) < 256]
        if count < SMALLEST or not values.any() or not layouts:
            yield BYTES, BYTES
            continue
        bits = {op: 8.0 * len(encode_stream(values, signed=signed, layout=op)) for op, _ in layouts}
        costs = {haste: {op: bits[op] + haste * time * count for op, time in layouts} for haste in (THRIFTY, HASTY)}
        yield min(costs[THRIFTY], key=costs[THRIFTY].__getitem__), min(costs[HASTY], key=costs[HASTY].__getitem__)


def main() -> None:
    """Print the literal."""
    found = {(s, m): list(best_layouts(m, s)) for s in (False, True) for m in range(MAGNITUDES)}
    print("_OPS = {")
    for hasty in (False, True):
        for signed in (False, True):
            print(f"    ({hasty}, {signed}): (")
            for magnitude in range(MAGNITUDES):
                print(f'        "{"".join(chr(ord("A") + ops[hasty]) for ops in found[signed, magnitude])}",')
            print("    ),")
    print("}")


if __name__ == "__main__":
    main()
