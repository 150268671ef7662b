from efficient360.methods.complexity.blocks import block_of, by_block


def test_block_of_a_name():
    assert block_of("blocks.3.attn.qkv.weight") == "blocks.3"
    assert block_of("patch_embed.proj.weight") == "patch_embed"
    assert block_of("cls_token") == "cls_token"
    assert block_of("stages.10") == "stages.10"


def test_blocks_that_lie_deeper():
    blocks = ("vit.encoder.layer.0", "vit.encoder.layer.1")
    names = ("vit.encoder.layer.1.attention.query.weight", "vit.embeddings.cls_token", "vit.layernorm.bias", "classifier.weight", "vit")
    assert [block_of(name, blocks) for name in names] == ["vit.encoder.layer.1", "vit.embeddings", "vit.layernorm", "classifier", "vit"]
    assert block_of("encoder.layers.encoder_layer_0.mlp.0", ("encoder.layers.encoder_layer_0",)) == "encoder.layers.encoder_layer_0"


def test_sums_by_block_in_order():
    values = [("stem.0.weight", 4), ("blocks.1.a", 1), ("blocks.0.a", 2), ("blocks.1.b.c", 3)]
    assert list(by_block(values).items()) == [("stem.0", 4), ("blocks.1", 4), ("blocks.0", 2)]
