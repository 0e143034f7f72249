"""Experiments for the tests: how they are made, and how their states are asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import aws_cdk as cdk

from ml_lens.hosting import Deployment, HostedModel
from ml_lens.hosting.experiment import Experiment
from ml_lens.hosting.outcomes import Outcomes
from tests.stacks.state_machines import definitions
from tests.unit.serving import SANDBOX, host, model, template


def two_variants(stack: cdk.Stack, **props: Any) -> HostedModel:
    return host(stack, deployment=Deployment.ab_test(b=model(stack, version=2)), **props)


def experiment(stack: cdk.Stack, **props: Any) -> Experiment:
    posture = props.get("posture", SANDBOX)
    if "model" not in props:
        props["model"] = two_variants(stack, posture=posture)
    if "outcomes" not in props:
        props["outcomes"] = Outcomes(stack, "Outcomes", posture=posture)
    return Experiment(stack, "Test", **{"posture": posture, **props})


def definition(stack: cdk.Stack) -> Mapping[str, Any]:
    (found,) = definitions(template(stack).body).values()
    return dict(json.loads(found))


def states(of: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return all states by name, those of branches included."""
    found = dict(of["States"])
    for state in of["States"].values():
        for branch in state.get("Branches", ()):
            found |= states(branch)
    return found
