"""Numbers and fidelities as options give them."""

from typing import Any

from aecodec.errors import UsageError


def fidelity_of(
    max_error: str | None,
    max_range_error: float | None,
    max_point_error: float | None,
    psnr: float | None,
    quality: float | None,
    lossless: bool,
    value_range: str | None,
) -> dict[str, Any]:
    """The fidelity options as `make_options` takes them."""
    return {
        "max_error": numbers_of(max_error, "--max-error"),
        "max_range_error": max_range_error,
        "max_point_error": max_point_error,
        "psnr": psnr,
        "quality": quality,
        "lossless": lossless or None,
        "value_range": numbers_of(value_range, "--value-range"),
    }


def numbers_of(text: str | None, option: str) -> float | list[float] | None:
    """ "0.1" or "0.1,0.2": one number, or one per channel."""
    if text is None:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"{option} {text!r} is not a number, or numbers with commas") from None
    return numbers if len(numbers) > 1 else numbers[0]
