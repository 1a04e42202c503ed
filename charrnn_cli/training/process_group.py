"""Several processes that train one run: sums, rows and messages through torch.distributed."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any, cast

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import PrefixStore, rendezvous  # type: ignore[attr-defined]

from charrnn_cli.errors import ProcessLostError
from charrnn_cli.training.launch import Launch
from charrnn_cli.training.meeting import meet
from charrnn_cli.training.network import RecurrentState
from charrnn_cli.training.process_board import ProcessBoard, lost
from charrnn_cli.training.processes import Processes
from charrnn_cli.training.window import Share
from charrnn_cli.training.wishes import Wishes

# B batch rows · H hidden size · P parameters of the model

POLL = timedelta(seconds=0.5)  # handlers of signals do not run while torch waits
TIMED_SUMS = 5


class ProcessGroup(Processes):
    """The processes that a launcher started.

    Gradients, the loss and what each process wishes are added up in one tensor, so that a step
    takes one exchange. On GPUs, the wishes have an exchange of their own: it is over before the
    GPU's, so no process waits for its GPU.
    Every method that all processes call raises ProcessLostError if one of them does not.
    """

    def __init__(self, launch: Launch, board: ProcessBoard, *, shares_gpus: bool) -> None:
        super().__init__(Share(launch.rank, launch.size), launch.local_size)
        self.board, self._launch, self._shares_gpus = board, launch, shares_gpus
        self._sums_P: Tensor | None = None
        self._gradients: tuple[Tensor, ...] = ()

    @property
    def is_alone(self) -> bool:
        return False

    def device(self, name: str) -> torch.device:
        """Return the GPU of this process if the first process has one."""
        device = torch.device(name)
        if device.type != "cuda":
            return device
        device = torch.device("cuda", self._launch.local_rank % torch.cuda.device_count())
        torch.cuda.set_device(device)
        return device

    def add_up(
        self, loss: Tensor, gradients: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        if self._sums_P is None:
            self._make_sums(gradients, loss.device)
        assert self._sums_P is not None
        number = sum(tensor.numel() for tensor in gradients)
        torch._foreach_copy_(self._gradients, gradients)
        self._sums_P[number] = loss
        wishes = self.ask()
        asked = torch.tensor([wishes.stop, wishes.late, wishes.save, wishes.replan]).float()
        if wishes.stop:
            self.board.tell_stop()
        if loss.device.type == "cpu":
            self._sums_P[number + 1 :] = asked
            self._add(self._sums_P)
            asked = self._sums_P[number + 1 :]
        else:
            # NCCL's result is ready for what the GPU computes next; the CPU need not wait for it.
            self._add(self._sums_P, is_waited_for=self._shares_gpus)
            self._add(asked)
        self.agreed = Wishes(*(number > 0 for number in asked.tolist()))
        return self._sums_P[number].clone(), self._gradients

    def _make_sums(self, gradients: Sequence[Tensor], device: torch.device) -> None:
        """Make the tensor of all gradients, the loss and the wishes, and views of its parts."""
        sizes = [tensor.numel() for tensor in gradients]
        self._sums_P = torch.zeros(sum(sizes) + 1 + len(Wishes.__slots__), device=device)
        parts = torch.split(self._sums_P[: sum(sizes)], sizes)
        self._gradients = tuple(
            part.view(tensor.shape) for part, tensor in zip(parts, gradients, strict=True)
        )

    def total(self, *numbers: float) -> Sequence[float]:
        self.board.tell_stop()
        sums = torch.tensor(numbers, dtype=torch.float64)
        self._add(sums)
        return cast("list[float]", sums.tolist())

    def all_rows(self, state: RecurrentState, num_rows: int) -> RecurrentState:
        own = [tensor for layer in state for tensor in layer]
        # A process without rows knows no shapes, but others do.
        layers, kinds, size = self._largest(len(state), len(own), own[0].shape[-1] if own else 0)
        size_of_group = self.share.size
        counts = [Share(rank, size_of_group).count(num_rows) for rank in range(size_of_group)]
        padded = torch.zeros(kinds, max(counts), size)
        for kind, tensor in enumerate(own):
            padded[kind, : tensor.shape[1]] = tensor[0]
        gathered = [torch.empty_like(padded) for _ in counts]
        self._finish(lambda: dist.all_gather(gathered, padded, async_op=True))
        rows = [part[:, :count] for part, count in zip(gathered, counts, strict=True)]
        whole = torch.split(torch.cat(rows, dim=1)[:, None], kinds // layers)
        return [tuple(layer) for layer in whole]

    def _largest(self, *numbers: int) -> Sequence[int]:
        largest = torch.tensor(numbers)
        self._finish(lambda: dist.all_reduce(largest, dist.ReduceOp.MAX, async_op=True))
        return cast("list[int]", largest.tolist())

    def wait_for_first(self) -> None:
        self.board.wait_for_turn()

    # ---- messages of the first process

    def send(self, message: dict[str, Any], data: bytes = b"") -> None:
        """Send a message and data of any size from the first process to the others."""
        self.board.post({**message, "bytes": len(data)})
        if data:
            self._broadcast(torch.from_numpy(np.frombuffer(data, np.uint8).copy()))

    def receive(self) -> tuple[dict[str, Any], bytes]:
        """Wait, however long, for a message of the first process. Raises FirstEnded."""
        message = self.board.read()
        data_N = torch.empty(message.pop("bytes"), dtype=torch.uint8)
        if len(data_N):
            self._broadcast(data_N)
        return message, data_N.numpy().tobytes()

    def _broadcast(self, data_N: Tensor) -> None:
        self._finish(lambda: dist.broadcast(data_N, 0, async_op=True))

    def time_sum(self, parameters: int, device: torch.device) -> float:
        sums, seconds = torch.zeros(parameters, device=device), []
        for _ in range(TIMED_SUMS):
            before = time.monotonic()
            self._add(sums)
            sums[0].item()  # waits for the device
            seconds.append(time.monotonic() - before)
        return min(seconds)

    # ---- torch.distributed

    def _add(self, tensor: Tensor, *, is_waited_for: bool = True) -> None:
        self._finish(lambda: dist.all_reduce(tensor, async_op=True), is_waited_for=is_waited_for)

    def _finish(self, start: Callable[[], Any], *, is_waited_for: bool = True) -> None:
        """Start an exchange and wait for its end."""
        try:
            work = start()
            while is_waited_for and not work.is_completed():
                with contextlib.suppress(RuntimeError):  # not over yet, or else raised below
                    work.wait(POLL)
                    continue
                self.board.check_first(0)
            work.wait()
        except RuntimeError as error:
            self.board.check_first(1)
            raise lost() from error


@contextlib.contextmanager
def joined(
    launch: Launch, signum: Callable[[], int | None], on_stop: Callable[[int], None]
) -> Iterator[ProcessGroup]:
    """Join the processes of a launch for a `with` block.

    `signum` returns the signal that this process has received, if any, and `on_stop` gets one that
    another process has received. Raises ProcessLostError if not all processes join in time.
    """
    timeout = timedelta(seconds=launch.timeout)
    has_nccl = torch.cuda.is_available() and dist.is_nccl_available()
    shares_gpus = not has_nccl or launch.local_size > torch.cuda.device_count()
    try:
        store, rank, size = next(
            rendezvous("env://", rank=launch.rank, world_size=launch.size, timeout=timeout)
        )
        store.set_timeout(timeout)
        name = meet(PrefixStore("charrnn", store), launch)
        dist.init_process_group(
            "gloo" if shares_gpus else "cpu:gloo,cuda:nccl",
            store=PrefixStore(f"charrnn/{name}/group", store),
            rank=rank,
            world_size=size,
            timeout=timeout,
        )
    except (RuntimeError, TimeoutError) as error:
        address = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise ProcessLostError(
            f"the {launch.size} processes have not all met at {address}",
            hint="start all of them at the same time, with the same MASTER_ADDR and MASTER_PORT",
        ) from error
    board = ProcessBoard(PrefixStore(f"charrnn/{name}/board", store), launch, signum, on_stop)
    ended = threading.Event()
    if launch.is_first:
        threading.Thread(target=board.beat_until, args=(ended,), daemon=True).start()
    try:
        yield ProcessGroup(launch, board, shares_gpus=shares_gpus)
        dist.destroy_process_group()
    finally:
        ended.set()
