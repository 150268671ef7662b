import pytest

from efficient360.deployment.devices.profile import LimitProfile, check_fits, label, parse, size
from efficient360.errors import SettingsError

GIB = 2**30


@pytest.mark.parametrize(
    ("text", "profile"),
    [
        ("2core-4gb", LimitProfile(cores=2, memory=4 * GIB)),
        ("4gb-2cores", LimitProfile(cores=2, memory=4 * GIB)),
        ("1core-512mb-quota50", LimitProfile(cores=1, memory=512 * 2**20, quota=50)),
        ("AVX2-1CORE", LimitProfile(cores=1, isa="avx2")),
    ],
)
def test_parts_in_any_order(text: str, profile: LimitProfile) -> None:
    assert parse(text) == profile


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a part ''"),
        ("2core-fast", "a part 'fast'"),
        ("sse4", "a part 'sse4'"),
        ("2core-", "a part ''"),
        ("1core-2core", "its cores twice"),
        ("1gb-512mb", "its memory twice"),
        ("0core", "no core"),
        ("32mb", "too little memory"),
        ("1core-quota5", "too small a quota"),
    ],
)
def test_a_bad_part_is_named(text: str, said: str) -> None:
    with pytest.raises(SettingsError) as error:
        parse(text)
    assert error.value.code == "bad-profile"
    assert said in error.value.message
    assert error.value.hint


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("3core", "asks for 3 cores, and 2 are open here", "2core"),
        ("9gb", "asks for 9 GiB of memory, and this machine has 8 GiB", "8gb"),
        ("quota250", "250 % of a core's time, more than its 2 cores have", "quota200"),
        ("1core-quota150", "150 % of a core's time, more than its 1 cores have", "quota100"),
        ("avx2", "asks for avx2, which this CPU lacks", "leave it out"),
    ],
)
def test_more_than_the_machine_is_refused(text: str, said: str, hint: str) -> None:
    with pytest.raises(SettingsError) as error:
        check_fits(parse(text), text, cores=2, memory=8 * GIB, isa=["asimd"])
    assert error.value.code == "profile-too-large"
    assert said in error.value.message
    assert hint in error.value.hint


def test_the_whole_machine_is_not_too_much() -> None:
    check_fits(parse("2core-8gb-quota200-avx2"), "", cores=2, memory=8 * GIB, isa=["avx2"])


def test_the_label_names_what_stands_in_for_what() -> None:
    told = label(parse("1core-2gb-quota50"), "AMD EPYC", cores=2, isa=["avx2"])
    assert told == "emulated on AMD EPYC: 1 of 2 cores, 2 GiB, 50 % of one core's time"


def test_the_label_of_a_cap_names_who_obeys() -> None:
    assert label(parse("avx2"), "a CPU", 2, ["avx2", "avx512f"]).endswith("at most AVX2, which torch and OpenVINO alone obey")
    assert label(parse("avx2"), "a CPU", 2, ["avx2"]).endswith("AVX2, the newest this CPU has")


@pytest.mark.parametrize(("memory", "text"), [(2 * GIB, "2 GiB"), (512 * 2**20, "512 MiB"), (int(23.54 * GIB), "23.54 GiB")])
def test_sizes_as_memory_is_sold(memory: int, text: str) -> None:
    assert size(memory) == text
