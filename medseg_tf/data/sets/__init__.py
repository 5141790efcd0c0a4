"""Find and read public data sets: one reader a layout, and registry.toml for what is known of each.

A reader is a module with `fits(folder) -> bool` and `plan(folder, **options) -> [(subject, read)]`,
where `read()` returns the Case; so cases are counted and drawn before any picture is opened.
"""

import glob
import inspect
import logging
import os
import tomllib
from functools import cache
from pathlib import Path

import numpy as np

from medseg_tf.data.sets import (
    brats2013,
    busi,
    cell_tracking,
    decathlon,
    dsb2018,
    hc18,
    ibsr,
    isbi2012,
    lung_ct,
    oasis_trt,
    open_ms_data,
    pairs,
    ph2,
    proton_lung,
    ptbp,
    vnc,
)
from medseg_tf.errors import ConfigError, DataNotFoundError, MedsegError
from medseg_tf.table import Table

log = logging.getLogger(__name__)

READERS = {
    "cell_tracking": cell_tracking,
    "dsb2018": dsb2018,
    "isbi2012": isbi2012,
    "decathlon": decathlon,
    "ph2": ph2,
    "lung_ct": lung_ct,
    "vnc": vnc,
    "ibsr": ibsr,
    "brats2013": brats2013,
    "oasis_trt": oasis_trt,
    "open_ms_data": open_ms_data,
    "proton_lung": proton_lung,
    "ptbp": ptbp,
    "hc18": hc18,
    "busi": busi,
}


def load(name_or_folder, limit=None, seed=0, **options):
    """Load a data set.

        load("PhC-C2DH-U373")
        load("my/folder", limit=20)
        load("scans/*.nii.gz", labels="masks/*.nii.gz")

    Args:
        name_or_folder: a name that `available()` lists, or of any folder in the data folders
            whose layout one of the readers knows ("Task09_Spleen"), or the path of one; with the
            option `labels` a pattern of images, whose partners are the files that match `labels`
            in the same way.
        limit: read at most so many cases, drawn by `seed` from one subject after the other, so
            that few cases still come from many subjects; a larger limit only adds cases.
        seed: int or numpy Generator.
        options: passed to the set's reader, e.g. truth="gold" for cell tracking sets; those of
            two patterns stand in data/sets/pairs.py.

    Returns:
        A list of Case, in the order of the files.

    Raises:
        DataNotFoundError: the set is not there; the message says how to get it.
        ConfigError: unknown name, limit or option.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"limit is {limit}; give 1 or more, or None for all cases.")
    return [read() for _, read in draw(plan(name_or_folder, options), limit, seed)]


def available():
    """Return a Table of the registered data sets: where they lie, cases, licence, owner's page."""
    table = Table()
    for name, row in registry().items():
        folder = find(name)
        table.append(
            {
                "name": name,
                "present": str(folder) if folder else "-",
                "cases": count(name) if folder else None,
                "licence": row["licence"],
                "pictures may be published": "yes" if row["pictures"] else "no",
                "page": row["page"],
            }
        )
    return table


def count(name):
    """Return the number of a set's cases, or None, and say why, where files are missing."""
    try:
        return len(plan(name, {}))
    except MedsegError as error:
        log.warning("%s", error)
        return None


@cache
def registry():
    """Return {name: what is known of the set} from registry.toml, which explains its keys."""
    return tomllib.loads(Path(__file__).with_name("registry.toml").read_text("utf-8"))


def data_folders():
    """Folders that may hold data sets, in the order they are searched."""
    own = os.environ.get("MEDSEG_DATA", "").split(os.pathsep)
    return [*(Path(folder) for folder in own if folder), *download_folders()]


def download_folders():
    """This project's data/, where the working directory lies in it, and the user's cache."""
    import pooch

    here = Path.cwd()
    projects = (folder for folder in [here, *here.parents] if is_this_project(folder))
    return [*(folder / "data" for folder in projects), Path(pooch.os_cache("medseg_tf"))]


def is_this_project(folder):
    settings = folder / "pyproject.toml"
    return settings.is_file() and 'name = "medseg-tf"' in settings.read_text("utf-8")


def find(name):
    """Return the first data folder's folder of a registered set, or None."""
    fits = READERS[registry()[name]["reader"]].fits
    places = (folder / name for folder in data_folders())
    return next((place for place in places if place.is_dir() and fits(place)), None)


def plan(name_or_folder, options):
    """Return [(subject, read)] of a set by the reader that knows it."""
    if "labels" in options:
        reader, row, folder = pairs, {}, name_or_folder
    elif name_or_folder in registry():
        row, folder = registry()[name_or_folder], find(name_or_folder)
        if folder is None:
            raise DataNotFoundError(how_to_get(name_or_folder))
        reader = READERS[row["reader"]]
    else:
        folder = somewhere(Path(name_or_folder))
        reader = READERS[name := recognise(folder)]
        row = registry().get(folder.resolve().name, {})
        row = row if row.get("reader") == name else {}
    _, *known = inspect.signature(reader.plan).parameters
    if unknown := sorted(options.keys() - set(known)):
        raise ConfigError(
            f"{', '.join(unknown)}: no option of {name_or_folder}; it knows {', '.join(known)}."
        )
    return reader.plan(folder, **row.get("options", {}) | options)


def somewhere(folder):
    """Return the folder if it is there, or if it is only a name the data folders' one, if any."""
    places = [folder] if len(folder.parts) > 1 else [folder, *(p / folder for p in data_folders())]
    return next((place for place in places if place.is_dir()), folder)


def recognise(folder):
    """Return the name of the reader that knows the folder's layout."""
    if not folder.is_dir():
        if glob.has_magic(str(folder)):
            raise ConfigError(
                f"{folder} is a pattern of images; give the pattern of their labels too, e.g. "
                "labels='masks/*.nii.gz'."
            )
        if len(folder.parts) == 1:
            raise unknown(folder)
        raise DataNotFoundError(f"There is no folder {folder}. Check the path.")
    for name, reader in READERS.items():
        if reader.fits(folder):
            return name
    raise DataNotFoundError(
        f"The layout of {folder} is not known; expected one of: "
        + "; ".join(sorted({row["layout"] for row in registry().values()}))
        + ". Arrange the files so, or give two patterns: load('scans/*.png', labels='masks/*.png')."
    )


def unknown(name):
    """Return the error for a name that is no registered set."""
    return ConfigError(
        f"{name} is neither a data set nor a folder; known sets: {', '.join(registry())}. "
        "Their state is in medseg_tf.data.available()."
    )


def how_to_get(name):
    """Say where a registered set comes from and where to put it."""
    row = registry()[name]
    places = [str(folder / name) for folder in data_folders()]
    how = "Fetch it with medseg_tf.data.download.get, or get it" if row["download"] else "Get it"
    return (
        f"The data set {name} is not there: looked for {row['layout']} in {', '.join(places)}. "
        f"{how} from its owner ({row['page']}; licence: {row['licence']}) and put it "
        f"into {places[-1]}, or name the folder that holds {name} in MEDSEG_DATA."
    )


def draw(planned, limit, seed):
    """Pick `limit` of the planned cases, one a subject in turn, and keep their order."""
    turns, turn = {}, {}
    for index in np.random.default_rng(seed).permutation(len(planned)):
        subject = planned[index][0]
        turn[index] = turns[subject] = turns.get(subject, 0) + 1
    return [planned[index] for index in sorted(sorted(turn, key=turn.get)[:limit])]
