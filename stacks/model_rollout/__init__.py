"""Figures 8 to 11 of the lens: one endpoint, and how a new version of its model takes over."""

from stacks.model_rollout.settings import ModelRolloutSettings as Settings

__all__ = ["ScenarioStack", "Settings"]


def __getattr__(name: str) -> object:
    """Load the stack only where it is synthesized: the CDK starts Node.js, which a walkthrough does not need."""
    if name == "ScenarioStack":
        from stacks.model_rollout.stack import ModelRolloutStack

        return ModelRolloutStack
    raise AttributeError(name)
