"""Every strategy as CloudFormation gets it: a change of an endpoint or its configuration shows up as a difference."""

from collections.abc import Callable
from pathlib import Path

import aws_cdk as cdk
import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from ml_lens.hosting import Deployment
from tests.stacks.synthesis import new_app
from tests.unit.serving import CONFIG, ENDPOINT, TARGET, TEN, host, model, template

STRATEGIES: dict[str, Callable[[cdk.Stack], Deployment]] = {
    "standard": lambda _: Deployment.standard(),
    "all_at_once": lambda _: Deployment.all_at_once(),
    "blue_green": lambda _: Deployment.blue_green(),
    "canary": lambda _: Deployment.canary(percent=10, wait=TEN),
    "linear": lambda _: Deployment.linear(step=50, interval=TEN),
    "rolling": lambda _: Deployment.rolling(batch=50, wait=TEN),
    "ab_test": lambda stack: Deployment.ab_test(b=model(stack, 2)),
    "shadow": lambda stack: Deployment.shadow(candidate=model(stack, 2), sampling=20),
}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_strategy_is_as_it_was(strategy: str, tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    stack = cdk.Stack(new_app(tmp_path), "Serving")
    host(stack, deployment=STRATEGIES[strategy](stack))
    made = template(stack)
    shape = {"endpoint": made.only(ENDPOINT), "config": made.only(CONFIG), "scaling": made.resources(TARGET)}
    assert shape == snapshot(name=strategy).use_extension(JSONSnapshotExtension)
