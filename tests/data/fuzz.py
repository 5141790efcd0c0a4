"""Damage files at random and count what reading them gives.

    python tests/data/fuzz.py --files 2000 --seed 0

A file is a healthy one that is damaged in one way. It is read in a process of its own, so that a
read that hangs, dies or takes gigabytes is counted too. `mutant(seed, index)` gives one file again.
"""

import argparse
import contextlib
import gzip
import io
import logging
import multiprocessing
import os
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image

from medseg_tf.data.case import Scan
from medseg_tf.errors import MedsegError
from medseg_tf.table import Table

LIMIT = 10  # seconds a read may take
MEMORY = 4 << 30  # bytes a reading process may have
CHECKED = ("gzip stream", "PNG")  # formats with checksums: no damage may pass


# Healthy files


def volume(rng):
    """Return the bytes of a NIfTI file and the length of its header."""
    kind = rng.choice([nib.Nifti1Image, nib.Nifti2Image], p=[0.8, 0.2])
    dtype = str(rng.choice(["uint8", "int16", "uint16", "int32", "float32", "float64"]))
    shape = tuple(rng.integers(3, 9, rng.choice([2, 3, 3, 3])))
    affine = np.diag([*rng.uniform(0.5, 3, 3), 1])
    affine[:3, 3] = rng.uniform(-90, 90, 3)
    header = kind.header_class(endianness=rng.choice(["<", ">"]))
    if rng.random() < 0.2:
        header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"seen by a radiologist"))
    image = kind(rng.integers(0, 5, shape).astype(dtype), affine, header, dtype=dtype)
    qform, sform = rng.choice([(0, 2), (1, 0), (1, 1), (0, 0)])
    image.set_sform(affine, int(sform))
    image.set_qform(affine, int(qform))
    image.header.set_xyzt_units(rng.choice(["mm", "micron", "unknown"]))
    data = bytearray(image.to_bytes())
    if rng.random() < 0.2:
        head = np.frombuffer(data, image.header.template_dtype.newbyteorder(header.endianness), 1)
        head["scl_slope"], head["scl_inter"] = 2, 1
    return bytes(data), image.header.single_vox_offset


def packed(data, rng):
    """Return gzip's bytes, with the name of the file that was packed or without."""
    file = io.BytesIO()
    name = rng.choice(["", "scan.nii"])
    with gzip.GzipFile(name, "wb", fileobj=file, mtime=int(rng.integers(2**31))) as stream:
        stream.write(data)
    return file.getvalue()


def picture(rng, ending, label):
    """Return the bytes of a PNG or TIFF file."""
    shape = tuple(rng.integers(4, 20, 2))
    mode = str(rng.choice(["L", "I;16", "P"] if label else ["L", "I;16", "P", "RGB"]))
    array = rng.integers(0, 200, (*shape, 3) if mode == "RGB" else shape)
    image = Image.fromarray(array.astype("uint16" if mode == "I;16" else "uint8"))
    if mode == "P":
        image = image.convert("P")
    how = {"format": {".png": "PNG", ".tif": "TIFF"}[ending]}
    if ending == ".tif":
        how["compression"] = str(rng.choice(["raw", "tiff_lzw", "tiff_adobe_deflate"]))
        pages = [image.copy() for _ in range(rng.integers(0, 3))]
        how |= {"save_all": True, "append_images": pages} if pages else {}
    file = io.BytesIO()
    image.save(file, **how)
    return file.getvalue()


# Damage


def flip(data, rng):
    bit = int(rng.integers(8 * len(data)))
    damaged = bytearray(data)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def cut(data, rng):
    return data[: rng.integers(len(data))]


def lose(data, rng):
    start, count = rng.integers(len(data)), rng.integers(1, 9)
    return data[:start] + data[start + count :]


def add(data, rng):
    start, count = rng.integers(len(data) + 1), rng.integers(1, 9)
    return data[:start] + rng.bytes(count) + data[start:]


def overwrite(data, rng):
    start, count = rng.integers(len(data)), rng.integers(1, 65)
    count = min(count, len(data) - start)
    return data[:start] + (rng.bytes(count), bytes(count))[rng.integers(2)] + data[start + count :]


DAMAGES = {
    "bit flipped": flip,
    "cut short": cut,
    "bytes lost": lose,
    "bytes added": add,
    "bytes overwritten": overwrite,
}
KINDS = [(file, way) for file in ("gzip stream", "PNG", "plain .nii", "TIFF") for way in DAMAGES]
KINDS += [(file, "bit flipped") for file in ("header in .nii", "header in .nii.gz")] * 3


