"""Restorers on the data of a plan: networks that undo noise, gaps, blur and low resolution, given how strong these are."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from aecodec.errors import UsageError
from aecodec.models.bundle import Bundle
from aecodec.models.restores import CONDITIONS, MISSING, TASKS, Restores
from aecodec.training.plan import Plan
from aecodec.training.restorer_export import restorer_graph
from aecodec.training.restorer_network import Restorer, RestorerShape
from aecodec.training.samples import Window
from aecodec.training.spoiling import Spoiler

_BATCH, _SIDE, _LENGTH = 8, 64, 512
_HELD = 64  # crops that are validated
_MISSING_WEIGHT = 1.5  # of what was missing, in the loss
_SMOOTH = 1e-3  # of the range: where the loss turns from a square into a magnitude
_LEAST = 8  # rows and columns, or steps

Batch = tuple[Tensor, Tensor]


class RestorerModule(nn.Module):
    """The network and its loss: Charbonnier's, a smooth mean magnitude, which learns fast; at last what PSNR goes by.

    `coarse`: on CPUs with instructions for bfloat16, learn in it, about twice as fast; too coarse for fields of real numbers.
    """

    def __init__(self, network: Restorer, coarse: bool) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        self.coarse = coarse and bool(torch.cpu.get_capabilities().get("avx512_bf16"))
        self.last: Tensor
        self.register_buffer("last", torch.tensor(False))

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """(loss, metrics) of planes and the clean middle frames."""
        planes, clean = batch
        coarse = self.coarse and self.training and planes.device.type == "cpu"
        with torch.autocast("cpu", torch.bfloat16) if coarse else nullcontext():
            restored = self.network(planes.contiguous(memory_format=torch.channels_last))
        error = restored - clean
        squares = error.square().mean((1, 2, 3))
        loss = self._deviation(squares) if self.last else self._magnitude(error, planes)
        return loss, {"psnr": -10.0 * torch.log10(squares.detach() + 1e-12).mean()}

    @staticmethod
    def _magnitude(error: Tensor, planes: Tensor) -> Tensor:
        first = planes.shape[1] - CONDITIONS
        weight = 1.0 + (_MISSING_WEIGHT - 1.0) * planes[:, first + MISSING : first + MISSING + 1]
        return (weight * torch.sqrt(error.square() + _SMOOTH**2)).mean()

    @staticmethod
    def _deviation(squares: Tensor) -> Tensor:
        """The mean over crops of each one's root mean square: the tasks weigh as before, large errors more."""
        return torch.sqrt(squares + _SMOOTH**2).mean()


class RestorerObjective:
    """Trains one on the crops of a plan, each spoiled anew; images of 8 bits have the range 0 to 255, others their own.

    `tasks`: those that it is to learn. A plan's tile says how many frames it sees; `width`, its channels at half resolution.
    """

    def __init__(self, plan: Plan, tasks: tuple[str, ...] = TASKS) -> None:
        self.plan, self.tasks, data = plan, tasks, plan.data
        frames = 1 if plan.tile is None else plan.tile[0]
        rows, columns = (min(n) for n in zip(*(piece.shape[2:] for piece in data.training.pieces), strict=True))
        length = max(len(piece) for piece in data.training.pieces)
        self.series = rows * columns == 1
        if frames % 2 != 1 or (self.series and frames > 1) or frames > length:
            raise UsageError(
                f"a restorer sees an odd number of frames that the data have, and series whole; found a tile of {frames}"
            )
        if min((length,) if self.series else (rows, columns)) < _LEAST:
            raise UsageError(
                f"a restorer needs arrays of {_LEAST} rows and columns, or steps of a series; found {rows} x {columns}"
            )
        self.window: Window = (
            (min(_LENGTH, _whole(length)), 1, 1) if self.series else (frames, min(_SIDE, _whole(rows)), min(_SIDE, _whole(columns)))
        )
        self.image = data.dtype == np.uint8
        self.shape = _shape(data.channels, frames, self.series, self.image and not self.series, plan.width)
        least = data.low + np.maximum(np.abs(data.low), 1.0) * 1e-6  # for what is constant
        self.low: np.ndarray = np.zeros(data.channels) if self.image else data.low
        self.high: np.ndarray = np.full(data.channels, 255.0) if self.image else np.maximum(data.high, least)
        self.spoiler = Spoiler(tasks, self.image and data.channels == 3)
        self.training, self.validation = (part.fitting(self.window) for part in (data.training, data.validation))
        if not self.validation.pieces:
            self.validation = self.training
        self.count = plan.batch_size or _BATCH
        self.module = RestorerModule(Restorer(self.shape), self.image)
        self.held = self._pair(self.validation.spread(self.window, _HELD), np.random.default_rng([plan.seed, 6]))

    def batch(self, rng: np.random.Generator) -> Batch:
        """Planes and clean middle frames."""
        return self._pair(self.training.crops(rng, self.count, self.window, self.image), rng)

    def validate(self) -> dict[str, float]:
        """The loss of held-out crops, always spoiled alike, and their mean PSNR."""
        device = next(self.module.parameters()).device
        rows = []
        with torch.no_grad():
            for planes, clean in zip(*(torch.split(part, _BATCH) for part in self.held), strict=True):
                loss, metrics = self.module((planes.to(device), clean.to(device)))
                rows.append((len(clean), float(loss), float(metrics["psnr"])))
        total = sum(row[0] for row in rows)
        return {name: sum(row[0] * row[at] for row in rows) / total for at, name in ((1, "score"), (2, "psnr"))}

    def freeze(self) -> None:
        """On to the last loss; the weights stay real, as a restorer decodes nothing."""
        self.module.last.fill_(True)

    def export(self) -> Bundle:
        """The plan's model with the restorer in it."""
        restores = Restores(
            self.tasks, self.shape.frames, tuple(self.low.tolist()), tuple(self.high.tolist()), self.shape.multiple, self.shape.halo
        )
        graph = restorer_graph(self.module.network.cpu())
        bundle = self.plan.start.bundle
        return replace(bundle, manifest=replace(bundle.manifest, restores=restores), restorer=graph).sealed()

    def _pair(self, crops: np.ndarray, rng: np.random.Generator) -> Batch:
        shape = (1, 1, -1, 1, 1)
        low, span = (v.reshape(shape).astype(np.float32) for v in (self.low, self.high - self.low))
        units = (crops - low) / span
        if self.series:
            units = np.ascontiguousarray(units.transpose(0, 3, 2, 4, 1))  # steps become columns
        planes, clean = self.spoiler(units, rng)
        return torch.from_numpy(planes), torch.from_numpy(clean)


def _whole(size: int) -> int:
    return size // 8 * 8


def _shape(channels: int, frames: int, series: bool, image: bool, width: int | None) -> RestorerShape:
    """Photographs are of fine detail, where most of the work is then done; fields and series are smooth and need a longer reach."""
    if image:
        wide = 48 if width is None else width
        return RestorerShape(channels, frames, series, (wide, wide * 4 // 3, wide * 4 // 3), (1, 1, 1, 1, 3))
    wide = 32 if width is None else width
    return RestorerShape(channels, frames, series, (wide, 2 * wide, 3 * wide), (1, 1, 2, 2, 2))
