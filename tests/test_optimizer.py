"""Our AdamW is torch's."""

import math

import pytest
import torch
from torch import nn

from charrnn_cli.config import TrainConfig
from charrnn_cli.optimizer import AdamW, learning_rate


@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_it_equals_torchs(clip: float) -> None:
    """Over 20 steps, decay on matrices alone, gradients clipped by their global norm."""
    torch.manual_seed(0)
    ours, theirs = nn.Linear(5, 4), nn.Linear(5, 4)
    theirs.load_state_dict(ours.state_dict())
    config = TrainConfig(lr=0.01, weight_decay=0.1, clip=clip)
    optimizer = AdamW(ours, config)
    groups = [{"params": [theirs.weight], "weight_decay": 0.1}, {"params": [theirs.bias], "weight_decay": 0.0}]
    reference = torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.99))
    for step in range(20):
        inputs = torch.randn(8, 5)
        gradients = torch.autograd.grad(5 * ours(inputs).square().sum(), tuple(ours.parameters()))
        assert optimizer.step(gradients, step, 0.01)
        reference.zero_grad()
        (5 * theirs(inputs).square().sum()).backward()
        if clip:
            nn.utils.clip_grad_norm_(theirs.parameters(), clip)
        reference.step()
    assert torch.allclose(ours.weight, theirs.weight, atol=1e-5)
    assert torch.allclose(ours.bias, theirs.bias, atol=1e-5)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_changes_nothing(value: float) -> None:
    layer = nn.Linear(2, 2)
    before = [parameter.clone() for parameter in layer.parameters()]
    optimizer = AdamW(layer, TrainConfig())
    assert not optimizer.step((torch.full((2, 2), value), torch.zeros(2)), 0, 0.1)
    assert all(torch.equal(old, new) for old, new in zip(before, layer.parameters(), strict=True))
    assert not any(moment.any() for moment in optimizer.state().values())


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_schedules(schedule: str) -> None:
    """Up to the peak in the warm-up; then to nothing at the end, or level."""
    config = TrainConfig.from_json({"lr": 0.1, "schedule": schedule, "warmup": 0.1})
    rates = [learning_rate(config, step, 100) for step in range(101)]
    assert rates[0] == pytest.approx(0.01)
    assert rates[9] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(0.1)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[100] == pytest.approx(0.1 if schedule == "constant" else 0.0, abs=1e-9)
