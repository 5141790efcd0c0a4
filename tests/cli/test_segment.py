import gzip
import json

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_scans import OBLIQUE, volume

import medseg_tf
from medseg_tf import cli, data, metrics, models, recipe
from medseg_tf.cli.segment import label
from medseg_tf.data import Grid, Scan


def bright_finder(folder, **scans):
    """A model folder whose network gives class 1 to voxels half a deviation above the mean."""
    model = models.unet((None, None, None, 1), 2, width=1, depth=1, padding="same")
    picks = {"down0_conv1": 0, "down0_conv2": 0, "up0_conv1": 1, "up0_conv2": 0}  # the skip
    for layer in model.layers:
        weights = [np.zeros_like(weight) for weight in layer.get_weights()]
        if layer.name in picks:
            weights[0][1, 1, 1, picks[layer.name], 0] = 1
        elif layer.name == "logits":
            weights[0][..., 0, 1], weights[1][0] = 1, 0.5
        layer.set_weights(weights)
    known = {"spacing": None, "normalize": {"name": "z_score"}, "turns": []} | scans
    recipe.save(model, folder, scans=known)
    return folder


def bright(image):
    return (data.z_score(image[..., None])[..., 0] > 0.5).astype("uint8")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return bright_finder(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def coarse(tmp_path_factory):
    return bright_finder(tmp_path_factory.mktemp("coarse"), spacing=[2.0, 2.0, 2.0], turns=[0])


def write(path, affine=OBLIQUE, seed=0):
    image, _ = volume(seed)
    Scan(image[..., None], Grid(image.shape, affine)).write(path)
    return path


def segment(*arguments):
    return cli.main(["segment", *map(str, arguments)])


@st.composite
def affines(draw):
    """Any orthogonal turn, mirrored or not, with uneven spacing and some offset."""
    numbers = st.floats(-1, 1)
    matrix = np.array(draw(st.lists(numbers, min_size=9, max_size=9))).reshape(3, 3)
    turn, _ = np.linalg.qr(matrix + 3 * np.eye(3)[draw(st.permutations(range(3)))])
    turn = turn * draw(st.sampled_from([1, -1]))
    spacing = draw(st.lists(st.floats(1, 4), min_size=3, max_size=3))
    offset = draw(st.lists(st.floats(-200, 200), min_size=3, max_size=3))
    return np.block([[turn * spacing, np.array(offset)[:, None]], [np.eye(4)[3:]]])


@pytest.fixture(scope="module")
def loaded(model, coarse):
    return {"same": medseg_tf.load_model(model), "coarse": medseg_tf.load_model(coarse)}


@pytest.mark.parametrize("kind", ["same", "coarse"])
@given(affine=affines(), codes=st.tuples(st.integers(0, 4), st.integers(1, 4)))
@settings(max_examples=20)
def test_shape_affine_codes_and_units_are_the_source_s_bit_for_bit(
    kind, affine, codes, loaded, tmp_path_factory
):
    folder = tmp_path_factory.mktemp("scans")
    image, _ = volume(1)
    header = nib.Nifti1Header()
    header.set_xyzt_units("mm", "sec")
    source = nib.Nifti1Image(image, affine, header)
    source.set_qform(affine, codes[0])
    source.set_sform(affine, codes[1])
    nib.save(source, folder / "scan.nii.gz")
    assert label(loaded[kind], folder / "scan.nii.gz", folder / "label.nii.gz") == ""
    written = nib.load(folder / "label.nii.gz")
    kept = nib.load(folder / "scan.nii.gz")
    assert written.shape == image.shape and written.get_data_dtype() == np.uint8
    overlap = metrics.dice(bright(image), np.asarray(written.dataobj))[1]
    assert overlap == 1 if kind == "same" else overlap > 0.5
    for field in ("qform_code", "sform_code", "srow_x", "srow_y", "srow_z", "pixdim", "xyzt_units"):
        np.testing.assert_array_equal(written.header[field], kept.header[field])
    for field in ("quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"):
        np.testing.assert_array_equal(written.header[field], kept.header[field])


def test_a_bad_scan_becomes_a_row_and_the_others_go_on(model, tmp_path, capsys):
    good = write(tmp_path / "good.nii.gz")
    packed = bytearray(good.read_bytes())
    packed[len(packed) // 2] ^= 1
    (tmp_path / "flipped.nii.gz").write_bytes(packed)
    (tmp_path / "notes.nii").write_text("not a scan")
    out = tmp_path / "out"
    assert segment(model, tmp_path, "--out", out) == 1
    printed = capsys.readouterr()
    assert "DataIntegrityError" in printed.out and "2 of 3 scans failed" in printed.err
    rows = {row["scan"]: row for row in json.loads((out / "report.json").read_text())["scans"]}
    assert rows[str(good)]["error"] == "" and rows[str(good)]["seconds"] > 0
    assert "checksum" in rows[str(tmp_path / "flipped.nii.gz")]["error"]
    assert sorted(path.name for path in out.iterdir()) == ["good.nii.gz", "report.json"]


def test_a_rerun_skips_what_is_done_and_does_what_failed_or_changed(model, tmp_path, capsys):
    one, two = write(tmp_path / "one.nii.gz"), tmp_path / "two.nii.gz"
    two.write_bytes(gzip.compress(b"nothing"))
    out = tmp_path / "out"
    assert segment(model, one, two, "--out", out) == 1
    before = (out / "one.nii.gz").stat().st_mtime_ns
    write(two)
    assert segment(model, one, two, "--out", out) == 0
    assert capsys.readouterr().out.count("done before") == 1
    assert (out / "one.nii.gz").stat().st_mtime_ns == before and (out / "two.nii.gz").exists()
    write(one, seed=5)
    assert segment(model, one, two, "--out", out) == 0
    assert (out / "one.nii.gz").stat().st_mtime_ns > before


def test_a_folder_with_another_model_s_labels_is_refused(model, tmp_path, capsys):
    scan, out = write(tmp_path / "scan.nii.gz"), tmp_path / "out"
    assert segment(model, scan, "--out", out) == 0
    report = json.loads((out / "report.json").read_text())
    (out / "report.json").write_text(json.dumps(report | {"model": "another"}))
    assert segment(model, scan, "--out", out) == 3
    assert "another model" in capsys.readouterr().err


@pytest.mark.parametrize(
    "names, code, message",
    [
        (["missing.nii.gz"], 4, "no such file"),
        (["text.txt"], 2, "ends in"),
        (["empty"], 4, "holds no scan"),
        (["scan.nii.gz", "sub/scan.nii"], 2, "both become"),
    ],
)
def test_names_that_cannot_be_right_are_refused_before_any_work(
    model, tmp_path, capsys, names, code, message
):
    (tmp_path / "empty").mkdir()
    (tmp_path / "sub").mkdir()
    for name in ("text.txt", "scan.nii.gz", "sub/scan.nii"):
        (tmp_path / name).write_text("")
    out = tmp_path / "out"
    assert segment(model, *(tmp_path / name for name in names), "--out", out) == code
    assert message in capsys.readouterr().err and not out.exists()


def test_a_label_never_overwrites_its_scan(model, tmp_path, capsys):
    scan = write(tmp_path / "scan.nii.gz")
    assert segment(model, scan, "--out", tmp_path) == 2
    assert "overwritten" in capsys.readouterr().err


def test_a_folder_that_holds_no_model_gives_4(tmp_path, capsys):
    scan = write(tmp_path / "scan.nii.gz")
    assert segment(tmp_path / "none", scan, "--out", tmp_path / "out") == 4
    assert "no model folder" in capsys.readouterr().err


def test_an_out_that_is_a_file_is_refused(model, tmp_path, capsys):
    scan = write(tmp_path / "scan.nii.gz")
    assert segment(model, scan, "--out", scan) == 2
    assert "is a file" in capsys.readouterr().err


def test_a_label_that_cannot_be_written_is_a_row_too(model, tmp_path):
    one, two = write(tmp_path / "one.nii.gz"), write(tmp_path / "two.nii.gz")
    out = tmp_path / "out"
    (out / "one.nii.gz").mkdir(parents=True)  # a folder is in the label's place
    assert segment(model, one, two, "--out", out) == 1
    rows = {row["scan"]: row for row in json.loads((out / "report.json").read_text())["scans"]}
    assert "Error" in rows[str(one)]["error"] and rows[str(two)]["error"] == ""
