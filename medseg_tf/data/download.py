"""Download a registered data set, check it, and unpack it without trusting the archive."""

import gzip
import os
import stat
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath

from medseg_tf.data import sets
from medseg_tf.errors import DataIntegrityError, DataNotFoundError
from medseg_tf.progress import progress

# A real set of pictures stays far below each of these; an archive made to fill a disk does not.
MOST_MEMBERS, MOST_BYTES, MOST_TIMES_LARGER = 200_000, 100 * 2**30, 200
DAMAGED = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error)


def get(name):
    """Download a registered data set unless it is there; return its folder.

    It goes to this project's data/ where the working directory lies in the project, else to the
    user's cache.

    Raises:
        DataNotFoundError: no direct download is allowed or known, or nothing answers; the message
            says how to get the set by hand.
        DataIntegrityError: the file is not the one its checksum promises, or its archive is not
            safe; nothing of it is kept.
        ConfigError: unknown name.
    """
    if name not in sets.registry():
        raise sets.unknown(name)
    row = sets.registry()[name]
    if folder := sets.find(name):
        return folder
    if not row["download"]:
        raise DataNotFoundError(sets.how_to_get(name))
    target = sets.download_folders()[0] / name
    archive = fetch(name, row["url"], row["sha256"], target.parent)
    try:
        return unpack(archive, target)
    finally:
        archive.unlink()


def fetch(name, url, sha256, folder):
    """Download one file into `folder` and return its path once its checksum is right."""
    import pooch
    import requests

    bar = progress(total=1, desc=f"download {name}", unit="B", unit_scale=True)
    fetcher = pooch.HTTPDownloader(progressbar=bar, chunk_size=2**16, timeout=10)
    file_name = f".{name}.{PurePosixPath(url).name}"
    try:
        path = pooch.retrieve(url, f"sha256:{sha256}", file_name, folder, downloader=fetcher)
    except requests.exceptions.RequestException as error:
        raise DataNotFoundError(
            f"{url} did not answer ({type(error).__name__}). {sets.how_to_get(name)}"
        ) from error
    except ValueError as error:  # pooch has deleted the file; its message holds both checksums
        raise DataIntegrityError(f"{url}: {error}") from error
    finally:
        bar.close()
    return Path(path)


def unpack(path, target):
    """Unpack a zip or tar file to the folder `target`, all of it or nothing, and return `target`.

    A single folder at the archive's top becomes `target` itself.

    Raises:
        DataIntegrityError: `target` holds files, or the archive is damaged, holds a link or a
            path that leaves `target`, or unpacks to more than the limits above; all this is
            checked before anything is written.
    """
    path, target = Path(path), Path(target)
    if target.is_dir() and not any(target.iterdir()):
        target.rmdir()
    if target.exists():
        raise DataIntegrityError(f"{target} holds files already; move it away to unpack {path}.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as temporary:
        inside = Path(temporary, target.name)
        try:
            with (
                zipfile.ZipFile(path) if zipfile.is_zipfile(path) else tarfile.open(path) as archive
            ):
                check(path, archive)
                if isinstance(archive, tarfile.TarFile):
                    archive.extraction_filter = tarfile.data_filter
                archive.extractall(inside)
        except DAMAGED as error:
            raise DataIntegrityError(f"{path} is damaged ({error}); download it again.") from error
        top = list(inside.iterdir())
        os.replace(top[0] if len(top) == 1 and top[0].is_dir() else inside, target)
    return target


def check(path, archive):
    """Raise DataIntegrityError unless every member is a file or folder below the target."""
    most, total = min(MOST_BYTES, MOST_TIMES_LARGER * path.stat().st_size), 0
    for count, (name, size, plain) in enumerate(members(archive), start=1):
        total += size
        if not plain:
            problem = f"member {name} is a link or a device"
        elif any(p.anchor or ".." in p.parts for p in (PurePosixPath(name), PureWindowsPath(name))):
            problem = f"member {name} would be written outside the target"
        elif count > MOST_MEMBERS:
            problem = f"it has more than {MOST_MEMBERS:,} members"
        elif total > most:
            problem = f"it unpacks to more than {most:,} bytes from {path.stat().st_size:,}"
        else:
            continue
        raise DataIntegrityError(
            f"{path}: {problem}; a data set needs none of this, so nothing was unpacked. "
            "Get the archive from its owner again."
        )


def members(archive):
    """Yield (name, size in bytes, whether it is a plain file or folder) of a zip or tar file."""
    if isinstance(archive, tarfile.TarFile):
        for member in archive:
            yield member.name, member.size, member.isreg() or member.isdir()
    else:
        for member in archive.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)
            yield member.filename, member.file_size, kind in (0, stat.S_IFREG, stat.S_IFDIR)
