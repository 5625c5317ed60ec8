"""The compiled module, where there is one: without a C compiler at hand, the library installs without it and is only slower."""

from types import ModuleType

kernels: ModuleType | None = None
try:
    from aecodec.compiled import _kernels
except ImportError:
    pass
else:
    kernels = _kernels
