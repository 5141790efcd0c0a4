import json
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import small_scans
from small_scans import TINY, volume, write_set

import medseg_tf
from medseg_tf import cli
from medseg_tf.data import Scan


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A set, and the folder of a model that was trained on it for a moment."""
    place = tmp_path_factory.mktemp("train")
    folder = write_set(place / "set")
    out = place / "model"
    assert cli.main(["train", str(folder), "--out", str(out), "--minutes", "0.2", *TINY]) == 0
    return folder, out


def test_train_prints_what_it_saw_and_why_it_chose_its_plan(tmp_path, capsys):
    folder = write_set(tmp_path / "set", count=2)
    command = ["train", str(folder), "--out", str(tmp_path / "m"), "--minutes", "0.01", *TINY]
    assert cli.main([*command, "--held-back", "0.5"]) == 0
    shown = capsys.readouterr().out
    assert "12 x 10 x 8" in shown and "class 1" in shown  # looked at
    for number in ("spacing", "normalize", "flips", "patch", "depth", "width", "batch"):
        (line,) = [line for line in shown.splitlines() if line.startswith(number + " ")][-1:]
        assert len(line.split()) > 2  # a value and a reason
    assert "as asked" in shown and "scores on 1 cases that it never saw" in shown


def test_the_output_is_a_model_folder_with_plan_and_scores(trained):
    _, out = trained
    model = medseg_tf.load_model(out)
    stored = json.loads((out / "plan.json").read_text())
    scores = json.loads((out / "scores.json").read_text())
    assert model.recipe["scans"]["spacing"] == stored["plan"]["spacing"]
    assert len(stored["learned_from"]) == 4 and len(stored["held_back"]) == 1
    assert [row["case"] for row in scores["rows"]] == stored["held_back"]
    assert not (out / "checkpoint.npz").exists()


def test_a_model_trained_for_seconds_finds_bright_boxes(trained):
    folder, out = trained
    image, label = volume(99)
    scan = Scan.read(folder / "imagesTr" / "box_0.nii.gz")
    found = medseg_tf.inference.segment(
        medseg_tf.load_model(out), Scan(image[..., None], scan.grid)
    )
    assert medseg_tf.metrics.dice(label, found.array)[1] > 0.5


def test_a_folder_with_a_run_is_left_alone_without_resume(trained, capsys):
    folder, out = trained
    assert cli.main(["train", str(folder), "--out", str(out), "--minutes", "0.2", *TINY]) == 3
    assert "--resume" in capsys.readouterr().err


def test_resume_refuses_another_command_and_says_what_differs(trained, capsys):
    folder, out = trained
    command = ["train", str(folder), "--out", str(out), "--minutes", "0.2", *TINY, "--resume"]
    assert cli.main([*command, "--seed", "3"]) == 3
    assert "seed was 0, is now 3" in capsys.readouterr().err


def test_resume_of_a_finished_run_changes_no_weight(trained):
    folder, out = trained
    before = medseg_tf.load_model(out).get_weights()
    command = ["train", str(folder), "--out", str(out), "--minutes", "0.2", *TINY, "--resume"]
    assert cli.main(command) == 0
    after = medseg_tf.load_model(out).get_weights()
    assert all((a == b).all() for a, b in zip(before, after, strict=True))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_run_ends_with_the_weights_of_the_unbroken_one(tmp_path):
    folder = write_set(tmp_path / "set", count=3)

    def command(out):
        return ["train", str(folder), "--out", str(out), "--minutes", "0.06", *TINY, "--resume"]

    broken, unbroken = tmp_path / "broken", tmp_path / "unbroken"
    run = [sys.executable, small_scans.__file__, *command(broken)]
    killed = subprocess.run(run, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    # The unbroken run takes the plan of steps from the broken one, which timed its own.
    unbroken.mkdir()
    for name in ("plan.json", "run.json"):
        shutil.copy(broken / name, unbroken / name)
    assert cli.main(command(broken)) == cli.main(command(unbroken)) == 0
    weights = [medseg_tf.load_model(out).get_weights() for out in (broken, unbroken)]
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "more, code, message",
    [
        (["--minutes", "0"], 2, "minutes"),
        (["--held-back", "1"], 2, "held-back"),
        (["--model", "gnet"], 2, "unet, vnet"),
        (["--patch", "8", "8"], 2, "3 of them"),
        (["--limit", "1"], 2, "--held-back 0"),
    ],
)
def test_wrong_numbers_are_refused_before_anything_is_written(
    tmp_path, capsys, more, code, message
):
    folder = write_set(tmp_path / "set", count=2)
    assert cli.main(["train", str(folder), "--out", str(tmp_path / "m"), *more]) == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "m").exists()


def test_data_that_is_not_there_gives_4(tmp_path, capsys):
    assert cli.main(["train", str(tmp_path / "no"), "--out", str(tmp_path / "m")]) == 4
    assert "no folder" in capsys.readouterr().err


def test_evaluate_prints_means_and_writes_all_rows(trained, tmp_path, capsys):
    folder, out = trained
    file = tmp_path / "scores.json"
    assert cli.main(["evaluate", str(out), str(folder), "--json", str(file)]) == 0
    printed = capsys.readouterr()
    assert "4 of 5 cases are of subjects that the model learned from" in printed.err
    written = json.loads(file.read_text())
    assert len(written["rows"]) == 5 and written["summary"][0]["cases"] == 5
    assert "hausdorff95" in printed.out


def test_evaluate_refuses_a_place_for_its_rows_that_is_not_there_before_it_works(trained, capsys):
    folder, out = trained
    assert cli.main(["evaluate", str(out), str(folder), "--json", str(out / "no" / "a.json")]) == 4
    assert "--json" in capsys.readouterr().err


def test_a_damaged_plan_is_said_to_be_damaged(trained, tmp_path, capsys):
    folder, out = trained
    shutil.copytree(out, tmp_path / "m")
    (tmp_path / "m" / "plan.json").write_text("{}")
    assert cli.main(["evaluate", str(tmp_path / "m"), str(folder)]) == 3
    assert "plan.json is damaged" in capsys.readouterr().err
