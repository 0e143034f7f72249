"""Figure 14 of the lens: predictions over HTTPS, without servers in front of the model."""

from stacks.serverless_inference.settings import ServerlessInferenceSettings as Settings

__all__ = ["ScenarioStack", "Settings"]


def __getattr__(name: str) -> object:
    """Load the stack only where it is synthesized: the CDK starts Node.js, which a walkthrough does not need."""
    if name == "ScenarioStack":
        from stacks.serverless_inference.stack import ServerlessInferenceStack

        return ServerlessInferenceStack
    raise AttributeError(name)