def mutant(seed, index):
    """Return (what is damaged, how), the ending, the healthy bytes, the damaged bytes, options."""
    rng = np.random.default_rng([seed, index])
    file, way = KINDS[index % len(KINDS)]
    how = {"label": bool(rng.random() < 0.3)}
    damage = DAMAGES[way]
    if file in ("PNG", "TIFF"):
        ending = {"PNG": ".png", "TIFF": ".tif"}[file]
        good = picture(rng, ending, how["label"])
        how["channels"] = "gray" if how["label"] else str(rng.choice(["gray", "rgb"]))
        return (file, way), ending, good, damage(good, rng), how
    good, length = volume(rng)
    if file.startswith("header"):
        bad = damage(good[:length], rng) + good[length:]
        if file.endswith(".gz"):
            return (file, way), ".nii.gz", packed(good, rng), packed(bad, rng), how
        return (file, way), ".nii", good, bad, how
    if file == "gzip stream":
        good = packed(good, rng)
        return (file, way), ".nii.gz", good, damage(good, rng), how
    return (file, way), ".nii", good, damage(good, rng), how


# Reading


class Notes(logging.Handler):
    """Keeps the kinds of warnings that were given."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.given = set()

    def emit(self, record):
        self.given.add(record.msg)


def read(path, data, how):
    """Return the scan or the error that reading `data` gives, and the warnings."""
    path.write_bytes(data)
    notes, logger = Notes(), logging.getLogger("medseg_tf")
    logger.addHandler(notes)
    try:
        return Scan.read(path, **how), notes.given
    except Exception as error:
        return error, notes.given
    finally:
        logger.removeHandler(notes)


def outcome(seed, index, folder):
    """Return what reading one mutant gives, in a word or two."""
    _, ending, good, bad, how = mutant(seed, index)
    path = Path(folder) / f"a{ending}"
    healthy, before = read(path, good, how)
    damaged, after = read(path, bad, how)
    if isinstance(healthy, Exception):
        return f"crash: the healthy file is refused: {healthy!r}"
    if isinstance(damaged, MedsegError):
        return type(damaged).__name__
    if isinstance(damaged, Exception):
        return f"crash: {damaged!r}"
    was, now = healthy.grid, damaged.grid
    if (was.shape, was.units) == (now.shape, now.units) and np.array_equal(was.affine, now.affine):
        if np.array_equal(healthy.array, damaged.array):
            return "equal"
    return "other, warned" if after - before else "other, silent"


def serve(connection, folder):
    """Read mutants one after the other. What Python warns of counts as a crash."""
    warnings.simplefilter("error")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # where libtiff writes
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows has no such limit
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    while True:
        connection.send(outcome(*connection.recv(), folder))


class Reader:
    """A process that reads mutants, replaced when it hangs or dies."""

    def __init__(self, folder):
        self.folder, self.process = folder, None

    def start(self):
        context = multiprocessing.get_context("spawn")
        self.connection, there = context.Pipe()
        self.process = context.Process(target=serve, args=(there, self.folder), daemon=True)
        self.process.start()
        there.close()

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.join()
            self.process = None

    def ask(self, seed, index):
        """Return the outcome of one mutant; "hang" after LIMIT seconds."""
        wait = LIMIT
        if self.process is None:
            self.start()
            wait += 60  # the imports of a new process on a busy machine
        try:
            self.connection.send((seed, index))
            if self.connection.poll(wait):
                return self.connection.recv()
            self.stop()
            return "hang"
        except (EOFError, OSError):
            self.stop()
            return "crash: the process died"


def allowed(file, way, result):
    """Whether an outcome keeps what is claimed."""
    if result == "hang" or result.startswith("crash"):
        return False
    if file in CHECKED:
        return not result.startswith("other")
    if file == "plain .nii" and way == "bytes added":
        return result != "other, silent"
    if file == "plain .nii" and way in ("cut short", "bytes lost"):
        return result.endswith("Error")
    return True


def run(files, seed):
    """Return {(what is damaged, how): Counter of outcomes}, {index: outcome} of broken claims.

    Claimed is that no read crashes or hangs, that no damage of a format with checksums gives other
    voxels or places, and that a plain .nii file that grew or shrank is refused or warned of.
    """
    counts, broken = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        reader = Reader(folder)
        for index in range(files):
            file, way = kind = KINDS[index % len(KINDS)]
            result = reader.ask(seed, index)
            counts.setdefault(kind, Counter())[result.split(":")[0]] += 1
            if not allowed(file, way, result):
                broken[index] = result
        reader.stop()
    return counts, broken


def table(counts):
    """Return a Table of the outcomes, a row a kind of damage."""
    columns = sorted({result for row in counts.values() for result in row})
    rows = Table()
    for (file, way), row in counts.items():
        rows.append(
            {"damaged": file, "how": way, "files": row.total()} | {c: row[c] for c in columns}
        )
    return rows


def main():
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--files", type=int, default=2000)
    asked.add_argument("--seed", type=int, default=0)
    asked = asked.parse_args()
    counts, broken = run(asked.files, asked.seed)
    print(table(counts))
    for index, result in broken.items():
        print(f"mutant({asked.seed}, {index}), {KINDS[index % len(KINDS)]}: {result}")
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
