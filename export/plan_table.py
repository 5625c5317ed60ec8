"""The literal in aecodec/packing/plan_table.py: python -m export.plan_table prints it again after the costs in plan.py changed."""

from aecodec.packing.plan import HASTY, THRIFTY, plan_for_geometric
from aecodec.packing.plan_table import FIRST_STEP, LAST_STEP, MAGNITUDES


def row(magnitude: int, signed: bool, haste: float) -> str:
    """Ops of all steps, a letter each."""
    ops = (plan_for_geometric(step, magnitude, signed, haste) for step in range(FIRST_STEP, LAST_STEP + 1))
    return "".join(chr(ord("A") + op) for op in ops)


def main() -> None:
    """Print the literal."""
    print("_OPS = {")
    for haste, name in ((THRIFTY, "False"), (HASTY, "True")):
        for signed in (False, True):
            print(f"    ({name}, {signed}): (")
            for magnitude in range(MAGNITUDES):
                print(f'        "{row(magnitude, signed, haste)}",')
            print("    ),")
    print("}")


if __name__ == "__main__":
    main()
