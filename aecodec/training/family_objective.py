"""Autoencoders of every family on the data of a plan: 1-D, 2-D and 3-D tiles, any number of channels."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from aecodec.codec.model import Model
from aecodec.models.bundle import Bundle
from aecodec.models.mixture import MOST_LATENTS
from aecodec.training.autoencoder import TileAutoencoder
from aecodec.training.autoencoder_export import Target, export_autoencoder
from aecodec.training.autoencoder_objective import WEIGHT, tile_basis
from aecodec.training.families import Family
from aecodec.training.layers import freeze_all
from aecodec.training.mixture_fit import fit_mixture
from aecodec.training.plan import Plan
from aecodec.training.samples import Samples
from aecodec.training.steps import StepRange
from aecodec.training.tile_layout import TileLayout

_BATCH = 8  # crops
_BASIS_CROPS, _EXAMPLES = 256, 16
_HELD_VALUES = 1 << 19
_SAMPLER_VALUES = 1 << 24
_HELD_STEPS = 4
_LOG_VARIANCE = -3.0  # of steps, to begin with: little beside what quantization adds
_LINEAR_PACE = 0.1
_FRAMES = 9  # of an example, for the predictor of the first slice

Batch = tuple[Tensor, Tensor, Tensor]  # clean and seen maps (n, tile values, rows, columns) in units of the scale, steps (n,)


class FamilyModule(nn.Module):
    """The network, what its family adds, and the loss: bits a value, `weight` for a squared error of one step, the penalty."""

    def __init__(self, network: TileAutoencoder, steps: StepRange, family: Family, weight: float) -> None:
        super().__init__()
        self.network, self.steps, self.family, self.weight = network, steps, family, weight
        self.hard = False
        rest = network.shape.latents - network.shape.first
        more = family.outputs(rest) - rest
        self.head = nn.Conv2d(network.shape.values, more, 1) if more else None
        if self.head is not None:
            nn.init.zeros_(self.head.weight)
            assert self.head.bias is not None
            nn.init.constant_(self.head.bias, _LOG_VARIANCE)

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """(loss, metrics) of a batch."""
        clean, seen, steps = batch
        sizes, kind, first = steps[:, None, None, None], self.steps.kind(steps), self.network.shape.first
        y = self.network.encode(seen / sizes, kind)
        rest = y[:, first:]
        outputs = rest if self.head is None else torch.cat([rest, self.head(seen / sizes)], 1)
        latents = torch.cat([y[:, :first], self.family.bottleneck(outputs, self.training and not self.hard)], 1)
        coded = self.network.code(latents, kind, self.hard)
        rate = (coded.bits / clean[0].numel()).mean()
        error = (coded.output - clean / sizes).square().mean()
        penalty = self.family.penalty(outputs) * (rest[0].numel() / clean[0].numel())
        metrics = {"rate": rate.detach(), "distortion": error.detach(), **self.family.metrics(outputs)}
        return rate + self.weight * error + penalty, metrics


class FamilyObjective:
    """Trains one on the crops of a plan; the closed form's basis, a KLT, is where its linear maps begin."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.layout = plan, TileLayout.of(plan)
        layout, data = self.layout, plan.data
        self.count = plan.batch_size or _BATCH
        self.flips = data.dtype == np.uint8 and layout.tile[0] == 1 and data.grid is None
        self.training, self.validation = (part.fitting(layout.window) for part in (data.training, data.validation))
        if not self.validation.pieces:
            self.validation = Samples([self._padded()], data.validation.fill)
        examples = self._in_units(data.training.crops(np.random.default_rng([plan.seed, 5]), _BASIS_CROPS, layout.window))
        tiles = layout.maps(examples).transpose(0, 2, 3, 1).reshape(-1, layout.shape.values)
        order = layout.basis_order()
        basis = np.empty((layout.shape.values,) * 2, np.float32)
        basis[:, order] = tile_basis(tiles[:, order], data.channels)
        network = TileAutoencoder(layout.shape, torch.from_numpy(basis[: layout.shape.latents]))
        weight = WEIGHT if plan.distortion_weight is None else plan.distortion_weight
        self.module = FamilyModule(network, layout.steps, plan.family, weight)
        most = max(2, _HELD_VALUES // int(np.prod(layout.window) * data.channels))
        held = self.validation.spread(layout.window, most)
        self.held = self._pair(held, np.random.default_rng([plan.seed, 6]))

    def _padded(self) -> np.ndarray:
        """The largest validation piece, its edges repeated to the size of a crop."""
        piece = max(self.plan.data.validation.pieces, key=lambda p: p.size)
        sizes = (self.layout.window[0], piece.shape[1], *self.layout.window[1:])
        for axis, size in enumerate(sizes):
            piece = piece.take(np.minimum(np.arange(max(size, piece.shape[axis])), piece.shape[axis] - 1), axis=axis)
        return piece

    def batch(self, rng: np.random.Generator) -> Batch:
        """Crops, as they are and as the family spoils them, each with a step drawn evenly in its logarithm."""
        clean, seen = self._pair(self.training.crops(rng, self.count, self.layout.window, self.flips), rng)
        steps = self.layout.steps
        drawn = steps.low * (steps.high / steps.low) ** rng.random(len(clean), dtype=np.float32)
        return clean, seen, torch.from_numpy(drawn.astype(np.float32))

    def validate(self) -> dict[str, float]:
        """Hard rates and distortions of held-out crops, spoiled too, at steps all over the range; "score": their mean loss."""
        module, rows = self.module, []
        device = next(module.parameters()).device
        was, module.hard = module.hard, True
        with torch.no_grad():
            for step in self.layout.steps.spread(_HELD_STEPS):
                for clean, seen in zip(*(torch.split(part, _BATCH) for part in self.held), strict=True):
                    loss, metrics = module((clean.to(device), seen.to(device), torch.full((len(clean),), step, device=device)))
                    rows.append((len(clean), {"score": float(loss), **{k: float(v) for k, v in metrics.items()}}))
        module.hard = was
        total = sum(count for count, _ in rows)
        return {name: sum(count * row[name] for count, row in rows) / total for name in rows[0][1]}

    def freeze(self) -> None:
        """Symbols are hard and layers whole-numbered from now on; the encoder stays as it is."""
        freeze_all(self.module.network.decoder)
        freeze_all(self.module.network.priors)
        self.module.hard = True

    def pace(self, name: str) -> float:
        """The linear maps, which the KLT begins, learn slowly."""
        return _LINEAR_PACE if name in ("network.analysis", "network.synthesis") else 1.0

    def export(self) -> Bundle:
        """The bundle, sealed and proven."""
        layout, data = self.layout, self.plan.data
        target = Target(data.axes, layout.tile, tuple(layout.offset.tolist()), tuple(layout.scale.tolist()))
        network = self.module.network.cpu()
        about: dict[str, Any] = {"method": "trained autoencoder", "family": self.plan.family.settings()}
        bundle = export_autoencoder(network, layout.steps, self._examples(), target, self.plan.family.name, about)
        return self._with_sampler(bundle) if self.plan.family.name == "variational" else bundle

    def _with_sampler(self, bundle: Bundle) -> Bundle:
        """With a mixture of the latents of training tiles, to draw new ones from; without, if there are too many latents."""
        if bundle.manifest.latents > MOST_LATENTS:
            return bundle
        model = Model(bundle, "cpu")
        t, rows, columns = self.layout.window
        most = max(2, _SAMPLER_VALUES // (t * rows * columns * self.plan.data.channels))
        windows = self.training.spread((t, rows, columns), most)
        latents = np.concatenate([model.latents(np.ascontiguousarray(window)) for window in windows])
        mixture = fit_mixture(latents, self.plan.seed)
        manifest = replace(bundle.manifest, samples=len(mixture.weights))
        return replace(bundle, manifest=manifest, sampler=mixture.to_bytes()).sealed()

    def _examples(self) -> Sequence[np.ndarray]:
        """Maps of consecutive frames where the data have several."""
        t, rows, columns = self.layout.window
        many = 1 if rows * columns == 1 else max(1, min(_FRAMES, max(len(p) for p in self.training.pieces) // t))
        windows = self.plan.data.training.spread((many * t, rows, columns), _EXAMPLES)
        return [self.layout.maps(self._in_units(window[None])) for window in windows]

    def _in_units(self, crops: np.ndarray) -> np.ndarray:
        shape = (1, 1, -1, 1, 1)
        layout = self.layout
        centred = crops - layout.offset.reshape(shape).astype(np.float32)
        return np.asarray(centred * (1.0 / layout.scale).reshape(shape).astype(np.float32), np.float32)

    def _pair(self, crops: np.ndarray, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Maps of crops as they are, and as the encoder sees them."""
        units = self._in_units(crops)
        clean = torch.from_numpy(self.layout.maps(units))
        spread = np.maximum(self.plan.data.spread / self.layout.scale, 1e-6).reshape(1, 1, -1, 1, 1).astype(np.float32)
        middle = ((self.plan.data.mean - self.layout.offset) / self.layout.scale).reshape(1, 1, -1, 1, 1).astype(np.float32)
        normal = (units - middle) / spread
        spoiled = self.plan.family.corrupt(normal, rng)
        if spoiled is normal:
            return clean, clean
        return clean, torch.from_numpy(self.layout.maps(np.asarray(spoiled * spread + middle, np.float32)))
