"""Seal and open 64 MB, beside openssl and age in the same run (DESIGN §9)."""

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.measure import Line, latencies
from salus.crypto.sealing import new_key, open_stream, seal_stream

SIZE_BYTES = 64_000_000
CHUNK_BYTES = 1 << 20


def run() -> list[Line]:
    """Measure both directions of the streaming format."""
    key, content = new_key(), bytes(SIZE_BYTES)
    chunks = [content[place : place + CHUNK_BYTES] for place in range(0, SIZE_BYTES, CHUNK_BYTES)]
    sealed = list(seal_stream(key, chunks, SIZE_BYTES, b"bench"))
    sealing = _speed(lambda: sum(map(len, seal_stream(key, chunks, SIZE_BYTES, b"bench"))))
    opening = _speed(lambda: sum(map(len, open_stream(key, sealed, b"bench"))))
    openssl, age = _openssl(), _age(content)
    beside = f"; age {age:,.0f} MB/s" if age else "; age is not installed"
    return [
        Line(
            f"{name} 64 MB, streaming",
            "≥ 60 % of openssl speed aes-256-gcm",
            f"{speed:,.0f} MB/s = {speed / openssl:.0%} of {openssl:,.0f}{beside}" if openssl else f"{speed:,.0f} MB/s",
            speed >= 0.6 * openssl if openssl else None,
            {"mb_per_s": speed, "openssl_mb_per_s": openssl, "age_mb_per_s": age},
        )
        for name, speed in (("seal", sealing), ("open", opening))
    ]


def _speed(work: Callable[[], int]) -> float:
    return SIZE_BYTES / 1e6 / (min(latencies(work, count=5).readings) / 1000)


def _openssl() -> float:
    if shutil.which("openssl") is None:
        return 0.0
    command = ["openssl", "speed", "-seconds", "1", "-bytes", str(CHUNK_BYTES), "-evp", "aes-256-gcm"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"AES-256-GCM\s+([\d.]+)k", told, re.IGNORECASE)
    return float(found.group(1)) / 1000 if found else 0.0


def _age(content: bytes) -> float:
    if shutil.which("age") is None:
        return 0.0
    with tempfile.TemporaryDirectory() as folder:
        identity, plain = Path(folder) / "key", Path(folder) / "plain"
        made = subprocess.run(["age-keygen", "-o", str(identity)], capture_output=True, text=True, check=True)
        recipient = made.stderr.split()[-1]
        plain.write_bytes(content)
        begun = time.perf_counter()
        subprocess.run(["age", "-r", recipient, "-o", f"{folder}/sealed", str(plain)], check=True)
        return SIZE_BYTES / 1e6 / (time.perf_counter() - begun)
