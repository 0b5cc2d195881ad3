"""Memory that a run keeps."""

import subprocess
import sys

import pytest

from training.memory import keep_freed_memory

_COUNT_FAULTS = """
import resource, sys
import torch
from training.memory import keep_freed_memory

if "keep" in sys.argv:
    assert keep_freed_memory()
for size in (2**25, 2**24):  # floats, 128 and 64 MB, freed at once
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(size)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def count_faults(*arguments: str) -> int:
    """Pages that the system has to give for the second of two tensors, which is smaller."""
    command = [sys.executable, "-c", _COUNT_FAULTS, *arguments]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_freed_memory_serves_the_next_tensor():
    assert count_faults("keep") < 16 < count_faults()  # 32 pages of 2 MB, or 16,384 of 4 KB


def test_other_systems_do_without(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()
