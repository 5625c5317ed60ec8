"""How bytes and JSON are damaged: by flips, at random, or with the values that break parsers."""

import copy
import json
from collections.abc import Callable
from typing import Any

import numpy as np

XORS = (0x01, 0x80, 0xFF)
NASTY: list[Any] = [
    None, True, False, -1, 0, 1, 255, 2**31, 2**32, 2**53 + 1, 2**62, 2**63, 2**64, 10**30, 0.5, -0.0, 1e-308, 1e308, float("inf"),
    float("nan"), "", "t", "\0", "\ud800", "9" * 50, [], [[]], {}, {"": None}, [None] * 40, [0] * 5, "tczyx" * 8,
]  # fmt: skip

Random = np.random.Generator


def flipped(data: bytes, at: int, xor: int) -> bytes:
    """One byte changed."""
    return data[:at] + bytes([data[at] ^ xor]) + data[at + 1 :]


def _some_flips(data: bytearray, random: Random, _: bytes) -> bytearray:
    for at in random.integers(0, len(data), random.integers(1, 9)).tolist():
        data[at] ^= 1 << int(random.integers(8))
    return data


def _some_bytes(data: bytearray, random: Random, _: bytes) -> bytearray:
    for at in random.integers(0, len(data), random.integers(1, 5)).tolist():
        data[at] = int(random.choice([0, 1, 2, 127, 128, 254, 255, int(random.integers(256))]))
    return data


def _zeroed(data: bytearray, random: Random, _: bytes) -> bytearray:
    start, stop = _range(data, random)
    data[start:stop] = bytes(stop - start)
    return data


def _swapped(data: bytearray, random: Random, _: bytes) -> bytearray:
    size = int(random.integers(1, len(data) // 2 + 1))
    a = int(random.integers(0, len(data) - 2 * size + 1))
    b = int(random.integers(a + size, len(data) - size + 1))
    data[a : a + size], data[b : b + size] = data[b : b + size], data[a : a + size]
    return data


def _duplicated(data: bytearray, random: Random, _: bytes) -> bytearray:
    start, stop = _range(data, random)
    at = int(random.integers(0, len(data) + 1))
    data[at:at] = data[start:stop]
    return data


def _inserted(data: bytearray, random: Random, _: bytes) -> bytearray:
    at = int(random.integers(0, len(data) + 1))
    data[at:at] = random.bytes(int(random.integers(1, 40)))
    return data


def _deleted(data: bytearray, random: Random, _: bytes) -> bytearray:
    start, stop = _range(data, random)
    del data[start:stop]
    return data


def _spliced(data: bytearray, random: Random, other: bytes) -> bytearray:
    cut, start = int(random.integers(0, len(data) + 1)), int(random.integers(0, len(other) + 1))
    return data[:cut] + other[start:]


def _overwritten(data: bytearray, random: Random, other: bytes) -> bytearray:
    start, stop = _range(data, random)
    source = int(random.integers(0, max(1, len(other) - (stop - start))))
    data[start:stop] = other[source : source + stop - start]
    return data


DAMAGES: tuple[Callable[[bytearray, Random, bytes], bytearray], ...] = (
    _some_flips, _some_bytes, _zeroed, _swapped, _duplicated, _inserted, _deleted, _spliced, _overwritten,
)  # fmt: skip


def damaged(data: bytes, random: Random, other: bytes) -> bytes:
    """Random damage of one kind, or of a few; `other` is another file's bytes. May by chance be what it was."""
    changed = bytearray(data)
    for _ in range(int(random.choice([1, 1, 1, 2, 3]))):
        if len(changed) < 2:
            return bytes(changed)
        changed = DAMAGES[int(random.integers(len(DAMAGES)))](changed, random, other)
    return bytes(changed)


def _range(data: bytearray, random: Random) -> tuple[int, int]:
    start = int(random.integers(0, len(data)))
    return start, min(len(data), start + int(random.integers(1, max(2, min(len(data), 400)))))


def damaged_json(text: bytes, random: Random) -> bytes:
    """A JSON object with one or two of its values, at any depth, changed, gone, or there twice."""
    record = json.loads(text)
    for _ in range(int(random.integers(1, 3))):
        holder, key = _place(record, random)
        what = int(random.integers(8))
        if what == 0 and isinstance(holder, dict):
            del holder[key]
        elif what == 1 and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        elif what == 2 and isinstance(holder[key], (int, float)) and not isinstance(holder[key], bool):
            holder[key] = type(holder[key])(min(holder[key] * float(random.choice([-1, 0, 2, 3, 1e3, 1e9, 1e-9])), 1e300))
        else:
            holder[key] = copy.deepcopy(NASTY[int(random.integers(len(NASTY)))])
        if not record:
            break
    out = json.dumps(record).replace("Infinity", "1e999" if random.integers(2) else "Infinity")
    if random.integers(12) == 0 and out.startswith('{"'):
        out = out[:-1] + "," + out[1:]  # every key twice
    return out.encode()


def _place(record: Any, random: Random) -> tuple[Any, Any]:
    """(dict or list, key or position) of a value."""
    places: list[tuple[Any, Any]] = []

    def walk(holder: Any) -> None:
        for key, value in holder.items() if isinstance(holder, dict) else enumerate(holder):
            places.append((holder, key))
            if isinstance(value, (dict, list)) and value:
                walk(value)

    walk(record)
    return places[int(random.integers(len(places)))]
