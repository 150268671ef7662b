import pytest

from efficient360.errors import SettingsError
from efficient360.methods.compression.clustering import Clustering
from efficient360.methods.compression.compressor import conditions_of, describe_strength, variant_of
from efficient360.methods.compression.quantization import HalfPrecision
from efficient360.methods.compression.variants import LADDER, parse


def test_names_and_strengths() -> None:
    assert parse("clustering:64") == Clustering(64)
    assert parse("half") == HalfPrecision()
    made = [parse(variant) for variant in LADDER]
    assert len(set(made)) == len(LADDER)
    assert len({frozenset(conditions_of(compressor).items()) for compressor in made}) == len(LADDER)
    for variant, compressor in zip(LADDER, made, strict=True):
        assert variant_of(compressor) == variant
        assert compressor.title
    assert [describe_strength(parse(variant)) for variant in ("half", "clustering:64", "quantization:4", "pruning:50", "low_rank:25", "token_merging:10")] == [
        "",
        "64 clusters",
        "4 bits",
        "50 % left out",
        "25 % kept",
        "10 % merged",
    ]


@pytest.mark.parametrize("variant", ["zip", "clustering", "clustering:", "clustering:many", "half:2", "quantization:-4", ""])
def test_an_unknown_variant_is_told(variant: str) -> None:
    with pytest.raises(SettingsError, match="there is no compressor") as error:
        parse(variant)
    assert "clustering:N" in error.value.hint
    assert "half," in error.value.hint


@pytest.mark.parametrize(
    ("variant", "said"),
    [
        ("clustering:1", "clustering with 1 clusters is not offered"),
        ("clustering:257", "clustering with 257"),
        ("quantization:1", "quantization to 1 bits"),
        ("quantization:16", "quantization to 16 bits"),
        ("pruning:0", "pruning 0 percent"),
        ("pruning:100", "pruning 100 percent"),
        ("low_rank:100", "factors with 100 percent"),
        ("token_merging:96", "merging 96 percent of the patches"),
    ],
)
def test_a_strength_out_of_reach_is_told(variant: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as error:
        parse(variant)
    assert error.value.code == "bad-strength"
    assert error.value.hint.startswith("give ")
