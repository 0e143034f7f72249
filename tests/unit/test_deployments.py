"""How a new version of a model takes over: what is rendered, and what SageMaker's limits refuse."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sagemaker as sagemaker

from ml_lens.foundation import PropError
from ml_lens.foundation.observability import quiet_alarm
from ml_lens.hosting import Deployment
from tests.stacks.synthesis import new_app, templates

MINUTES = Duration.minutes
TEN = MINUTES(10)
Rendered = Callable[[Deployment], Any]


@pytest.fixture
def rendered(tmp_path: Path) -> Rendered:
    """Return the ``DeploymentConfig`` of an endpoint that one alarm watches."""
    stack = cdk.Stack(new_app(tmp_path), "Rendered")
    errors = cloudwatch.Metric(namespace="AWS/SageMaker", metric_name="Invocation5XXErrors")
    alarm = quiet_alarm(stack, "OnCall", metric=errors, above=0, because="calls fail")

    def render(deployment: Deployment) -> Any:
        sagemaker.CfnEndpoint(
            stack,
            "Endpoint",
            endpoint_config_name="given",
            deployment_config=deployment.to_config([alarm]),
        )
        app = stack.node.root
        assert isinstance(app, cdk.App)
        return templates(app)["Rendered"].only("AWS::SageMaker::Endpoint").get("DeploymentConfig")

    return render


@pytest.mark.lens("F9-06", "F10-05", "CHG-05", "CHG-07")
@pytest.mark.parametrize(
    "deployment",
    [
        Deployment.all_at_once(),
        Deployment.blue_green(),
        Deployment.canary(percent=10, wait=TEN),
        Deployment.linear(step=25, interval=TEN),
        Deployment.rolling(batch=25, wait=TEN),
    ],
    ids=lambda deployment: deployment.name,
)
def test_every_guarded_deployment_is_rolled_back_by_alarms(
    rendered: Rendered, deployment: Deployment
) -> None:
    made = rendered(deployment)
    ((alarm,),) = made["AutoRollbackConfiguration"].values()
    assert alarm["AlarmName"]["Ref"].startswith("OnCall")
    # SageMaker takes one policy only.
    assert sum(policy in made for policy in ("BlueGreenUpdatePolicy", "RollingUpdatePolicy")) == 1


def test_a_standard_deployment_leaves_everything_to_sagemaker(rendered: Rendered) -> None:
    assert rendered(Deployment.standard()) is None


@pytest.mark.lens("F8-07")
def test_the_old_fleet_stays_until_the_new_one_has_proven_itself(rendered: Rendered) -> None:
    assert rendered(Deployment.blue_green(bake=MINUTES(45)))["BlueGreenUpdatePolicy"] == {
        "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
        "TerminationWaitInSeconds": 45 * 60,
        "MaximumExecutionTimeoutInSeconds": (45 + 60) * 60,
    }


@pytest.mark.lens("F8-07")
@pytest.mark.parametrize(
    ("deployment", "seconds"),
    [
        (Deployment.all_at_once(), 300),
        (Deployment.blue_green(), 1800),
        (Deployment.canary(percent=10, wait=TEN), 300),
        (Deployment.canary(percent=10, wait=TEN, bake=MINUTES(20)), 1200),
        (Deployment.linear(step=50, interval=TEN), 300),
        (Deployment.linear(step=50, interval=TEN, bake=MINUTES(20)), 1200),
    ],
)
def test_every_second_fleet_is_watched_before_the_first_goes(
    rendered: Rendered, deployment: Deployment, seconds: int
) -> None:
    assert rendered(deployment)["BlueGreenUpdatePolicy"]["TerminationWaitInSeconds"] == seconds


@pytest.mark.lens("F10-01")
def test_a_canary_is_a_share_of_the_capacity(rendered: Rendered) -> None:
    policy = rendered(Deployment.canary(percent=10, wait=TEN))["BlueGreenUpdatePolicy"]
    assert policy["TrafficRoutingConfiguration"] == {
        "Type": "CANARY",
        "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10},
        "WaitIntervalInSeconds": 600,
    }
    assert policy["MaximumExecutionTimeoutInSeconds"] == 600 + 300 + 3600


def test_a_linear_deployment_moves_by_equal_steps(rendered: Rendered) -> None:
    policy = rendered(Deployment.linear(step=30, interval=TEN))["BlueGreenUpdatePolicy"]
    assert policy["TrafficRoutingConfiguration"] == {
        "Type": "LINEAR",
        "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 30},
        "WaitIntervalInSeconds": 600,
    }
    # Four steps, the last one smaller.
    assert policy["MaximumExecutionTimeoutInSeconds"] == 4 * 600 + 300 + 3600


def test_a_rolling_deployment_replaces_batches(rendered: Rendered) -> None:
    assert rendered(Deployment.rolling(batch=50, wait=TEN))["RollingUpdatePolicy"] == {
        "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 50},
        "WaitIntervalInSeconds": 600,
        "MaximumExecutionTimeoutInSeconds": 2 * (600 + 3600),
    }


def test_sagemaker_is_never_asked_for_more_than_eight_hours(rendered: Rendered) -> None:
    policy = rendered(Deployment.rolling(batch=5, wait=TEN))["RollingUpdatePolicy"]
    assert policy["MaximumExecutionTimeoutInSeconds"] == 8 * 3600


@pytest.mark.parametrize("percent", [0, 51, 12.5, True])
def test_a_canary_is_at_most_half_of_the_instances(percent: Any) -> None:
    with pytest.raises(PropError, match=r"^Deployment.canary\n  percent: .*allowed are 1 to 50 percent"):
        Deployment.canary(percent=percent, wait=TEN)


@pytest.mark.parametrize("step", [9, 51])
def test_a_linear_step_is_a_tenth_to_a_half(step: int) -> None:
    with pytest.raises(PropError, match=r"^Deployment.linear\n  step: .*allowed are 10 to 50 percent"):
        Deployment.linear(step=step, interval=TEN)


@pytest.mark.parametrize("batch", [4, 51])
def test_a_rolling_batch_is_a_twentieth_to_a_half(batch: int) -> None:
    with pytest.raises(PropError, match=r"^Deployment.rolling\n  batch: .*allowed are 5 to 50 percent"):
        Deployment.rolling(batch=batch, wait=TEN)


@pytest.mark.parametrize("percent", [1, 50])
def test_the_limits_of_a_canary_pass(percent: int) -> None:
    assert Deployment.canary(percent=percent, wait=MINUTES(3), bake=Duration.hours(1)).percent == percent


@pytest.mark.parametrize("wait", [Duration.seconds(179), Duration.seconds(3601), Duration.millis(180_500)])
@pytest.mark.parametrize(
    ("prop", "deploy"),
    [
        ("bake", lambda wait: Deployment.blue_green(bake=wait)),
        ("wait", lambda wait: Deployment.canary(percent=10, wait=wait)),
        ("bake", lambda wait: Deployment.canary(percent=10, wait=TEN, bake=wait)),
        ("interval", lambda wait: Deployment.linear(step=10, interval=wait)),
        ("bake", lambda wait: Deployment.linear(step=10, interval=TEN, bake=wait)),
        ("wait", lambda wait: Deployment.rolling(batch=10, wait=wait)),
    ],
)
def test_alarms_need_time_and_sagemaker_waits_an_hour_at_most(
    prop: str, deploy: Callable[[Duration], Deployment], wait: Duration
) -> None:
    with pytest.raises(PropError, match=rf"\n  {prop}: .*allowed are 3 minutes.* to 1 hour"):
        deploy(wait)


def test_a_wait_has_to_be_known() -> None:
    with pytest.raises(PropError, match="wait: is a token"):
        Deployment.canary(percent=10, wait=Duration.seconds(cdk.Token.as_number({"Ref": "Wait"})))


@pytest.mark.parametrize(
    ("prop", "deploy"),
    [
        ("interval", lambda: Deployment.linear(step=10, interval=MINUTES(45))),
        ("wait", lambda: Deployment.rolling(batch=5, wait=MINUTES(30))),
    ],
)
def test_steps_that_take_more_than_eight_hours_are_refused(
    prop: str, deploy: Callable[[], Deployment]
) -> None:
    with pytest.raises(PropError, match=rf"{prop}: all steps together wait for \d+ minutes; .*480 minutes"):
        deploy()


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(PropError) as raised:
        Deployment.canary(percent=90, wait=Duration.seconds(1), bake=Duration.seconds(1))
    assert [problem.partition(":")[0] for problem in raised.value.problems] == ["percent", "wait", "bake"]


def test_deployments_are_values() -> None:
    assert Deployment.all_at_once().name == "all_at_once"
    with pytest.raises(AttributeError):
        Deployment.standard().percent = 5  # type: ignore[misc]
