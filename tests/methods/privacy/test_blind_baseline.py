import numpy as np
import torch
from memory_examples import InMemory, bright_disks

from efficient360.core.batch import Batch
from efficient360.core.findings import findings_table
from efficient360.methods.privacy.attack_results import lower_bound_finding, shadow_mismatch, split_findings
from efficient360.methods.privacy.blind_baseline import FINGERPRINT, WIDTH, blind_auc, image_features, splits_differ
from efficient360.methods.privacy.member_pairs import drop_duplicates


def features(examples: InMemory) -> np.ndarray:
    return image_features(next(examples.batches(len(examples))))


def test_random_halves_of_one_source_are_not_told_apart_and_brightened_members_are() -> None:
    source = bright_disks(600, 4, 0, "all")
    members, nonmembers = source.take(np.arange(300)), source.take(np.arange(300, 600))
    alike = blind_auc(features(members)[:, 1:], features(nonmembers)[:, 1:], 0)
    assert not splits_differ(alike)
    assert abs(alike.value - 0.5) < 0.07
    brightened = image_features(Batch(tuple(members.ids), torch.from_numpy(members.labels), lambda: (members.pixels * 1.15).clamp(0, 1), 0))
    result = blind_auc(brightened[:, 1:], features(nonmembers)[:, 1:], 0)
    assert splits_differ(result)
    assert result.value > 0.9
    assert [f.code for f in split_findings(result, 0)] == ["told-by-pixels"]
    assert list(split_findings(alike, 0)) == []


def test_false_alarms_are_as_rare_as_the_interval_promises() -> None:
    source = features(bright_disks(160, 4, 1, "all"))[:, 1:]
    alarms = 0
    for seed in range(30):
        order = np.random.default_rng(seed).permutation(160)
        alarms += splits_differ(blind_auc(source[order[:80]], source[order[80:]], seed))
    # One-sided 2.5 %: four or more of 30 happen once in a hundred and fifty.
    assert alarms <= 3


def test_sharpened_images_differ_though_their_colours_do_not() -> None:
    source = bright_disks(400, 4, 3, "all")
    blurred = torch.nn.functional.avg_pool2d(source.pixels[:200], 3, 1, 1)
    batch = Batch(tuple(source.ids[:200]), torch.from_numpy(source.labels[:200]), lambda: blurred, 0)
    assert blind_auc(image_features(batch)[:, 1:], features(source.take(np.arange(200, 400)))[:, 1:], 0).value > 0.95


def test_the_same_image_has_the_same_fingerprint_and_another_has_not() -> None:
    source = bright_disks(30, 4, 0, "all")
    result = features(source)
    assert result.shape == (30, WIDTH)
    assert len(set(result[:, FINGERPRINT])) == 30
    assert (features(source.take(np.arange(5)))[:, FINGERPRINT] == result[:5, FINGERPRINT]).all()


def test_images_on_both_sides_are_left_out_with_as_many_others() -> None:
    members, nonmembers = drop_duplicates(np.array([1.0, 2, 3, 4, 5]), np.array([5.0, 6, 7, 1, 8]))
    assert members.tolist() == [1, 2, 3]
    assert nonmembers.tolist() == [1, 2, 4]
    empty, _ = drop_duplicates(np.arange(3.0), np.arange(3.0))
    assert len(empty) == 0
    assert [f.code for f in split_findings(blind_auc(np.zeros((10, 2)), np.zeros((10, 2)), 0), 2)] == ["shared-images"]


def test_what_is_told_of_shadows_and_of_none() -> None:
    assert [f.code for f in shadow_mismatch(0.5, 0.69)] == ["unlike-shadows"]
    assert "50 %" in next(shadow_mismatch(0.5, 0.69)).message
    assert list(shadow_mismatch(0.65, 0.69)) == []
    assert "no evidence of privacy" in lower_bound_finding().message
    assert findings_table([]).rows[0][0] == "none"
    assert findings_table([lower_bound_finding()]).rows[0][0] == "lower-bound"
