"""SKAB's convolutional autoencoder, made anew in torch from its authors' description (github.com/waico/SKAB, core/Conv_AE.py).

Windows of 60 standardised points; convolutions of 32 and 16 filters over 7 points, each halving the length, and the same
backwards, with dropout of 0.2; the last layer has one filter, with which all channels are compared. Adam, batches of 32, at most
100 epochs, until the last tenth of the windows has not got better for 5 of them. A window's score is the sum over channels of the
mean absolute error.
"""

import numpy as np
import torch
from torch import nn

WINDOW = 60
_EPOCHS, _PATIENCE, _BATCH, _RATE, _DROPOUT, _HELD_OUT = 100, 5, 32, 1e-3, 0.2, 0.1


class SkabNetwork:
    """Trained on normal points (points, channels) when it is made."""

    def __init__(self, normal: np.ndarray) -> None:
        torch.set_num_threads(1)
        torch.manual_seed(0)
        self._mean, self._deviation = normal.mean(axis=0), np.maximum(normal.std(axis=0), 1e-9)
        self._net = nn.Sequential(
            *(nn.Conv1d(normal.shape[1], 32, 7, 2, 3), nn.ReLU(), nn.Dropout(_DROPOUT), nn.Conv1d(32, 16, 7, 2, 3), nn.ReLU()),
            *(nn.ConvTranspose1d(16, 16, 7, 2, 3, 1), nn.ReLU(), nn.Dropout(_DROPOUT)),
            *(nn.ConvTranspose1d(16, 32, 7, 2, 3, 1), nn.ReLU(), nn.Conv1d(32, 1, 7, 1, 3)),
        )
        for layer in self._net:
            if isinstance(layer, (nn.Conv1d, nn.ConvTranspose1d)):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)
        self._fit(self._windows(normal))

    def _fit(self, windows: torch.Tensor) -> None:
        count = len(windows) - max(1, int(len(windows) * _HELD_OUT))
        train, held_out = windows[:count], windows[count:]
        optimizer = torch.optim.Adam(self._net.parameters(), _RATE, eps=1e-7)
        best, waited = np.inf, 0
        for _ in range(_EPOCHS):
            self._net.train()
            for part in torch.randperm(count).split(_BATCH):
                loss = (self._net(train[part]) - train[part]).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            self._net.eval()
            with torch.no_grad():
                reached = float((self._net(held_out) - held_out).square().mean())
            best, waited = (reached, 0) if reached < best else (best, waited + 1)
            if waited == _PATIENCE:
                return

    def window_scores(self, x: np.ndarray) -> np.ndarray:
        """Of points (points, channels): float64 (points - 59,)."""
        with torch.no_grad():
            parts = [(part - self._net(part)).abs().mean(dim=2).sum(dim=1) for part in self._windows(x).split(256)]
        return torch.cat(parts).numpy().astype(np.float64)

    def _windows(self, x: np.ndarray) -> torch.Tensor:
        units = ((x - self._mean) / self._deviation).astype(np.float32)
        return torch.from_numpy(np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(units, WINDOW, axis=0)))
