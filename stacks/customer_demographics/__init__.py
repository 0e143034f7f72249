"""Figure 2 of the lens: customer demographics from images."""

from stacks.customer_demographics.settings import CustomerDemographicsSettings as Settings

__all__ = ["ScenarioStack", "Settings"]


def __getattr__(name: str) -> object:
    """Load the stack only where it is synthesized: the CDK starts Node.js, which a walkthrough does not need."""
    if name == "ScenarioStack":
        from stacks.customer_demographics.stack import CustomerDemographicsStack

        return CustomerDemographicsStack
    raise AttributeError(name)
