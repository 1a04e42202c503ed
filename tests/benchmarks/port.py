"""The baseline of the benchmarks: the well-known notebook's model and step in plain PyTorch."""

import torch
from torch import Tensor, nn
from torch.nn import functional

# B batch rows · T time · V vocabulary


class PlainPort(nn.Module):
    """One-hot input, a two-layer LSTM with dropout, a linear layer; float32."""

    def __init__(
        self, vocabulary_size: int, size: int = 512, layers: int = 2, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.vocabulary_size = vocabulary_size
        self.lstm = nn.LSTM(
            vocabulary_size, size, layers, dropout=dropout if layers > 1 else 0.0, batch_first=True
        )
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(size, vocabulary_size)
        self.optimizer = torch.optim.Adam(self.parameters(), lr=1e-3)
        self.state: tuple[Tensor, Tensor] | None = None

    def step(self, inputs_BT: Tensor, targets_BT: Tensor) -> float:
        """Run one training step; return the loss in nats per character."""
        one_hot_BTV = functional.one_hot(inputs_BT, self.vocabulary_size).float()
        state = None if self.state is None else (self.state[0].detach(), self.state[1].detach())
        hidden_BTH, self.state = self.lstm(one_hot_BTV, state)
        logits_BTV = self.output(self.dropout(hidden_BTH))
        loss = functional.cross_entropy(logits_BTV.flatten(0, 1), targets_BT.flatten())
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.parameters(), 5)
        self.optimizer.step()
        return loss.item()
