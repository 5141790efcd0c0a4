"""Damaged files: no crash, no hang, nothing read as something else. fuzz.py runs more of them.

MEDSEG_FUZZ_FILES and MEDSEG_FUZZ_SEED choose how many files, and which.
"""

import os

import fuzz
import pytest

FILES = int(os.environ.get("MEDSEG_FUZZ_FILES", 300))
SEED = int(os.environ.get("MEDSEG_FUZZ_SEED", 0))


@pytest.mark.timeout(120 + FILES)
def test_damage_never_crashes_or_hangs_a_read_and_never_passes_a_checksum():
    counts, broken = fuzz.run(FILES, SEED)
    assert broken == {}
    assert sum(row.total() for row in counts.values()) == FILES
    assert set(counts) == set(fuzz.KINDS[:FILES])


@pytest.mark.parametrize(
    "file, way, result",
    [
        ("gzip stream", "bit flipped", "other, warned"),
        ("PNG", "bytes lost", "other, silent"),
        ("plain .nii", "cut short", "equal"),
        ("plain .nii", "bytes added", "other, silent"),
        ("TIFF", "bit flipped", "hang"),
        ("header in .nii", "bit flipped", "crash: MemoryError()"),
    ],
)
def test_what_breaks_a_claim_is_told(file, way, result):
    assert (file, way) in fuzz.KINDS and not fuzz.allowed(file, way, result)


def test_a_mutant_can_be_made_again_and_is_damaged():
    for index in range(len(fuzz.KINDS)):
        once, again = fuzz.mutant(7, index), fuzz.mutant(7, index)
        assert once == again and once[2] != once[3]


def test_a_process_that_hangs_is_replaced(tmp_path, monkeypatch):
    reader = fuzz.Reader(tmp_path)
    assert reader.ask(0, 1).endswith("Error")  # a stream cut short
    monkeypatch.setattr(fuzz, "LIMIT", 0)
    assert reader.ask(0, 1) == "hang" and reader.process is None
    assert reader.ask(0, 1).endswith("Error")
    reader.stop()
