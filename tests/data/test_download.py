import functools
import hashlib
import http.server
import io
import stat
import tarfile
import threading
import zipfile

import pytest

from medseg_tf.data import download, sets
from medseg_tf.errors import ConfigError, DataIntegrityError, DataNotFoundError

NAME = "DSB2018-nuclei"


def write_zip(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_tar(path, files, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


PICTURE = {"top/stage1_train/a/images/a.png": b"a picture", "top/stage1_train/a/masks/0.png": b"0"}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The empty folder that downloads go to, searched alone."""
    monkeypatch.delenv("MEDSEG_DATA", raising=False)
    monkeypatch.setattr(sets, "download_folders", lambda: [tmp_path / "data"])
    return tmp_path / "data"


@pytest.fixture
def offered(tmp_path, monkeypatch):
    """Serve one archive on this machine and register it: offered(path, sha256=right one)."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    monkeypatch.setattr(http.server.SimpleHTTPRequestHandler, "log_message", lambda *a: None)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()

    def register(path, sha256=None):
        url = f"http://127.0.0.1:{server.server_port}/{path.name}"
        sha256 = sha256 or hashlib.sha256(path.read_bytes()).hexdigest()
        row = sets.registry()[NAME] | {"download": True, "url": url, "sha256": sha256}
        monkeypatch.setattr(sets, "registry", lambda: {NAME: row})

    yield register
    server.shutdown()
    server.server_close()


def test_a_download_lands_as_the_sets_folder_and_leaves_nothing_else(tmp_path, place, offered):
    offered(write_zip(tmp_path / "nuclei.zip", PICTURE))
    assert download.get(NAME) == place / NAME == sets.find(NAME)
    assert [path.name for path in place.iterdir()] == [NAME]


def test_a_set_that_is_there_is_not_downloaded_again(tmp_path, place, offered):
    offered(write_zip(tmp_path / "nuclei.zip", PICTURE))
    download.get(NAME)
    (tmp_path / "nuclei.zip").unlink()
    assert download.get(NAME) == place / NAME


def test_a_wrong_checksum_names_both_sums_and_keeps_nothing(tmp_path, place, offered):
    path = write_zip(tmp_path / "nuclei.zip", PICTURE)
    offered(path, sha256="0" * 64)
    with pytest.raises(DataIntegrityError) as error:
        download.get(NAME)
    assert "0" * 64 in str(error.value)
    assert hashlib.sha256(path.read_bytes()).hexdigest() in str(error.value)
    assert list(place.iterdir()) == []


def test_a_server_that_has_no_such_file_is_an_error_that_says_how_to_go_on(
    tmp_path, place, offered
):
    path = write_zip(tmp_path / "nuclei.zip", PICTURE)
    offered(path)
    path.unlink()
    with pytest.raises(DataNotFoundError, match="did not answer .HTTPError.*MEDSEG_DATA"):
        download.get(NAME)


def test_no_network_is_an_error_that_says_how_to_go_on(place, monkeypatch):
    import requests

    def no_network(*args, timeout, **kwargs):
        assert timeout == 10
        raise requests.exceptions.ConnectionError("unreachable")

    row = sets.registry()[NAME] | {"download": True, "url": "https://x.invalid/a", "sha256": "0"}
    monkeypatch.setattr(sets, "registry", lambda: {NAME: row})
    monkeypatch.setattr(requests, "get", no_network)
    with pytest.raises(DataNotFoundError, match="did not answer.*bbbc.broadinstitute.org"):
        download.get(NAME)


def test_a_set_without_an_allowed_address_is_an_error_that_says_how_to_get_it(place):
    with pytest.raises(DataNotFoundError, match="Get it from its owner .https://celltracking"):
        download.get("PhC-C2DH-U373")


def test_an_unknown_set_is_an_error_that_lists_the_known_ones():
    with pytest.raises(ConfigError, match="known sets: PhC-C2DH-U373"):
        download.get("nuclei")


# Unpacking


def refused(path, tmp_path, match):
    target = tmp_path / "in" / "set"
    with pytest.raises(DataIntegrityError, match=match):
        download.unpack(path, target)
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize("write, name", [(write_zip, "a.zip"), (write_tar, "a.tar.gz")])
def test_zip_and_tar_unpack_alike(tmp_path, write, name):
    target = download.unpack(write(tmp_path / name, PICTURE), tmp_path / "set")
    assert (target / "stage1_train/a/images/a.png").read_bytes() == b"a picture"


def test_an_archive_without_a_folder_at_its_top_unpacks_into_the_target(tmp_path):
    target = download.unpack(write_zip(tmp_path / "a.zip", {"1": b"", "2": b""}), tmp_path / "set")
    assert sorted(path.name for path in target.iterdir()) == ["1", "2"]


@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/evil", "..\\evil", "\\evil", "C:\\evil", "C:evil"]
)
@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_a_member_that_leaves_the_target_is_refused_before_anything_is_written(
    tmp_path, write, name
):
    refused(write(tmp_path / "a", {"good": b"", name: b""}), tmp_path, "outside the target")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_a_link_or_device_in_a_tar_file_is_refused(tmp_path, kind):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        member = tarfile.TarInfo("link")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    refused(tmp_path / "a.tar", tmp_path, "link or a device")


def test_a_link_in_a_zip_file_is_refused(tmp_path):
    member = zipfile.ZipInfo("link")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(member, "/etc/passwd")
    refused(tmp_path / "a.zip", tmp_path, "link or a device")


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_an_archive_that_swells_a_thousandfold_is_refused(tmp_path, write):
    refused(write(tmp_path / "a", {"zeros": bytes(1_000_000)}), tmp_path, "unpacks to more than")


def test_an_archive_with_too_many_members_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "MOST_MEMBERS", 2)
    path = write_zip(tmp_path / "a.zip", {name: b"" for name in "abc"})
    refused(path, tmp_path, "more than 2 members")


def test_an_archive_with_too_many_bytes_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "MOST_BYTES", 10)
    refused(write_zip(tmp_path / "a.zip", {"a": b"x" * 11}), tmp_path, "more than 10 bytes")


def test_a_zip_file_with_a_flipped_bit_is_refused_and_leaves_nothing(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"x" * 1000)
    content = bytearray(path.read_bytes())
    content[500] ^= 1
    path.write_bytes(content)
    refused(path, tmp_path, "damaged .Bad CRC")


def test_a_tar_file_cut_short_is_refused_and_leaves_nothing(tmp_path):
    path = write_tar(tmp_path / "a.tar.gz", {"a": bytes(range(256)) * 40})
    path.write_bytes(path.read_bytes()[:-40])
    refused(path, tmp_path, "damaged")


def test_a_file_that_is_no_archive_is_refused(tmp_path):
    path = tmp_path / "a.zip"
    path.write_text("<html>moved</html>")
    refused(path, tmp_path, "damaged")


def test_files_that_are_there_are_never_overwritten(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine").write_text("keep")
    with pytest.raises(DataIntegrityError, match="holds files already"):
        download.unpack(write_zip(tmp_path / "a.zip", PICTURE), tmp_path / "set")
    assert (tmp_path / "set" / "mine").read_text() == "keep"
