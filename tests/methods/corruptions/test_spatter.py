import numpy as np

from efficient360.methods.corruptions.spatter import MudSpatter, WaterSpatter, _equalise_histogram, canny_edges


def test_the_edge_of_a_square_is_a_closed_line_one_pixel_wide() -> None:
    grey = np.zeros((40, 40), np.uint8)
    grey[10:30, 12:32] = 200
    edges = canny_edges(grey, 50, 150)
    rows, columns = np.flatnonzero(edges.any(axis=1)), np.flatnonzero(edges.any(axis=0))
    assert 9 <= rows[0] <= 10
    assert 29 <= rows[-1] <= 30
    assert 11 <= columns[0] <= 12
    assert 31 <= columns[-1] <= 32
    assert (edges[15:25].sum(axis=1) == 2).all()
    assert (edges[:, 16:28].sum(axis=0) == 2).all()


def test_a_weak_edge_counts_only_where_it_touches_a_strong_one() -> None:
    weak = np.zeros((20, 30), np.uint8)
    weak[:, 15:] = 30  # Sobel: 4 · 30 = 120, between 50 and 150
    assert not canny_edges(weak, 50, 150).any()
    touching = weak.copy()
    touching[:10, 15:] = 60
    assert canny_edges(touching, 50, 150)[12:, 13:17].any(axis=1).all()


def test_equalisation_spreads_the_values_by_their_share() -> None:
    assert _equalise_histogram(np.array([[5, 5, 9, 200]], np.uint8)).tolist() == [[0, 0, 128, 255]]
    assert _equalise_histogram(np.full((2, 2), 7, np.uint8)).tolist() == [[7, 7], [7, 7]]


def test_drops_are_pale_turquoise_and_only_brighten() -> None:
    black = np.zeros((3, 96, 96), np.uint8)
    made = WaterSpatter(0.65, 0.3, 3, 0.68, 0.6).apply(black, np.random.default_rng(0)).astype(int)
    drop = made[1] > 40
    assert drop.any()
    assert made.max() <= 0.6 * 238 + 1
    np.testing.assert_allclose(made[0][drop] / made[1][drop], 175 / 238, atol=0.03)
    np.testing.assert_array_equal(made[1], made[2])


def test_without_a_drop_the_image_stays() -> None:
    image = np.random.default_rng(0).integers(0, 256, (3, 32, 32), dtype=np.uint8)
    np.testing.assert_array_equal(WaterSpatter(0.1, 0.01, 1, 0.7, 0.5).apply(image, np.random.default_rng(0)), image)


def test_mud_covers_with_brown() -> None:
    image = np.full((3, 64, 64), 200, np.uint8)
    made = MudSpatter(0.65, 0.3, 1, 0.65, 1.5).apply(image, np.random.default_rng(0))
    covered = made[0] != 200
    assert 0.01 < covered.mean() < 0.5
    darkest = made.reshape(3, -1)[:, made[0].argmin()]
    assert (np.abs(darkest.astype(int) - [63, 42, 20]) <= 35).all()
    everywhere = MudSpatter(9, 0.1, 1, 0.65, 1.5).apply(image, np.random.default_rng(0))
    assert np.unique(everywhere.reshape(3, -1), axis=1).T.tolist() == [[63, 42, 20]]
