"""The scenarios: one folder each, named after a reference architecture of the lens."""

SCENARIOS = {
    "CustomerDemographics": "stacks.customer_demographics",
    "ModelRollout": "stacks.model_rollout",
    "ServerlessInference": "stacks.serverless_inference",
}
"""The package of every scenario by its name, which is also the name of its stack."""
