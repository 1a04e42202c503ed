"""AdamW, the gradient norm, and schedules."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from charrnn_cli.config import TrainConfig
from charrnn_cli.training import optimizer as optimizer_module
from charrnn_cli.training.optimizer import AdamW, global_norm, learning_rate


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_it_equals_torchs(monkeypatch: pytest.MonkeyPatch, clip: float, fused: bool) -> None:
    """Over 20 steps, with and without torch's kernel, AdamW equals torch's own."""
    assert optimizer_module._FUSED is not None, "torch has renamed its kernel: use the new name"
    if not fused:
        monkeypatch.setattr(optimizer_module, "_FUSED", None)
    torch.manual_seed(0)
    ours, theirs = nn.Linear(5, 4), nn.Linear(5, 4)
    theirs.load_state_dict(ours.state_dict())
    config = TrainConfig(lr=0.01, weight_decay=0.1, clip=clip)
    optimizer = AdamW(ours, config)
    groups = [
        {"params": [theirs.weight], "weight_decay": 0.1},
        {"params": [theirs.bias], "weight_decay": 0.0},
    ]
    reference = torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.99))
    for step in range(20):
        inputs = torch.randn(8, 5)
        gradients = torch.autograd.grad(5 * ours(inputs).square().sum(), tuple(ours.parameters()))
        optimizer.step(gradients, global_norm(gradients), step, 0.01)
        reference.zero_grad()
        (5 * theirs(inputs).square().sum()).backward()
        if clip:
            nn.utils.clip_grad_norm_(theirs.parameters(), clip)
        reference.step()
    assert torch.allclose(ours.weight, theirs.weight, atol=1e-5)
    assert torch.allclose(ours.bias, theirs.bias, atol=1e-5)
    state = optimizer.state()
    for name, parameter in (("weight", theirs.weight), ("bias", theirs.bias)):
        assert torch.allclose(
            state[f"exp_avg.{name}"], reference.state[parameter]["exp_avg"], atol=1e-6
        )
        assert torch.allclose(
            state[f"exp_avg_sq.{name}"], reference.state[parameter]["exp_avg_sq"], atol=1e-6
        )


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_one_bad_element_shows_in_the_norm(value: float) -> None:
    """The norm is not finite if one element is not."""
    assert not global_norm((torch.zeros(2, 2), torch.tensor([0.0, value]))).isfinite()


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_schedules(schedule: str) -> None:
    """The rate rises to its peak in the warm-up, then falls to 0 or stays."""
    config = TrainConfig.from_json({"lr": 0.1, "schedule": schedule, "warmup": 0.1})
    rates = [learning_rate(config, step, 100) for step in range(101)]
    assert rates[0] == pytest.approx(0.01)
    assert rates[9] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(0.1)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[100] == pytest.approx(0.1 if schedule == "constant" else 0.0, abs=1e-9)


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
@pytest.mark.parametrize(("changed_at", "steps"), [(0, 40), (30, 50), (30, 31), (5, 60), (60, 200)])
def test_a_new_plan_continues_the_schedule(schedule: str, changed_at: int, steps: int) -> None:
    """Until the change, rates are as planned; then they go on from there to the same end."""
    planned = TrainConfig.from_json({"lr": 0.1, "schedule": schedule, "warmup": 0.1})
    changed = replace(planned, replanned_at=changed_at, replanned_from=100)
    before = [learning_rate(planned, step, 100) for step in range(101)]
    after = [learning_rate(changed, step, steps) for step in range(steps + 1)]
    assert after[: changed_at + 1] == before[: changed_at + 1]
    assert after[steps] == before[100]
    if changed_at >= 10:
        assert after[changed_at:] == sorted(after[changed_at:], reverse=True)
