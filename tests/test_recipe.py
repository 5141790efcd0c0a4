import json
import shutil

import h5py
import keras
import numpy as np
import pytest

import medseg_tf
from medseg_tf import models, recipe
from medseg_tf.errors import ConfigError, ModelError


def tiny(width=2, seed=0, **arguments):
    keras.utils.set_random_seed(seed)
    return models.unet(
        (8, 8, 1), 2, width=width, depth=1, padding="same", norm="batch", **arguments
    )


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    model = tiny()
    return model, recipe.save(model, tmp_path_factory.mktemp("original"))


@pytest.fixture
def saved(original, tmp_path):
    model, folder = original
    return model, shutil.copytree(folder, tmp_path, dirs_exist_ok=True)


def change_recipe(folder, **changes):
    path = folder / "recipe.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_loaded_model_computes_exactly_what_the_saved_one_did(saved):
    model, folder = saved
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype("float32")
    np.testing.assert_array_equal(medseg_tf.load_model(folder)(x), model(x))


def test_the_recipe_says_what_the_model_is_and_what_made_it(saved):
    _, folder = saved
    content = json.loads((folder / "recipe.json").read_text())
    assert content["builder"] == "unet" and content["arguments"]["depth"] == 1
    assert (content["channels"], content["classes"]) == (1, 2)
    assert content["versions"]["medseg_tf"] == medseg_tf.__version__
    assert content["versions"]["keras"] == keras.__version__
    assert content["precision"] == "float32"


def test_extras_come_back_and_survive_a_second_saving(tmp_path):
    recipe.save(tiny(), tmp_path / "one", spacing=np.array([0.5, 2.0]), names=["none", "cell"])
    recipe.save(recipe.load_model(tmp_path / "one"), tmp_path / "two", spacing=(1, 1))
    again = recipe.load_model(tmp_path / "two").recipe
    assert (again["spacing"], again["names"]) == ([1, 1], ["none", "cell"])


def test_saving_leaves_two_files_and_no_optimizer_in_them(tmp_path):
    model = tiny()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    recipe.save(model, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.weights.h5", "recipe.json"]
    with h5py.File(tmp_path / "model.weights.h5") as file:
        assert "layers" in file and "optimizer" not in file


def test_a_loaded_model_is_not_compiled(saved):
    assert not recipe.load_model(saved[1]).compiled


def test_a_model_takes_the_precision_of_the_loading_and_not_of_the_training(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        recipe.save(tiny(), tmp_path)
    finally:
        keras.config.set_dtype_policy("float32")
    model = recipe.load_model(tmp_path)
    assert model.recipe["precision"] == "mixed_bfloat16"
    assert model.get_layer("down0_conv1").compute_dtype == "float32"


def test_an_interrupted_saving_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.json"
    recipe.write_json({"a": 1}, path)
    with pytest.raises(RuntimeError), recipe.replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert json.loads(path.read_text()) == {"a": 1}


def test_a_model_without_a_builder_cannot_be_saved(tmp_path):
    inputs = keras.Input((4,))
    with pytest.raises(ModelError, match="no recipe"):
        recipe.save(keras.Model(inputs, keras.layers.Dense(1)(inputs)), tmp_path)


@pytest.mark.parametrize("extra", [{"classes": 3}, {"spacing": {1, 2}}])
def test_extras_that_cannot_be_kept_are_refused(tmp_path, extra):
    with pytest.raises(ConfigError, match="classes|JSON"):
        recipe.save(tiny(), tmp_path, **extra)
    assert not list(tmp_path.iterdir())


def cut_short(folder):
    path = folder / "model.weights.h5"
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_bit(folder):
    path = folder / "model.weights.h5"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut_short_unseen(folder):
    cut_short(folder)
    change_recipe(folder, weights_sha256=None)


def other_width(folder):
    recipe.write_weights(tiny(width=3), folder / "model.weights.h5")
    change_recipe(folder, weights_sha256=None)


DAMAGE = [
    (lambda f: (f / "recipe.json").unlink(), "has no recipe.json"),
    (lambda f: (f / "recipe.json").write_text('{"builder": "un'), "not valid JSON"),
    (lambda f: (f / "recipe.json").write_bytes(b"\xff\xfe\x00"), "not valid JSON"),
    (lambda f: (f / "recipe.json").write_text("[1]"), "is no recipe"),
    (lambda f: change_recipe(f, arguments=None), "is no recipe"),
    (lambda f: change_recipe(f, builder="resunet"), "'resunet' is unknown.* knows .*unet"),
    (lambda f: change_recipe(f, builder=["unet"]), "is unknown"),
    (lambda f: change_recipe(f, builder="macs", arguments={}), "'macs' is unknown"),
    (lambda f: change_recipe(f, builder="__import__", arguments={"name": "os"}), "is unknown"),
    (lambda f: change_recipe(f, arguments={"input_shape": [8, 8, 1]}), "cannot be built.*classes"),
    (
        lambda f: change_recipe(f, arguments={"input_shape": [8, 8, 1], "classes": 2, "colour": 1}),
        "cannot be built.*colour",
    ),
    (lambda f: change_recipe(f, versions={"medseg_tf": "99.1"}), "medseg_tf 99.1, this is 0"),
    (lambda f: (f / "model.weights.h5").unlink(), "model.weights.h5 is missing"),
    (cut_short, "cut short, changed or replaced"),
    (flip_a_bit, "cut short, changed or replaced"),
    (cut_short_unseen, "does not hold the weights of this unet"),
    (other_width, "does not hold the weights of this unet"),
]


@pytest.mark.parametrize("damage, message", DAMAGE, ids=[message for _, message in DAMAGE])
def test_a_damaged_model_folder_gives_a_named_error(saved, damage, message):
    damage(saved[1])
    with pytest.raises(ModelError, match=message):
        recipe.load_model(saved[1])


def test_a_folder_that_is_not_there_gives_a_named_error(tmp_path):
    with pytest.raises(ModelError, match="nowhere is no model folder"):
        recipe.load_model(tmp_path / "nowhere")
