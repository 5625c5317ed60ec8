"""Operators that onnx's reference implementation computes value by value in Python, here in numpy: the same sums."""

from typing import Any

import numpy as np
from onnx.reference.ops.op_conv_transpose import ConvTranspose as Naive


class ConvTranspose(Naive):
    """Transposed convolution: the product with each tap, shifted and added. With strides, groups or dilations: onnx's own."""

    def _run(self, x: Any, w: Any, b: Any = None, **attributes: Any) -> tuple[np.ndarray]:  # type: ignore[override]  # onnx's is untyped
        pads = attributes.get("pads")
        usual = {"pads", "kernel_shape"} >= {name for name, value in attributes.items() if not _is_default(name, value)}
        if x.ndim != 4 or pads is None or not usual:
            return super()._run(x, w, b, **attributes)  # type: ignore[no-untyped-call]  # as above
        (_, outputs, height, width), (n, _, rows, columns) = w.shape, x.shape
        whole = np.zeros((n, outputs, rows + height - 1, columns + width - 1), x.dtype)
        for i, j in np.ndindex(height, width):
            whole[:, :, i : i + rows, j : j + columns] += np.einsum("nchw,cm->nmhw", x, w[:, :, i, j])
        top, left, bottom, right = pads
        found = whole[:, :, top : whole.shape[2] - bottom, left : whole.shape[3] - right]
        return (found if b is None else found + b.reshape(1, -1, 1, 1),)


def _is_default(name: str, value: Any) -> bool:
    if value is None or (name == "auto_pad" and value == "NOTSET") or (name == "group" and value == 1):
        return True
    return name in ("strides", "dilations") and all(v == 1 for v in value)
