"""Random walks, Grady 2005 and 2006; label fusion, Coupe 2011; the multi-scale net's counts."""

import inspect

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.sparse.linalg import spsolve

from medseg_tf.methods import patch_fusion, random_walker
from medseg_tf.methods.patch_fusion import candidates
from medseg_tf.methods.random_walker import edge_weights, graph_laplacian
from medseg_tf.models import multiscale, receptive_field

GRID_SEEDS = np.array([[0, -1, -1], [-1, -1, -1], [-1, -1, 1]])
STEP = np.repeat([[0.0, 0, 1]], 3, axis=0)[..., None]
HALVED = np.array([[799, 581, 351], [588, 478, 236], [487, 386, 0]]) / 799
WEAK = [[1, 0.683618, 0.485200], [0.686540, 0.527728, 0.324707], [0.531891, 0.377242, 0]]
WALL = [[1, 1, 0]] * 3
LIBRARY = [np.array(row) for row in ((1, 2, 3.2), (1, 2.2, 3), (1.5, 2, 3), (4.0, 5, 6))]


def walk(beta):
    """Probabilities of the first seed on the image with a step; sums of edges leave 1e-6."""
    return random_walker(STEP, seeds=GRID_SEEDS, beta=beta)[..., 0]


def test_on_a_path_of_five_the_probability_falls_evenly():
    seeds = np.array([0, -1, -1, -1, 1])
    found = random_walker(np.zeros((5, 1)), seeds=seeds)[:, 0]
    assert found.tolist() == pytest.approx([1, 0.75, 0.5, 0.25, 0])


def test_along_a_path_weights_are_conductances():
    laplacian = graph_laplacian([np.array([1, 0.25, 1])], (4,)).toarray()
    inner = np.linalg.solve(laplacian[1:3, 1:3], -laplacian[1:3, [0, 3]] @ [1, 0])
    assert inner.tolist() == pytest.approx([5 / 6, 1 / 6])


def test_a_walker_sent_out_many_times_arrives_as_often_as_computed():
    rng = np.random.default_rng(0)
    place = np.full(20_000, 1)
    while (moving := (place > 0) & (place < 3)).any():
        up = np.where(place == 1, 0.2, 0.8)  # weights 1, 1/4, 1
        place = np.where(moving, place + np.where(rng.random(place.size) < up, 1, -1), place)
    assert (place == 0).mean() == pytest.approx(5 / 6, abs=0.01)


def test_on_a_grid_of_nine():
    found = random_walker(np.zeros((3, 3, 1)), seeds=GRID_SEEDS)[..., 0]
    np.testing.assert_allclose(
        found, [[1, 2 / 3, 1 / 2], [2 / 3, 1 / 2, 1 / 3], [1 / 2, 1 / 3, 0]], atol=1e-9
    )


def test_a_step_that_halves_the_weights():
    np.testing.assert_allclose(walk(np.log(2)), HALVED, atol=2e-6)


@pytest.mark.parametrize("beta", [1, 3.267527])
def test_scikit_image_agrees_once_its_beta_is_divided_by_ten_deviations(beta):
    from skimage.segmentation import random_walker as theirs

    assert STEP.std() == pytest.approx(2**0.5 / 3)
    found = theirs(STEP[..., 0], GRID_SEEDS + 1, beta, mode="bf", return_full_prob=True)
    np.testing.assert_allclose(found[0], walk(beta / (10 * STEP.std())), atol=3e-6)


@pytest.mark.parametrize(
    "beta, expected, within",
    [(10 * STEP.std() * np.log(2), HALVED, 1e-10), (1, WEAK, 6e-7), (130, WALL, 1e-9)],
)
def test_scikit_image_itself_on_the_step(beta, expected, within):
    from skimage.segmentation import random_walker as theirs

    found = theirs(STEP[..., 0], GRID_SEEDS + 1, beta, mode="bf", return_full_prob=True)
    np.testing.assert_allclose(found[0], expected, atol=within)


def test_numbers_of_scikit_image_for_a_weak_step_and_a_wall():
    assert edge_weights(STEP, 0.212132)[1][:, 1] == pytest.approx([0.808858] * 3, abs=2e-6)
    np.testing.assert_allclose(walk(0.212132), WEAK, atol=3e-6)
    np.testing.assert_allclose(walk(130 / 4.71405), WALL, atol=2e-5)


