"""How a transform job of the sandbox filters its records, and joins them with their answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ml_lens.rehearsal.inside.sagemaker.joining import NotJoined, Processing, chosen

RECORD = {"id": 7, "features": [1, 2, 3], "who": {"name": "Ada"}}


def processing(kind: str = "text/csv", **asked: str) -> Processing:
    return Processing({"TransformInput": {"ContentType": kind}, "DataProcessing": asked})


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$", RECORD),
        ("$.features", [1, 2, 3]),
        ("$.who.name", "Ada"),
        ("$['id','who']", {"id": 7, "who": {"name": "Ada"}}),
        ("$.features[1:]", [2, 3]),
        ("$.features[0,-1]", [1, 3]),
        ("$.features[-1]", 3),
    ],
)
def test_a_path_chooses_a_part(path: str, expected: Any) -> None:
    assert chosen(RECORD, path) == expected


@pytest.mark.parametrize("path", ["$.nothing", "$.features[9]", "$..id", "$.who[0]"])
def test_a_path_to_nothing_is_refused(path: str) -> None:
    with pytest.raises(NotJoined):
        chosen(RECORD, path)


def test_without_processing_everything_passes_as_it_is() -> None:
    plain = Processing({"TransformInput": {}})
    assert plain.given(b"anything") == b"anything"
    assert plain.told([b"a", b"b"], b"1\n2\n") == [b"1\n2"]


def test_columns_are_joined_to_the_record_and_the_id_is_not_given_to_the_model() -> None:
    joined = processing(InputFilter="$[1:]", JoinSource="Input", OutputFilter="$[0,-1]")
    assert joined.given(b"7,1,2") == b"1,2"
    assert joined.told([b"7,1,2", b'"8,9",3,4'], b"0.5\n0.7\n") == [b"7,0.5", b'"8,9",0.7']


def test_objects_get_the_answer_as_a_member() -> None:
    joined = processing("application/jsonlines", JoinSource="Input")
    (told,) = joined.told([json.dumps(RECORD).encode()], b'{"score": 1}')
    assert json.loads(told) == {**RECORD, "SageMakerOutput": {"score": 1}}
    (told,) = joined.told([b"[1, 2]"], b"3")
    assert json.loads(told) == {"SageMakerInput": [1, 2], "SageMakerOutput": 3}


def test_records_and_answers_must_be_as_many() -> None:
    with pytest.raises(NotJoined, match="2 records have 1 answers"):
        processing(JoinSource="Input").told([b"1", b"2"], b"0.5")
