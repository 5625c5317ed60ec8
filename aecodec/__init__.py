"""Numeric arrays made many times smaller with trained autoencoders, every value within the error asked for.

data = aecodec.compress(array, axes="tcyx", max_error=1e-3)
array = aecodec.decompress(data)
with aecodec.open("run.aecz") as f: f.shape, f[100:110, 3]
"""

import importlib
from typing import TYPE_CHECKING, Any

from aecodec.errors import AecodecError, MissingError, MissingWarning
from aecodec.version import __version__

if TYPE_CHECKING:
    from aecodec.api.fitting import fit
    from aecodec.api.functions import compress, decompress, load_model, open  # noqa: A004  # as gzip and lzma name it
    from aecodec.api.incremental import Compressor, Decompressor
    from aecodec.api.reader import Reader
    from aecodec.api.recover import Recovery, recover
    from aecodec.api.verify import Verdict, verify
    from aecodec.api.writer import Writer
    from aecodec.codec.model import Model
    from aecodec.limits import Limits

__all__ = [
    "AecodecError",
    "Compressor",
    "Decompressor",
    "Limits",
    "MissingError",
    "MissingWarning",
    "Model",
    "Reader",
    "Recovery",
    "Verdict",
    "Writer",
    "__version__",
    "compress",
    "decompress",
    "fit",
    "load_model",
    "open",
    "recover",
    "verify",
]

_HOMES = {
    "Compressor": "aecodec.api.incremental",
    "Decompressor": "aecodec.api.incremental",
    "Limits": "aecodec.limits",
    "Model": "aecodec.codec.model",
    "Reader": "aecodec.api.reader",
    "Recovery": "aecodec.api.recover",
    "Verdict": "aecodec.api.verify",
    "Writer": "aecodec.api.writer",
    "fit": "aecodec.api.fitting",
    "recover": "aecodec.api.recover",
    "verify": "aecodec.api.verify",
}


def __getattr__(name: str) -> Any:
    """Import on first use, so that `import aecodec` and the command start fast."""
    if name == "training":  # a subpackage: it needs torch, and says so
        return importlib.import_module("aecodec.training")
    if name not in __all__:
        raise AttributeError(f"module 'aecodec' has no attribute {name!r}")
    found = getattr(importlib.import_module(_HOMES.get(name, "aecodec.api.functions")), name)
    globals()[name] = found
    return found
