"""Files of numpy's own format, as memory maps."""

import tokenize
from pathlib import Path

import numpy as np

from aecodec.canonical import checked_dtype
from aecodec.errors import DtypeError, FormatError, TruncatedError

# numpy evaluates the literal that a header is, and what is none fails in any of Python's ways.
NPY_ERRORS = (ValueError, TypeError, KeyError, SyntaxError, OverflowError, RecursionError, MemoryError, tokenize.TokenError)


def load_npy(path: Path) -> np.ndarray:
    """A .npy file as a memory map."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except EOFError:
        raise TruncatedError(f"{path} is empty") from None
    except NPY_ERRORS as error:
        if isinstance(error, ValueError) and "object" in str(error).lower():
            raise DtypeError(f"{path} holds Python objects; save it as an array of numbers first") from None
        raise FormatError(f"{path} is not a sound .npy file: {str(error)[:200]}") from None
    checked_dtype(array.dtype)
    return np.asarray(array) if array.ndim == 0 else array
