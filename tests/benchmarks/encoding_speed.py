"""Measure the speed and memory of encoding, and compare it with a Python loop.

    python -m tests.benchmarks.encoding_speed anna.txt hongloumeng.txt [--megabytes 1000]

Each text is repeated until it has the given size. Encoding runs in its own process, whose peak
memory is compared with that of a process that encodes one megabyte.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORKER = """
import json, resource, sys, time
from pathlib import Path
from charrnn_cli.text.encoding import encode_text
started = time.perf_counter()
corpus = encode_text(Path(sys.argv[1]), Path(sys.argv[2]))
seconds = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"seconds": seconds, "peak": peak, "characters": len(corpus)}))
"""
LOOP_CHARACTERS = 5_000_000


def encoded(path: Path, output: Path) -> dict[str, float]:
    output.unlink(missing_ok=True)
    command = [sys.executable, "-c", WORKER, str(path), str(output)]
    return dict(
        json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    )


def repeated(source: Path, target: Path, num_bytes: int) -> None:
    data = source.read_bytes()
    with target.open("wb") as file:
        for _ in range(max(1, num_bytes // len(data))):
            file.write(data)


def loop_speed(source: Path) -> float:
    """Return the bytes per second of `[stoi[c] for c in text]`, excluding reading the text."""
    text = source.read_text("utf-8")
    text = (text * (1 + LOOP_CHARACTERS // len(text)))[:LOOP_CHARACTERS]
    stoi = {character: index for index, character in enumerate(sorted(set(text)))}
    size = len(text.encode())
    started = time.perf_counter()
    [stoi[character] for character in text]
    return size / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("texts", nargs="+", type=Path)
    parser.add_argument("--megabytes", type=int, default=1000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        big, small, output = (
            Path(directory) / name for name in ("big.txt", "small.txt", "out.safetensors")
        )
        for source in arguments.texts:
            repeated(source, big, arguments.megabytes * 1_000_000)
            small.write_bytes(source.read_bytes()[: 1 << 20].decode("utf-8", "ignore").encode())
            base = encoded(small, output)["peak"]
            found = encoded(big, output)
            size = os.path.getsize(big)
            speed, loop = size / found["seconds"], loop_speed(source)
            memory = (found["peak"] - base) / 1e6
            print(f"{source.name}: {size / 1e6:,.0f} MB, {found['characters']:,} characters")
            print(f"  {speed / 1e6:.0f} MB/s with both passes, digests and fsync")
            print(f"  {speed / loop:.1f} x the speed of the loop ({loop / 1e6:.0f} MB/s)")
            print(f"  {memory:+.1f} MB of peak memory compared with one megabyte of text")


if __name__ == "__main__":
    main()
