import math

import numpy as np
import pytest
from made_cells import NOISY, made_cell
from scipy import stats

from efficient360.benchmark.board import Coverage, boards, costs, coverage, disturbances
from efficient360.benchmark.cells import RowRole
from efficient360.benchmark.ranking import (
    device_agreement,
    fragmentation,
    is_clear,
    macs_and_latency,
    precision_gain,
    rank_correlation,
    ranking,
    relative,
    repeatability,
)
from efficient360.benchmark.utilisation import best_utilisation, family_utilisation, matched_pairs, matmul_peak, utilisation
from efficient360.benchmark.zoo import Family
from efficient360.deployment.runtimes.runtime import Precision

FP32 = Precision.FP32


def one_board(*cells):
    (board,) = boards(cells)
    return board


def test_ranking_leaves_out_what_fails_parity_and_what_has_no_number():
    board = one_board(
        made_cell(runtime="litert", p50=0.010),
        made_cell(runtime="ncnn", p50=0.002, passed=False),
        made_cell(runtime="openvino", p50=0.008),
        made_cell(runtime="tvm", gap="no operator"),
        made_cell(runtime="onnxruntime", p50=0.001, precision=Precision.INT8),
    )
    assert [label for label, _ in ranking(board, "m", FP32)] == ["openvino:fp32", "litert:fp32"]
    assert coverage(board) == Coverage(cells=5, measured=4, counted=3)


def test_logits_that_were_not_handed_back_do_not_count():
    cell = made_cell()
    unchecked = type(cell)(**{**vars(cell), "measured": type(cell.measured)(**{**vars(cell.measured), "parity": None})})
    assert unchecked.rankable is None
    assert unchecked.exclusion_reason == "the device returns no logits to check"


@pytest.mark.parametrize(
    ("second", "width", "clear"),
    [(0.0115, 0.01, True), (0.0109, 0.001, False), (0.0115, 0.10, False)],
    ids=["apart and 15 % longer", "apart but 9 % longer", "15 % longer but the intervals meet"],
)
def test_a_win_is_clear_only_when_apart_and_over_ten_percent(second, width, clear):
    board = one_board(made_cell(runtime="litert", p50=0.010, width=width), made_cell(runtime="openvino", p50=second, width=width))
    assert is_clear(ranking(board, "m", FP32)) is clear


def test_a_model_with_one_runtime_has_no_winner():
    board = one_board(made_cell())
    assert not is_clear(ranking(board, "m", FP32))
    assert fragmentation(board, FP32) is None


def test_fragmentation_by_hand():
    board = one_board(
        made_cell("a", "litert", 0.010),
        made_cell("a", "openvino", 0.020),
        made_cell("b", "litert", 0.040),
        made_cell("b", "openvino", 0.010),
        made_cell("c", "litert", 0.010),
        made_cell("c", "openvino", 0.0105),
        made_cell("c", "ncnn", 0.080),
        made_cell("d", "litert", 0.010),
    )
    found = fragmentation(board, FP32)
    assert found.models == 3  # d has nothing to compare with
    assert found.wins == {"litert:fp32": 2, "openvino:fp32": 1}
    assert found.clear == {"litert:fp32": 1, "openvino:fp32": 1}
    assert found.clear_share == pytest.approx(2 / 3)
    assert found.spread == pytest.approx((2 * 4 * 8) ** (1 / 3))
    assert found.lead == pytest.approx((2 * 4 * 1.05) ** (1 / 3))
    assert found.regret["litert:fp32"] == (pytest.approx(4 ** (1 / 3)), 3)
    assert found.regret["ncnn:fp32"] == (pytest.approx(8), 1)


def test_relative_speed_is_the_geometric_mean_over_models_that_both_run():
    board = one_board(
        made_cell("a", "litert", 0.010),
        made_cell("a", "openvino", 0.005),
        made_cell("b", "litert", 0.010),
        made_cell("b", "openvino", 0.020),
        made_cell("c", "litert", 0.010),
        made_cell("c", "openvino", 0.001, passed=False),
    )
    found = relative(board, "openvino:fp32", "litert:fp32")
    assert (found.mean, found.low, found.high, found.models) == (pytest.approx(1.0), 0.5, 2.0, 2)
    assert relative(board, "openvino:fp32", "tvm:fp32") is None


def test_precision_gain_is_against_the_same_runtime():
    board = one_board(made_cell("a", "openvino", 0.010), made_cell("a", "openvino", 0.004, precision=Precision.INT8), made_cell("a", "litert", 0.001))
    assert precision_gain(board, Precision.INT8)["openvino"].mean == pytest.approx(2.5)


def test_rank_correlation_by_hand_and_against_scipy():
    assert rank_correlation([1, 2, 3, 4], [10, 20, 40, 30]).rho == pytest.approx(1 - 6 * 2 / (4 * 15))
    values = np.random.default_rng(0).random((2, 20))
    assert rank_correlation(*values.tolist()).rho == pytest.approx(stats.spearmanr(*values).statistic)
    assert rank_correlation([1, 2, 3], [1, 2, 3]) is None
    assert rank_correlation([1, 1, 1, 1], [1, 2, 3, 4]) is None


