"""Attention statistics of every layer and head as rows, and the findings they lead to."""

import numpy as np
import torch

from efficient360.methods.spectral.attention_statistics import AttentionStatistics
from efficient360.methods.spectral.attention_summary import (
    DISTANCE,
    ENTROPY,
    RESPONSE,
    AttentionColumns,
    AttentionTable,
    attention_columns,
    attention_findings,
    attention_rows,
)


def test_rows_hold_every_layer_and_head() -> None:
    def layer(name: str, heads: int, start: float, with_distance: bool) -> AttentionStatistics:
        values = torch.arange(2.0 * heads).view(2, heads).double() + start
        return AttentionStatistics(name, values, values + 100, values + 200 if with_distance else None)

    layers = [layer("a", 2, 0, True), layer("b", 3, 50, False)]
    table = AttentionTable(attention_columns(layers), attention_rows(layers))
    assert table.rows.shape == (2, 12)
    assert [(number, values.tolist()) for number, values in table.by_layer(DISTANCE)] == [(1, [[200, 201], [202, 203]])]
    assert table.by_layer(RESPONSE)[1][1].tolist() == [[150, 151, 152], [153, 154, 155]]
    assert table.by_image(ENTROPY).tolist() == [(0.5 + 51) / 2, (2.5 + 54) / 2]
    assert AttentionTable(attention_columns(layers[1:]), attention_rows(layers[1:])).by_image(DISTANCE).tolist() == []


def test_layers_with_uniform_or_peaked_attention_are_named() -> None:
    layers = tuple(AttentionColumns(f"blocks.{i}", 2, (ENTROPY, RESPONSE)) for i in range(3))
    #        entropy    response   of each head, layer by layer
    rows = np.array([[1.0, 0.9, 0.01, 0.03, 0.5, 0.5, 0.4, 0.4, 0.01, 0.03, 0.9, 0.9]])
    uniform, peaked = attention_findings(AttentionTable(layers, rows))
    assert (uniform.code, peaked.code) == ("even-attention", "sharp-attention")
    assert "1 of 3 layers" in uniform.message
    assert "(layer 1)" in uniform.message
    assert "(layer 3)" in peaked.message
