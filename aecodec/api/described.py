"""What a lazy array tells of itself as numpy's arrays do, and of the fidelity that it was written with."""

import math

import numpy as np

from aecodec.api.arrayfile import ArrayFile
from aecodec.api.header import Header
from aecodec.fidelity import Fidelity


class Described:
    """Base of a class that has an `ArrayFile`."""

    _array: ArrayFile

    @property
    def header(self) -> Header:
        """The first part's header; its spec has length 0 along the stream axis."""
        return self._array.header

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array, missing steps included."""
        return self._array.spec.shape

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the array, with its byte order."""
        return self._array.spec.dtype

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the decoded array."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def axes(self) -> str:
        """One letter per dimension."""
        return self._array.spec.axes.letters

    @property
    def fidelity(self) -> Fidelity:
        """What was asked of the reconstruction, in the first part."""
        return self.header.fidelity

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of a 0-d array")
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<aecodec.Reader {self.shape} {self.dtype} axes={self.axes!r} {self.fidelity.kind}>"