def test_devices_agree_over_the_cells_that_both_have():
    times = {"a": 0.001, "b": 0.002, "c": 0.003, "d": 0.004}
    slower = {"a": 0.010, "b": 0.030, "c": 0.020, "d": 0.040}
    cells = [made_cell(m, "litert", t) for m, t in times.items()] + [made_cell(m, "litert", t, device="limited", emulated="x") for m, t in slower.items()]
    cells += [made_cell("a", "openvino", 0.0005), made_cell("a", "openvino", 0.5, device="limited", emulated="x"), made_cell("b", "openvino", 0.001)]
    local, limited = boards(cells)
    found = device_agreement(local, limited)
    assert found.by_runtime["litert:fp32"].rho == pytest.approx(0.8)
    assert set(found.by_runtime) == {"litert:fp32"}
    assert found.overall.points == 5
    assert found.same_best == (2, 4)  # a and b change their fastest runtime; c and d have one runtime on both


def test_macs_against_latency_leaves_out_uncounted_models():
    sizes = {"a": 1e6, "b": 2e6, "c": 3e6, "d": 4e6}
    board = one_board(*[made_cell(m, macs=int(n), p50=1 / n) for m, n in sizes.items()], made_cell("e", macs=None))
    points, rho = macs_and_latency(board, "litert:fp32")
    assert [name for name, *_ in points] == ["a", "b", "c", "d"]
    assert rho.rho == pytest.approx(-1)


def test_utilisation_is_macs_over_time_over_the_best_product():
    board = one_board(
        made_cell("matrix products", "openvino", 0.010, macs=1_000_000_000, role=RowRole.PEAK),
        made_cell("matrix products", "litert", 0.020, role=RowRole.PEAK),
        made_cell("vit", "litert", 0.020, macs=500_000_000, family=Family.VIT),
        made_cell("hybrid", "litert", 0.040, macs=250_000_000, family=Family.HYBRID),
        made_cell("cnn", "litert", 0.010, macs=800_000_000, family=Family.CNN),
        made_cell("cnn", "ncnn", 0.0092, macs=800_000_000, family=Family.CNN),
    )
    top = matmul_peak(board)
    assert (top.speed, top.label) == (pytest.approx(1e11), "openvino:fp32")
    assert utilisation(board, "vit", "litert:fp32") == pytest.approx(0.25)
    found = family_utilisation(board, "litert:fp32")
    assert found.means[Family.HYBRID] == pytest.approx(0.0625)
    assert found.gap == pytest.approx(0.8 / math.sqrt(0.25 * 0.0625))
    assert best_utilisation(board, "cnn") == pytest.approx(0.8 / 0.92)
    assert [(pair.model, pair.cnn) for pair in matched_pairs(board)] == [("vit", "cnn")]  # the hybrid's MACs are over a factor of two away
    assert [model.name for model in board.models] == ["vit", "hybrid", "cnn"]


def test_no_peak_no_utilisation():
    board = one_board(made_cell("matrix products", "litert", 0.01, role=RowRole.PEAK, passed=False), made_cell("vit", "litert"))
    assert matmul_peak(board) is None
    assert family_utilisation(board, "litert:fp32") is None


def test_repeatability_by_hand():
    first = {"a": 0.010, "b": 0.020, "c": 0.030, "d": 0.040, "e": 0.050}
    second = {"a": 0.011, "b": 0.020, "c": 0.029, "d": 0.050, "e": 0.048}
    board = one_board(*[made_cell(m, p50=t) for m, t in first.items()], *[made_cell(m, p50=t, turn=2) for m, t in second.items()])
    found = repeatability(board)
    relative_differences = [second[m] / first[m] - 1 for m in first]
    assert found.ranks.rho == pytest.approx(stats.spearmanr(list(first.values()), list(second.values())).statistic)
    assert found.median == pytest.approx(np.median(np.abs(relative_differences)))
    assert found.largest == pytest.approx(0.25)
    assert found.bias == pytest.approx(0.0)
    assert found.cells == 5
    assert repeatability(one_board(made_cell())) is None


def test_the_newest_cell_of_a_place_stands_and_real_devices_come_first():
    cells = [made_cell(p50=0.5, device="limited", emulated="one core"), made_cell(p50=0.010), made_cell(p50=0.020)]
    found = boards(cells)
    assert [board.name for board in found] == ["local", "limited"]
    assert found[0].rankable_numbers("m", "litert:fp32").p50 == 0.020


def test_costs_are_medians_over_the_cells_that_count():
    board = one_board(made_cell("a", p50=0.010), made_cell("b", p50=0.030, memory=200_000_000), made_cell("c", p50=0.001, passed=False))
    found = costs(board, "litert:fp32")
    assert found.start == pytest.approx(np.median([0.12 / 0.010, 0.12 / 0.030]))
    assert found.memory == 150_000_000
    assert found.grown == 110_000_000
    assert found.artefact == pytest.approx(1.1)
    assert costs(board, "tvm:fp32").imports is None


def test_disturbances_are_counted_by_cell():
    board = one_board(made_cell("a", findings=[NOISY]), made_cell("b", findings=[NOISY]), made_cell("c"))
    assert disturbances(board) == {"noisy": 2}