@pytest.mark.filterwarnings("ignore:Matrix is exactly singular")
def test_scikit_image_knows_no_walk_on_a_constant_image_and_no_prior():
    from skimage.segmentation import random_walker as theirs

    with np.errstate(all="ignore"):
        found = theirs(np.zeros((3, 3)), GRID_SEEDS + 1, 1, mode="bf", return_full_prob=True)
    assert np.isnan(found[:, GRID_SEEDS < 0]).all()
    assert "prior" not in inspect.signature(theirs).parameters


def path(first, gamma, seeds=None):
    """Priors of the first of two classes along a path of unit weights."""
    prior = np.stack([first, 1 - np.array(first)], axis=1)
    found = random_walker(np.zeros((len(first), 1)), prior, seeds, gamma=gamma)
    np.testing.assert_allclose(found.sum(1), 1)
    return found[:, 0].tolist()


@pytest.mark.parametrize(
    "prior, gamma, expected",
    [
        ((0.9, 0.5, 0.1), 0.1, (0.5364, 0.5, 0.4636)),
        ((0.9, 0.5, 0.1), 1, (0.7, 0.5, 0.3)),
        ((0.9, 0.5, 0.1), 10, (0.8636, 0.5, 0.1364)),
        ((0.9, 0.4, 0.9), 0.1, (0.7387, 0.7226, 0.7387)),
        ((0.9, 0.4, 0.9), 1, (0.775, 0.65, 0.775)),
        ((0.9, 0.4, 0.9), 10, (0.8615, 0.4769, 0.8615)),
    ],
)
def test_priors_along_a_path_of_three(prior, gamma, expected):
    assert path(prior, gamma) == pytest.approx(expected, abs=1e-4)


def test_a_prior_and_a_seed_together():
    assert path((0.9, 0.4, 0.9), 1, np.array([0, -1, -1])) == pytest.approx([1, 0.74, 0.82])


def test_a_prior_is_one_more_seed_of_each_class_tied_to_every_voxel():
    first = np.array([0.9, 0.4, 0.9])
    edges = np.zeros((5, 5))
    edges[0, 1] = edges[1, 2] = 1
    edges[:3, 3], edges[:3, 4] = first, 1 - first
    edges += edges.T
    laplacian = np.diag(edges.sum(1)) - edges
    found = spsolve(csr_array(laplacian[:3, :3]), edges[:3, 3])
    assert path(first, 1) == pytest.approx(found.tolist(), abs=1e-5)


def vote(**options):
    """The share of class 1 in the middle of a row of three, against four labelled rows."""
    rows = [row[:, None] for row in (np.array([1.0, 2, 3]), *LIBRARY)]
    labels = [np.array([0, label, 0]) for label in (1, 1, 0, 0)]
    return patch_fusion(rows[0], rows[1:], labels, patch=3, search=1, **options)[1, 1]


def test_distances_and_likeness_of_four_patches_by_hand():
    middles = candidates(np.array([1.0, 2, 3]), [(row, np.zeros(3)) for row in LIBRARY], 3, 1)
    distance, likeness = np.array([(gap[1], like[1]) for _, gap, like, _ in middles]).T
    assert distance.tolist() == pytest.approx([0.04, 0.04, 0.25, 27])
    assert likeness.tolist() == pytest.approx([0.99481, 0.99944, 0.96167, 0.68966], abs=1e-5)
    weights = np.exp(-distance / distance.min())
    assert weights[:3].tolist() == pytest.approx([0.367879, 0.367879, 0.00193045], abs=1e-6)


@pytest.mark.parametrize(
    "options, share",
    [
        (dict(eps=0), 0.997383),
        (dict(), 0.997349),
        (dict(eps=99.96), 0.667133),
        (dict(eps=99.96, threshold=0), 0.531690),
    ],
)
def test_label_fusion_by_hand(options, share):
    assert vote(**options) == pytest.approx(share, abs=1e-6)


def test_preselection_that_leaves_no_patch_leaves_the_nearest():
    assert vote(threshold=1.01) == 1


@pytest.mark.parametrize(
    "kernels, width, weights, sees",
    [((3, 5, 7), 8, 12_358, 19), ((3,), 25, 12_580, 7), ((5,), 15, 12_380, 13),
     ((7,), 11, 13_012, 19)],
)  # fmt: skip
def test_the_multi_scale_network_and_its_twins_of_one_scale(kernels, width, weights, sees):
    model = multiscale((64, 64, 1), 6, kernels=kernels, width=width)
    assert model.count_params() == weights
    assert receptive_field(model) == (sees, sees)
