import pytest

from efficient360.benchmark.plan import read_devices, read_targets
from efficient360.benchmark.zoo import Family, parse_zoo, read_models, zoo_names
from efficient360.cli.parser import run_command
from efficient360.deployment.runtimes import catalogue
from efficient360.deployment.runtimes.runtime import Precision
from efficient360.errors import SettingsError


def test_the_mobile_zoo_has_transformers_and_networks_enough():
    found = read_models("mobile", random_weights=False, seed=3)
    families = [entry.family for entry in found]
    assert families.count(Family.CNN) >= 3
    assert families.count(Family.VIT) + families.count(Family.HYBRID) >= 12
    assert Family.UNKNOWN not in families
    assert all(entry.spec.random_weights and entry.spec.seed == 3 for entry in found)
    assert "mobile" in zoo_names()


def test_names_files_and_zoos_mix(tmp_path):
    (tmp_path / "two.yaml").write_text("models: [{name: a, reference: resnet18, arguments: {num_classes: 7}, random_weights: true, family: cnn}, {name: b}]")
    found = read_models(f"digits-vit, {tmp_path / 'two.yaml'}", random_weights=True, seed=0)
    said = [(entry.name, entry.spec.reference, entry.spec.random_weights) for entry in found]
    assert said == [("digits-vit", "digits-vit", True), ("a", "resnet18", True), ("b", "b", False)]
    assert found[1].spec.arguments == {"num_classes": 7}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("models: [", "is not YAML"),
        ("- a", "the zoo f.yaml: it is ['a'], where an object is wanted"),
        ("models: []", "models is [], where at least 1 of them is wanted"),
        ("models: [{name: a}]\nzoo: 3", "unknown key 'zoo'"),
        ("models: [resnet18]", "models[0] is 'resnet18', where an object is wanted"),
        ("models: [{family: cnn}]", "has no models[0].name"),
        ("models: [{name: a, weights: none}]", "unknown key 'models[0].weights'"),
        ("models: [{name: a, family: rnn}]", "models[0].family is 'rnn', where 'vit', 'hybrid', 'cnn' or 'unknown' is wanted"),
        ("models: [{name: a, random_weights: 1}]", "models[0].random_weights is 1, where true or false is wanted"),
    ],
)
def test_a_bad_zoo_is_told(text, says):
    with pytest.raises(SettingsError) as caught:
        parse_zoo(text, "f.yaml", 0)
    assert says in caught.value.message
    assert caught.value.code == "bad-zoo"


@pytest.mark.parametrize(("text", "code"), [(" , ", "no-models"), ("a,a", "model-twice"), ("no/such.yaml", "no-zoo-file")])
def test_bad_models_are_told(text, code):
    with pytest.raises(SettingsError) as caught:
        read_models(text, random_weights=False, seed=0)
    assert caught.value.code == code


def test_all_runtimes_are_those_that_this_hardware_can_have():
    found = read_targets("all")
    assert [name for name, _ in found] == [name for name in catalogue.names() if not catalogue.runtime(name).unavailable()]
    assert {precision for _, precision in found} == {Precision.FP32}
    assert read_targets("torch, torch:bf16,torch") == [("torch", Precision.FP32), ("torch", Precision.BF16)]


@pytest.mark.parametrize(("text", "code"), [("", "no-runtimes"), ("torch,caffe", "unknown-runtime"), ("torch:fp8", "unknown-precision")])
def test_bad_runtimes_are_told(text, code):
    with pytest.raises(SettingsError) as caught:
        read_targets(text)
    assert caught.value.code == code


def test_devices_each_once():
    assert read_devices("local, limited:1core-2gb,local") == ["local", "limited:1core-2gb"]
    with pytest.raises(SettingsError):
        read_devices(",")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--models", "digits-vit", "--batch", "0"], "--batch is 0"),
        (["--models", "digits-vit", "--repeat", "0"], "--repeat is 0"),
        (["--models", "digits-vit", "--threads", "-1"], "--threads is -1"),
        (["--models", "digits-vit", "--runtimes", "torch", "--device", "mars"], "'mars' names no device"),
        (["--models", "no_such_model_anywhere", "--runtimes", "torch"], "no_such_model_anywhere"),
        (["--models", "digits-vit", "--runtimes", "caffe"], "there is no runtime called 'caffe'"),
        ([], "holds no measured cells"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_two(arguments, says, tmp_path, capsys):
    assert run_command(["benchmark", *arguments, "--out", str(tmp_path / "m")]) == 2
    told = capsys.readouterr().err
    assert says in told
    assert "Traceback" not in told
