"""Tokens that are all alike, all different, and in between."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient360.methods.spectral.rank_collapse import effective_ranks, mean_cosine, relative_residual, token_findings


def test_equal_tokens_are_alike_have_no_residual_and_rank_one() -> None:
    tokens = torch.tensor([1.0, 2, 3]).expand(2, 5, 3)
    assert mean_cosine(tokens).tolist() == pytest.approx([1, 1])
    assert relative_residual(tokens).tolist() == pytest.approx([0, 0], abs=1e-12)
    assert effective_ranks(tokens).tolist() == pytest.approx([1, 1], abs=1e-5)


def test_orthogonal_tokens_are_all_different() -> None:
    tokens = torch.eye(4)[None]
    assert mean_cosine(tokens).item() == pytest.approx(0)
    assert relative_residual(tokens).item() == pytest.approx(np.sqrt(3 / 4))
    assert effective_ranks(tokens).item() == pytest.approx(4)


def test_opposite_tokens() -> None:
    tokens = torch.tensor([[[1.0, 0], [-1, 0]]])
    assert mean_cosine(tokens).item() == -1
    assert relative_residual(tokens).item() == 1
    assert effective_ranks(tokens).item() == pytest.approx(1)


def test_zero_tokens_are_alike() -> None:
    tokens = torch.zeros(1, 4, 3)
    assert (mean_cosine(tokens).item(), relative_residual(tokens).item(), effective_ranks(tokens).item()) == (1, 0, 0)


def test_tokens_of_equal_direction_and_other_length_are_rank_one_but_not_equal() -> None:
    tokens = torch.tensor([[[1.0, 1], [3, 3]]])
    assert mean_cosine(tokens).item() == pytest.approx(1)
    assert relative_residual(tokens).item() == pytest.approx(np.sqrt(4 / 20))
    assert effective_ranks(tokens).item() == pytest.approx(1, abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(2, 7), width=st.integers(1, 7), seed=st.integers(0, 999))
def test_against_plain_loops_and_decompositions(n: int, width: int, seed: int) -> None:
    tokens = np.random.default_rng(seed).normal(size=(n, width))
    unit = tokens / np.linalg.norm(tokens, axis=1, keepdims=True)
    cosines = [unit[i] @ unit[j] for i in range(n) for j in range(n) if i != j]
    values = np.linalg.svd(tokens, compute_uv=False)
    share = values / values.sum()
    apart = np.linalg.norm(tokens - tokens.mean(0)) / np.linalg.norm(tokens)
    ours = torch.from_numpy(tokens)[None]
    assert mean_cosine(ours).item() == pytest.approx(np.mean(cosines), abs=1e-9)
    assert relative_residual(ours).item() == pytest.approx(apart, abs=1e-9)
    assert effective_ranks(ours).item() == pytest.approx(np.exp(-(share * np.log(share + 1e-300)).sum()), rel=1e-5)


def test_nearly_identical_tokens_are_a_finding_with_its_figures() -> None:
    (finding,) = token_findings(np.array([0.94, 0.96]), np.array([0.2, 0.3]))
    assert finding.code == "similar-tokens"
    assert "cosine similarity of 0.95" in finding.message
    assert "25 % of their norm" in finding.message
    assert list(token_findings(np.array([0.5]), np.array([0.7]))) == []
