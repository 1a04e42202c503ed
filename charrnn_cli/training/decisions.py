"""Measurements of this machine, and the decisions on what a configuration leaves open."""

import dataclasses
from dataclasses import dataclass
from typing import Literal

from charrnn_cli.config import TrainConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """The device settings and timings of this machine, measured before the run."""

    device: str
    precision: Literal["fp32", "bf16"]
    threads: int
    seconds_per_step: float
    evaluation_seconds: float
    """Seconds of one evaluation of all validation rows; 0 without validation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decisions:
    """The settings that a configuration may leave open, decided."""

    seed: int
    device: str
    precision: Literal["fp32", "bf16"]
    threads: int
    steps: int
    dropout: float
    eval_every: int
    """Steps between evaluations; 0 without validation."""
    val_rows: int
    """Rows of the validation text that every evaluation reads."""

    def recorded(self, config: TrainConfig) -> TrainConfig:
        """Return the configuration with nothing left open, as checkpoints record it."""
        return dataclasses.replace(
            config,
            seed=self.seed,
            device=self.device,
            precision=self.precision,
            threads=self.threads,
            epochs=None,
            max_steps=self.steps,
            max_time=None,
            dropout=self.dropout,
            eval_every=self.eval_every,
            val_rows=self.val_rows or None,
        )
