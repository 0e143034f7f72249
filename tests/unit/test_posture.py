"""The posture decides what outlives a stack, and two keys are needed to overrule it."""

from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import RemovalPolicy
from aws_cdk import aws_logs as logs

from ml_lens.foundation import Posture
from ml_lens.foundation.posture import DESTROY_DATA_FLAG, POSTURES
from tests.stacks.synthesis import new_app


def stack(outdir: Path, **context: object) -> cdk.Stack:
    return cdk.Stack(new_app(outdir, **context), "Place")


def test_a_sandbox_forgets_and_production_remembers() -> None:
    sandbox, production = Posture.sandbox(), Posture.production()
    assert (sandbox.keeps_data, production.keeps_data) == (False, True)
    assert sandbox.log_retention is logs.RetentionDays.ONE_WEEK
    assert production.log_retention is logs.RetentionDays.ONE_YEAR
    assert (sandbox.audit_retention_days, production.audit_retention_days) == (7, 365)
    assert (sandbox.log_level, production.log_level) == ("DEBUG", "INFO")


def test_a_stack_of_production_says_so_in_its_tags() -> None:
    assert Posture.production().tags == {"mllens:environment": "prod"}
    assert Posture.sandbox().tags == {"mllens:environment": "sandbox"}


@pytest.mark.parametrize("name", ["sandbox", "production"])
def test_a_posture_is_found_by_its_name(name: str) -> None:
    assert Posture.named(name).name == name
    assert Posture.named(name) == POSTURES[name]


def test_there_is_no_posture_of_another_name() -> None:
    with pytest.raises(KeyError):
        Posture.named("staging")


def test_a_sandbox_removes_data_without_being_asked(tmp_path: Path) -> None:
    place = stack(tmp_path)
    assert Posture.sandbox().removal_policy(place) is RemovalPolicy.DESTROY


@pytest.mark.parametrize(
    ("flag", "removed"),
    [(None, False), (False, False), ("false", False), ("yes", False), ("true", True), (True, True)],
)
def test_production_removes_data_only_when_the_flag_is_true(
    tmp_path: Path, flag: object, removed: bool
) -> None:
    place = stack(tmp_path, **{DESTROY_DATA_FLAG: flag})
    assert Posture.production().removes_data(place) is removed
    expected = RemovalPolicy.DESTROY if removed else RemovalPolicy.RETAIN
    assert Posture.production().removal_policy(place) is expected
