"""One threshold for each attribute, checked before anything is created."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_lens.ai_services import FaceThresholds
from ml_lens.ai_services.thresholds import EMOTIONS
from ml_lens.foundation import PropError


@pytest.mark.lens("AIS-02")
def test_there_is_a_threshold_for_everything_without_a_word() -> None:
    thresholds = FaceThresholds()
    assert (thresholds.age_range, thresholds.gender) == (95.0, 95.0)
    assert thresholds.emotions == dict.fromkeys(EMOTIONS, 90.0)


@pytest.mark.lens("AIS-03")
def test_each_emotion_has_a_threshold_of_its_own() -> None:
    thresholds = FaceThresholds(emotions={"happy": 70, "FEAR": 99.5})
    assert thresholds.emotions["HAPPY"] == 70.0
    assert thresholds.emotions["FEAR"] == 99.5
    assert thresholds.emotions["SAD"] == 90.0
    assert tuple(thresholds.emotions) == EMOTIONS


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(PropError) as raised:
        FaceThresholds(age_range=49.9, gender=101, emotions={"HAPY": 95, "CALM": 12})
    problems = raised.value.problems
    assert [problem.partition(":")[0] for problem in problems] == [
        "emotions",
        "age_range",
        "gender",
        "emotions[HAPY]" if len(problems) == 5 else "emotions[CALM]",
    ]
    assert "did you mean 'HAPPY'?" in problems[0]
    assert "allowed are 50 to 100 percent" in problems[1]


@given(st.floats() | st.integers())
def test_a_threshold_is_accepted_exactly_from_50_to_100(value: float) -> None:
    if 50 <= value <= 100:
        assert FaceThresholds(gender=value, emotions={"SAD": value}).emotions["SAD"] == value
    else:
        with pytest.raises(PropError) as raised:
            FaceThresholds(gender=value, emotions={"SAD": value})
        assert len(raised.value.problems) == 2


@pytest.mark.parametrize("value", ["95", None, True, [95]])
def test_what_is_no_number_is_no_threshold(value: object) -> None:
    with pytest.raises(PropError, match="age_range: "):
        FaceThresholds(age_range=value)  # type: ignore[arg-type]


def test_thresholds_do_not_change_once_they_are_set() -> None:
    given = {"SAD": 60.0}
    thresholds = FaceThresholds(emotions=given)
    given["SAD"] = 51.0
    assert thresholds.emotions["SAD"] == 60.0
    with pytest.raises(TypeError):
        thresholds.emotions["SAD"] = 51.0  # type: ignore[index]


def test_the_function_is_told_every_threshold() -> None:
    told = json.loads(FaceThresholds(age_range=80, emotions={"SAD": 60}).to_json())
    assert told == {
        "age_range": 80,
        "gender": 95.0,
        "emotions": {**dict.fromkeys(EMOTIONS, 90.0), "SAD": 60.0},
    }
