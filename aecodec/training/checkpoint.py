"""Checkpoints: one safetensors file of all tensors, with a JSON record in its header; no pickle, replaced in one step."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from aecodec.container.durable import replace_durably
from aecodec.errors import FormatError, UsageError
from aecodec.training.average import State
from aecodec.training.config import differences, digest

FILE = "checkpoint.safetensors"
VERSION = 1
_RNG_BYTES = 1024  # room for numpy's state as JSON, so that all processes send as much


@dataclass(frozen=True)
class Checkpoint:
    """A folder that holds the state of one run, whose settings are the JSON object `settings`."""

    folder: Path
    settings: dict[str, Any]

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / FILE

    def save(self, tensors: State, record: dict[str, Any]) -> None:
        """Replace the checkpoint; a crash leaves the old one or the new one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = {"version": VERSION, "settings": self.settings, "settings_hash": digest(self.settings)}
        header = {"aecodec": json.dumps({**record, **settings})}
        temporary = self.folder / f".{FILE}.{os.getpid()}.tmp"
        try:
            save_file({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}, temporary, header)
            replace_durably(temporary, self.path)
        finally:
            temporary.unlink(missing_ok=True)

    def read(self) -> tuple[State, dict[str, Any]] | None:
        """Tensors and record; None if there is no checkpoint yet.

        Raises UsageError if it was made with other settings, naming them, FormatError if it is damaged.
        """
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, "pt") as file:
                record = json.loads((file.metadata() or {})["aecodec"])
                version, settings = record["version"], record["settings"]
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping, it only has keys()
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise FormatError(
                f"{self.path} is not a sound checkpoint ({str(error)[:100]}); delete it, or start over with resume=False"
            ) from None
        if version != VERSION:
            raise FormatError(f"{self.path} is a checkpoint of version {version}, this release reads {VERSION}; start over")
        if record["settings_hash"] != digest(self.settings):
            lines = "; ".join(differences(settings, self.settings)[:6])
            raise UsageError(
                f"{self.path} was made by a run with other settings: {lines}; give the same ones, another checkpoint folder, "
                "or resume=False (--no-resume) to start over"
            )
        return tensors, record


def with_prefix(prefix: str, state: State) -> State:
    """The same tensors under longer names."""
    return {f"{prefix}.{name}": tensor for name, tensor in state.items()}


def under_prefix(prefix: str, tensors: State) -> State:
    """The tensors whose names begin so, with that removed."""
    start = prefix + "."
    return {name[len(start) :]: tensor for name, tensor in tensors.items() if name.startswith(start)}


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> State:
    """The state of an optimizer that keeps tensors only, as AdamW does."""
    state: dict[int, dict[str, torch.Tensor]] = optimizer.state_dict()["state"]
    return {f"{index}.{key}": value for index, values in state.items() for key, value in values.items()}


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: State) -> None:
    """The inverse of `optimizer_tensors` for an optimizer of the same parameters."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = tensor.clone()
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def random_state(rng: np.random.Generator, device: torch.device) -> torch.Tensor:
    """The states of numpy's and torch's generators as one uint8 tensor."""
    text = json.dumps(rng.bit_generator.state).encode()
    numpy_part = torch.frombuffer(bytearray(text.ljust(_RNG_BYTES)), dtype=torch.uint8)
    parts = [numpy_part, torch.get_rng_state()]
    return torch.cat([*parts, torch.cuda.get_rng_state(device)] if device.type == "cuda" else parts)


def set_random_state(rng: np.random.Generator, device: torch.device, state: torch.Tensor) -> None:
    """The inverse of `random_state`."""
    rng.bit_generator.state = json.loads(state[:_RNG_BYTES].numpy().tobytes())
    size = torch.get_rng_state().numel()
    torch.set_rng_state(state[_RNG_BYTES : _RNG_BYTES + size].clone())
    if device.type == "cuda":
        torch.cuda.set_rng_state(state[_RNG_BYTES + size :].clone(), device)
