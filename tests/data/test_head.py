import sys
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest

from medseg_tf import data
from medseg_tf.errors import ConfigError, DataNotFoundError

# Four voxels: outside, fluid, grey, white.
MAPS = {
    "": [0.01, 0.3, 0.6, 0.9],
    "gm_": [0.0, 0.2, 0.7, 0.1],
    "wm_": [0.0, 0.1, 0.2, 0.9],
}


@pytest.fixture
def template(monkeypatch):
    """Stands in for nilearn: templates of four voxels."""

    def loader(values):
        def load(resolution):
            affine = np.diag([resolution] * 3 + [1.0])
            return nib.Nifti1Image(np.float32(values).reshape(4, 1, 1), affine)

        return load

    loaders = {f"load_mni152_{kind}template": loader(MAPS[kind]) for kind in MAPS}
    monkeypatch.setitem(
        sys.modules, "nilearn", SimpleNamespace(datasets=SimpleNamespace(**loaders))
    )


def test_a_voxel_gets_its_most_likely_tissue_and_0_outside_the_brain(template):
    case = data.mni152(3)
    assert case.label.array.ravel().tolist() == [0, 1, 2, 3] and case.classes == 4
    assert case.image.array.shape == (4, 1, 1, 1) and case.image.array.dtype == "float32"
    assert case.image.grid.spacing.tolist() == [3, 3, 3] and case.image.grid.axes == "RAS"


@pytest.mark.parametrize("spacing", [0, 1.5, -2])
def test_a_spacing_that_the_template_does_not_have_is_refused(spacing):
    with pytest.raises(ConfigError, match="whole number of mm"):
        data.mni152(spacing)


def test_without_nilearn_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "nilearn", None)
    with pytest.raises(DataNotFoundError, match=r"medseg-tf\[head\]"):
        data.mni152()


@pytest.mark.slow
def test_the_real_brain_has_more_grey_than_white_matter_and_both_brighter_than_fluid():
    pytest.importorskip("nilearn")
    case = data.mni152(3)
    image, label = case.image.array[..., 0], case.label.array
    means = [image[label == k].mean() for k in range(4)]
    assert means == sorted(means)
    assert 1 < (label == 2).sum() / (label == 3).sum() < 3
