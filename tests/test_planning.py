import numpy as np
import pytest

from medseg_tf import planning
from medseg_tf.data import Case, Grid, Scan
from medseg_tf.errors import ConfigError


def case(label, grey=None, spacing=1.0, name="a", units="mm", **options):
    grid = Grid.from_spacing(label.shape, spacing, units)
    grey = np.random.default_rng(0).normal(100, 20, label.shape) if grey is None else grey
    return Case(name, Scan(grey[..., None], grid), Scan(label, grid), name=name, **options)


def boxes(*starts, shape=(20, 20, 12)):
    """A label with a box of each class at each start."""
    label = np.zeros(shape, "uint8")
    for number, start in enumerate(starts, start=1):
        label[tuple(slice(a, a + 3) for a in start)] = number
    return label


def chosen(cases, **fixed):
    return planning.plan(cases, **fixed)[0]


def test_a_plan_gives_a_value_and_a_reason_for_each_number():
    plan, reasons = planning.plan([case(boxes((3, 4, 5)))])
    assert reasons.column("plan") == list(planning.CHOICES)
    assert all(row["because"] for row in reasons) and plan.keys() > set(planning.CHOICES)


def test_the_spacing_is_the_median_of_the_cases():
    cases = [case(boxes((3, 4, 5)), spacing=(1, 1, size)) for size in (2.0, 3.0, 9.0)]
    assert chosen(cases)["spacing"] == [1, 1, 3]


def test_pixels_of_unknown_size_stay_as_they_are():
    picture = case(boxes((3, 4), shape=(20, 20)), units="pixel")
    assert chosen([picture])["spacing"] is None


def test_large_objects_are_looked_at_from_further_away():
    label = np.zeros((300, 300), int)
    label[10:138, 10:138], label[150:278, 150:278] = 1, 2  # 144 across as discs
    plan = chosen([case(label, units="um", spacing=0.5, instances=True)])
    assert plan["spacing"] == pytest.approx([0.5 * 144.4 / 64] * 2, rel=1e-3)
    assert plan["flips"] == [0, 1]


def test_a_class_that_always_lies_to_one_side_of_another_forbids_that_flip():
    # Class 2 is always further along axis 1, either way along axis 0, at the same height.
    places = [(3, 9), (9, 3), (4, 10), (10, 4), (3, 12), (12, 3)]
    cases = [case(boxes((a, 4, 5), (b, 14, 5)), classes=3) for a, b in places]
    assert chosen(cases)["flips"] == [0, 2]


@pytest.mark.parametrize(
    "grey, name",
    [
        (np.random.default_rng(0).normal(40, 300, (20, 20, 12)) - 300, "window"),
        (np.arange(4800.0).reshape(20, 20, 12) % 3, "z_score_inside"),
        (np.arange(4800.0).reshape(20, 20, 12) + 5, "z_score"),
    ],
    ids=["CT", "zeros outside", "MR"],
)
def test_grey_values_are_brought_to_one_scale_by_what_they_are(grey, name):
    assert chosen([case(boxes((3, 4, 5)), grey)])["normalize"]["name"] == name


@pytest.mark.parametrize("shape", [(35, 50, 36), (320, 300, 20), (64, 64, 64), (9, 9, 9)])
def test_a_patch_fits_the_poolings_and_the_limit(shape):
    plan = chosen([case(boxes((1, 1, 1), shape=shape))])
    unit = 2 ** plan["depth"]
    assert all(size % unit == 0 for size in plan["patch"])
    assert min(plan["patch"]) / unit >= planning.BOTTOM or plan["depth"] == 1
    assert np.prod(plan["patch"]) <= 1.7 * planning.PATCH[3]  # rounded up to whole units


def test_numbers_that_were_asked_for_are_taken_and_said_to_be():
    fixed = {"patch": [16, 16, 8], "width": 6, "batch": [1], "flips": []}
    plan, reasons = planning.plan([case(boxes((3, 4, 5)))], **fixed)
    assert plan | {"batch": [1]} == plan | fixed and plan["batch"] == 1
    said = {row["plan"]: row["because"] for row in reasons}
    assert said["patch"] == said["width"] == "as asked" and said["depth"] != "as asked"


@pytest.mark.parametrize(
    "fixed", [{"patch": [8, 8]}, {"spacing": -1}, {"width": [4, 4]}, {"batch": 0}, {"flips": [3]}]
)
def test_numbers_that_cannot_be_are_refused(fixed):
    with pytest.raises(ConfigError, match=next(iter(fixed))):
        planning.plan([case(boxes((3, 4, 5)))], **fixed)


def test_an_unknown_network_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="unet, vnet"):
        planning.plan([case(boxes((3, 4, 5)))], "gnet")


def test_memory_bounds_the_batch_and_too_large_a_patch_is_refused(monkeypatch):
    cases = [case(boxes((3, 4, 5)))]
    need = planning.activations({**chosen(cases), "batch": 1})
    monkeypatch.setattr(planning, "machine_memory", lambda: 2 * need)
    assert chosen(cases)["batch"] == 1
    monkeypatch.setattr(planning, "machine_memory", lambda: need)
    with pytest.raises(ConfigError, match="smaller patch"):
        planning.plan(cases)


@pytest.mark.parametrize("network", ["unet", "vnet"])
def test_a_plan_s_network_takes_its_patches(network):
    cases = [case(boxes((3, 4, 5), (9, 4, 5)), spacing=(1, 1, 2), classes=3)]
    plan = chosen(cases, network=network, patch=8, depth=1, width=2)
    patches = planning.patches(planning.prepare(cases, plan), plan)
    x, y = patches[0]
    model = planning.build(plan)
    assert model.compute_output_shape(x.shape) == (*y.shape, 3)
    assert np.isfinite(float(planning.loss(plan)(y, model(x))))


def test_looking_names_sizes_spacings_and_classes():
    cases = [case(boxes((3, 4, 5))), case(boxes((3, 4, 5), shape=(10, 20, 12)), spacing=2.0)]
    found = {row["looked at"]: row["found"] for row in planning.look(cases)}
    assert "10-20 x 20-20 x 12-12" in found["voxels"] and "1-2" in found["spacing, mm"]
    assert "in 2 of 2 cases" in found["class 1"]


def test_a_patch_that_was_asked_for_decides_the_depth():
    assert chosen([case(boxes((3, 4, 5)))], patch=24)["depth"] == 2  # 24 / 8 would leave 3
    assert chosen([case(boxes((3, 4, 5)))], patch=36)["depth"] == 2  # 36 / 8 is no whole number
    with pytest.raises(ConfigError, match="even"):
        chosen([case(boxes((3, 4, 5)))], patch=15)


def test_a_patch_that_does_not_fit_a_depth_is_refused():
    with pytest.raises(ConfigError, match="multiples of 8"):
        planning.plan([case(boxes((3, 4, 5)))], patch=20, depth=3)
