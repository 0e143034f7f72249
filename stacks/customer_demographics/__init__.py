"""Figure 2 of the lens: customer demographics from images."""

from stacks.customer_demographics.settings import CustomerDemographicsSettings as Settings
from stacks.customer_demographics.stack import CustomerDemographicsStack as ScenarioStack

__all__ = ["ScenarioStack", "Settings"]
