"""A prototype of n-gram tables on a GPU, compared with those of the package in numpy."""

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from charrnn_cli.model.ngram_pairs import Keys
from charrnn_cli.model.ngram_reader import FLOOR
from charrnn_cli.model.ngrams import NgramModel
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.ngram_inputs import NgramInputs, ngram_inputs
from charrnn_cli.training.windows import make_windows
from tests.benchmarks.gpu_bench import Bench, shaped, verdict

# R positions · K highest order · V vocabulary · C contexts and P pairs of all orders
# S pairs that were seen after the contexts of all orders

Q_BOUND = 1e-6
LOWEST = -(1 << 63)


def signed(keys: Keys) -> npt.NDArray[np.int64]:
    """Return keys as signed numbers in the same order: torch cannot search unsigned ones."""
    return (keys ^ np.uint64(1 << 63)).view(np.int64)


@dataclass(frozen=True)
class Positions:
    """R positions of the text, and what the n-grams may know of it; see `NgramText.inputs`."""

    at: Tensor
    shown: Tensor
    counted: Tensor
    """Characters before each position in its span when it was counted; 0 if it was not."""


class DeviceTables:
    """`NgramModel.distributions` in torch, with a text and the tables on a device."""

    def __init__(self, ngrams: NgramModel, ids_N: npt.NDArray[np.int64], device: str) -> None:
        def on_device(array: npt.NDArray[np.generic]) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(device)

        self.text_N = on_device(ids_N)
        self.size, self.order, orders = ngrams.vocabulary_size, ngrams.order, ngrams.orders
        self.contexts = [on_device(signed(pairs.contexts)) for pairs in orders]
        self.keys = [on_device(signed(pairs.keys)) for pairs in orders]
        self.first = [on_device(pairs.first) for pairs in orders]
        self.totals = [on_device(pairs.totals) for pairs in orders]
        self.reserved = [on_device(pairs.reserved) for pairs in orders]
        counts_P = np.concatenate([pairs.counts.astype(np.int32) for pairs in orders])
        self.counts_P = on_device(counts_P)
        self.ids_P = on_device(np.concatenate([pairs.ids.astype(np.int32) for pairs in orders]))
        lengths = [len(pairs.keys) for pairs in orders]
        self.offsets = [sum(lengths[:length]) for length in range(self.order)]
        self.discounts_K4 = on_device(np.stack([pairs.discounts for pairs in orders]))
        self.back_K = torch.arange(1, self.order, device=device)
        self.orders_K1 = torch.arange(self.order, device=device)[:, None]

    def num_bytes(self) -> int:
        """Return the memory that the tables and the text take on the device."""
        lists = (self.contexts, self.keys, self.first, self.totals, self.reserved)
        tensors = [tensor for each in lists for tensor in each]
        return sum(each.nbytes for each in (*tensors, self.counts_P, self.ids_P, self.text_N))

    def inputs(self, positions: Positions) -> Tensor:
        """Return the inputs of the network, (R, V), in float32."""
        log_RV = self.distributions(positions).clamp(min=FLOOR).float().log()
        return log_RV - log_RV.mean(dim=1, keepdim=True)

    def distributions(self, positions: Positions) -> Tensor:
        """Return q, (R, V), in float64; leaves out what was counted at the positions."""
        read_R = positions.at.clamp(0, self.order - 1)
        before_RK = self.text_N[(positions.at[:, None] - self.back_K).clamp(min=0)]
        targets_R = self.text_N[positions.at.clamp(min=0)]
        keys_R, keys = torch.zeros_like(read_R), []
        for length in range(self.order):
            keys.append(keys_R)
            if length < self.order - 1:
                keys_R = keys_R + before_RK[:, length] * self.size**length
        shown_R = torch.minimum(positions.shown, read_R)
        gone = self._gone(keys, targets_R, positions.counted)
        factors_R = torch.ones(len(read_R), dtype=torch.float64, device=read_R.device)
        scales, starts, lengths = [], [], []
        for length in range(self.order - 1, -1, -1):
            own_R = torch.where(gone[length][0], gone[length][1], 0)
            context_R, is_used_R = self._find(self.contexts[length], keys[length])
            totals_R = self.totals[length][context_R] - own_R.clamp(max=1)
            is_used_R &= (shown_R >= length) & (totals_R > 0)
            scales_R = torch.where(is_used_R, factors_R / totals_R.clamp(min=1), 0.0)
            reserved_R = self.reserved[length][context_R] - self._saved(length, own_R)
            factors_R = torch.where(is_used_R, reserved_R * scales_R, factors_R)
            first_R, last_R = (self.first[length][context_R + each] for each in (0, 1))
            scales.append(scales_R)
            starts.append(first_R + self.offsets[length])
            lengths.append(torch.where(is_used_R, last_R - first_R, 0))
        q_RV = (factors_R / self.size)[:, None].repeat(1, self.size)
        each_KR = [torch.stack(found[::-1]) for found in (scales, starts, lengths)]
        is_gone_KR = torch.stack([each for each, _ in gone])
        self._add_terms(q_RV, each_KR[0], each_KR[1], each_KR[2], is_gone_KR, targets_R)
        return q_RV

    def _find(self, sorted_C: Tensor, keys_R: Tensor) -> tuple[Tensor, Tensor]:
        wanted_R = keys_R ^ LOWEST
        places_R = torch.searchsorted(sorted_C, wanted_R).clamp(max=len(sorted_C) - 1)
        return places_R, sorted_C[places_R] == wanted_R

    def _gone(
        self, keys: list[Tensor], targets_R: Tensor, counted_R: Tensor
    ) -> list[tuple[Tensor, Tensor]]:
        """Return for each order whether the target's own count is lower by 1, and that count."""
        longest_R = counted_R.clamp(max=self.order - 1)
        is_last_R = torch.zeros_like(counted_R, dtype=torch.bool)
        gone: list[tuple[Tensor, Tensor]] = []
        for length in range(self.order - 1, -1, -1):
            is_gone_R = is_last_R | ((longest_R == length) & (counted_R > 0))
            pair_R, is_known_R = self._find(self.keys[length], keys[length] * self.size + targets_R)
            counts_R = torch.where(is_known_R, self.counts_P[pair_R + self.offsets[length]], 0)
            gone.append((is_gone_R, counts_R))
            is_last_R = is_gone_R & (counts_R == 1)
        return gone[::-1]

    def _saved(self, length: int, own_R: Tensor) -> Tensor:
        """Return how much less is reserved where a count `own_R` is lower by 1; 0 for 0."""
        discounts_4 = self.discounts_K4[length]
        lower_R = (own_R - 1).clamp(min=0)
        return discounts_4[own_R.clamp(max=3)] - discounts_4[lower_R.clamp(max=3)]

    def _add_terms(
        self,
        q_RV: Tensor,
        scales_KR: Tensor,
        starts_KR: Tensor,
        lengths_KR: Tensor,
        is_gone_KR: Tensor,
        targets_R: Tensor,
    ) -> None:
        """Add what the pairs of each order add, in place."""
        rows = len(targets_R)
        ends = lengths_KR.sum(dim=1).cumsum(0).tolist()  # the only wait for the device
        lengths = lengths_KR.flatten()
        places_S = torch.repeat_interleave(lengths, output_size=ends[-1])
        firsts = starts_KR.flatten() - (lengths.cumsum(0) - lengths)
        pairs_S = firsts[places_S] + torch.arange(ends[-1], device=q_RV.device)
        ids_S, rows_S = self.ids_P[pairs_S].long(), places_S % rows
        counts_S = self.counts_P[pairs_S].long()
        counts_S -= (is_gone_KR.flatten()[places_S] & (ids_S == targets_R[rows_S])).long()
        table = self.discounts_K4.flatten()
        discounts_S = table[4 * (places_S // rows) + counts_S.clamp(max=3)]
        terms_S = (counts_S - discounts_S) * scales_KR.flatten()[places_S]
        flat, targets_S, begin = q_RV.view(-1), rows_S * self.size + ids_S, 0
        for end in ends:  # within an order, no element occurs twice, so the sum has one order
            some = targets_S[begin:end]
            flat[some] = flat[some] + terms_S[begin:end]
            begin = end


def measure_tables(bench: Bench) -> None:
    """Compare tables on the device with those of numpy: results, time and memory."""
    job = bench.job(2, 64 if bench.is_tiny else 512)
    assert job.ngrams is not None
    ids_N = job.corpus.read(0, len(job.corpus)).astype(np.int64)
    started = time.perf_counter()
    tables = DeviceTables(job.ngrams, ids_N, bench.device)
    bench.finish()
    megabytes, seconds = tables.num_bytes() / 1e6, time.perf_counter() - started
    print(f"n-grams of {job.ngrams.order}, {job.ngrams.num_pairs:,} pairs", end=", ")
    print(f"{megabytes:.0f} MB on the device, prepared in {seconds:.2f} s")
    for batch_size, seq_len in ((4, 16),) if bench.is_tiny else ((32, 64), (100, 100)):
        compare_tables(bench, shaped(job, batch_size, seq_len), tables)


def compare_tables(bench: Bench, job: TrainingJob, tables: DeviceTables) -> None:
    windows = make_windows(job.corpus, job.split, job.config, seed=1)
    numpy_inputs = ngram_inputs(job, windows)
    assert numpy_inputs is not None
    steps = [0, 1, windows.per_epoch // 2, windows.per_epoch, 3 * windows.per_epoch + 1]
    apart = [0.0, 0.0]
    for step in steps:
        expected_RV = numpy_inputs.at(step).reshape(-1, tables.size)
        positions = device_positions(numpy_inputs, step, bench.device)
        inputs_RV = tables.inputs(positions).cpu().numpy()
        both = [softmax(array) for array in (expected_RV, inputs_RV)]
        apart[0] = max(apart[0], float(np.abs(both[0] - both[1]).max()))
        apart[1] = max(apart[1], float(np.abs(expected_RV - inputs_RV).max()))
    shape = f"{job.config.batch_size}x{job.config.seq_len}"
    text = f"{shape}: q differs by {apart[0]:.1e}, inputs by {apart[1]:.1e}"
    verdict(apart[0] < Q_BOUND, f"{text}, over {len(steps)} steps")
    numbers = iter(range(10_000))
    on_cpu = bench.waited_seconds(lambda: numpy_inputs.at(next(numbers)))
    on_device = bench.waited_seconds(
        lambda: tables.inputs(device_positions(numpy_inputs, next(numbers), bench.device)), 15
    )
    positions = device_positions(numpy_inputs, 1, bench.device)
    alone = bench.waited_seconds(lambda: tables.inputs(positions), 15)
    kept = tables.inputs(positions).cpu()
    copied = bench.waited_seconds(lambda: kept.to(bench.device), 15)
    print(f"     {shape}, milliseconds per step: numpy {1000 * on_cpu:.2f}", end=" ")
    print(f"+ copy {1000 * copied:.2f}; on the device {1000 * on_device:.2f}", end=" ")
    print(f"(without positions {1000 * alone:.2f})")


def device_positions(inputs: NgramInputs, step: int, device: str) -> Positions:
    """Return the positions of a training step; as `NgramInputs` has them, on the device."""
    positions_TB = inputs._windows.positions(step)
    in_span_TB = np.maximum(inputs._edges.before(positions_TB), 0)
    times_T1 = np.arange(1, len(positions_TB) + 1)[:, None]
    read_TB = times_T1 + inputs._read_before(step)
    counted_TB = np.maximum(inputs._text._counted.before(positions_TB), 0)
    both = np.stack([positions_TB, np.minimum(in_span_TB, read_TB), counted_TB])
    at_R, shown_R, counted_R = torch.from_numpy(both.reshape(3, -1)).to(device)
    return Positions(at_R, shown_R, counted_R)


def softmax(inputs_RV: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the probabilities from inputs, which are their logarithms and a constant."""
    powers_RV = np.exp(inputs_RV.astype(np.float64))
    result: npt.NDArray[np.float64] = powers_RV / powers_RV.sum(axis=1, keepdims=True)
    return result
