"""The strategy that a setting names, as CloudFormation deploys by it and as a rollout goes about it."""

from collections.abc import Callable, Mapping

from aws_cdk import Duration

from ml_lens.foundation import PropError
from ml_lens.hosting import Deployment, RolloutPlan
from stacks.model_rollout.settings import ModelRolloutSettings

Settings = ModelRolloutSettings

_DEPLOYMENTS: Mapping[str, Callable[[Settings], Deployment]] = {
    "standard": lambda _: Deployment.standard(),
    "all_at_once": lambda _: Deployment.all_at_once(),
    "blue_green": lambda settings: Deployment.blue_green(bake=_bake(settings)),
    "canary": lambda settings: Deployment.canary(
        percent=settings.percent, wait=_wait(settings), bake=_bake(settings)
    ),
    "linear": lambda settings: Deployment.linear(
        step=settings.percent, interval=_wait(settings), bake=_bake(settings)
    ),
    "rolling": lambda settings: Deployment.rolling(batch=settings.percent, wait=_wait(settings)),
}
STRATEGIES = tuple(_DEPLOYMENTS)
"""What ``strategy`` may be."""


def deployment(owner: str, settings: Settings) -> Deployment:
    """Return how CloudFormation replaces the model.

    Raises:
        PropError: There is no such strategy.
    """
    if settings.strategy not in _DEPLOYMENTS:
        raise PropError(
            owner, [f"strategy: {settings.strategy!r} is unknown; there are {', '.join(STRATEGIES)}"]
        )
    return _DEPLOYMENTS[settings.strategy](settings)


def plan(settings: Settings) -> RolloutPlan:
    """Return how a rollout goes about it: step by step where the strategy has steps, else in one."""
    if settings.strategy in ("linear", "rolling"):
        return RolloutPlan.linear(step=settings.percent, interval=_wait(settings), bake=_bake(settings))
    if settings.strategy == "canary":
        return RolloutPlan.canary(percent=settings.percent, wait=_wait(settings), bake=_bake(settings))
    return RolloutPlan.blue_green(bake=_bake(settings))


def _wait(settings: Settings) -> Duration:
    return Duration.minutes(settings.wait_minutes)


def _bake(settings: Settings) -> Duration:
    return Duration.minutes(settings.bake_minutes)
