"""Sound files through soundfile (libsndfile; extra `audio`)."""

from pathlib import Path
from typing import Any

import numpy as np

from aecodec.errors import FormatError, UsageError, require_extra

_DTYPES = {
    "PCM_S8": "int16",
    "PCM_U8": "int16",
    "PCM_16": "int16",
    "PCM_24": "int32",
    "PCM_32": "int32",
    "DOUBLE": "float64",
    "ALAC_16": "int16",
}
_FORMATS = {
    ".wav": "WAV",
    ".w64": "W64",
    ".rf64": "RF64",
    ".flac": "FLAC",
    ".aif": "AIFF",
    ".aiff": "AIFF",
    ".au": "AU",
    ".caf": "CAF",
}
_RATE = 48_000


def load_audio(path: Path) -> tuple[np.ndarray, str, dict[str, Any]]:
    """A sound file as (array, axes, metadata): samples "x", or samples and channels "xc", int16, int32, float32 or float64.

    Samples of 8 and 24 bits are in the upper bits of int16 and int32, as libsndfile has them.
    """
    soundfile = _soundfile("reading sound")
    try:
        with soundfile.SoundFile(path) as file:
            array = file.read(dtype=_DTYPES.get(file.subtype, "float32"))
            metadata = {"source": "audio", "rate": file.samplerate, "subtype": file.subtype, "format": file.format}
    except (soundfile.LibsndfileError, TypeError, ValueError) as error:
        raise FormatError(f"{path} is not a sound file that libsndfile can read: {error}") from None
    return array, "xc" if array.ndim == 2 else "x", metadata


def save_audio(array: np.ndarray, metadata: dict[str, Any], path: Path, suffix: str) -> None:
    """The inverse of `load_audio`; of what has no metadata of sound, at 48 kHz."""
    soundfile = _soundfile("writing sound")
    form = _FORMATS.get(suffix.lower(), suffix[1:].upper())
    rate, subtype = metadata.get("rate"), metadata.get("subtype")
    rate = rate if isinstance(rate, int) and 0 < rate < 1 << 31 else _RATE
    if array.ndim not in (1, 2) or array.dtype.name not in ("int16", "int32", "float32", "float64"):
        raise UsageError(
            f"an array of shape {array.shape} and dtype {array.dtype} cannot be a {suffix} sound; use int16, int32 or floats, "
            "samples x channels, or a .npy output"
        )
    fits = isinstance(subtype, str) and soundfile.check_format(form, subtype)
    chosen = subtype if fits else {"int16": "PCM_16", "int32": "PCM_24", "float32": "FLOAT", "float64": "DOUBLE"}[array.dtype.name]
    try:
        soundfile.write(path, array, rate, chosen if soundfile.check_format(form, chosen) else None, format=form)
    except (soundfile.LibsndfileError, TypeError, ValueError) as error:
        raise UsageError(f"an array of shape {array.shape} cannot be a {suffix} sound ({error}); use a .npy output") from None


def _soundfile(purpose: str) -> Any:
    try:
        import soundfile
    except ImportError:
        raise require_extra("soundfile", "audio", purpose) from None
    except OSError as error:  # the wheel for this system has no libsndfile
        raise require_extra(f"libsndfile ({error})", "audio", purpose) from None
    return soundfile
