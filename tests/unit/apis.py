"""APIs for the tests: how they are made, and how their templates are asked."""

import json
from typing import Any

import aws_cdk as cdk
import pytest

from ml_lens.assets import job_code
from ml_lens.foundation import MlNetwork, PropError
from ml_lens.hosting import EndpointNetwork, HostedModel, InferenceApi
from tests.stacks.template import Statement, Template
from tests.unit.serving import SANDBOX, host

API, STAGE, METHOD = (f"AWS::ApiGateway::{kind}" for kind in ("RestApi", "Stage", "Method"))
RESPONSE, FUNCTION, ROLE = "AWS::ApiGateway::GatewayResponse", "AWS::Lambda::Function", "AWS::IAM::Role"
SCHEMA = json.loads((job_code("churn") / "features.json").read_text())


def served(stack: cdk.Stack) -> tuple[HostedModel, MlNetwork]:
    """The model and the network of the stack, made once."""
    made, network = stack.node.try_find_child("Churn"), stack.node.try_find_child("Network")
    if network is None:
        network = MlNetwork(stack, "Network", posture=SANDBOX)
        made = host(stack, posture=SANDBOX, network=EndpointNetwork.within(network))
    assert isinstance(made, HostedModel)
    assert isinstance(network, MlNetwork)
    return made, network


def serve(stack: cdk.Stack, id: str = "Api", **props: Any) -> InferenceApi:
    model, network = served(stack)
    return InferenceApi(
        stack,
        id,
        **{
            "posture": SANDBOX,
            "model": model,
            "network": network,
            "request_schema": SCHEMA,
            **props,
        },
    )


def refused(stack: cdk.Stack, **props: Any) -> list[str]:
    with pytest.raises(PropError) as raised:
        serve(stack, **props)
    assert stack.node.try_find_child("Api") is None
    return list(raised.value.problems)


def function_says(made: Template, action: str) -> list[Statement]:
    """Return the statements about ``action`` in the policies of the API's function."""
    role = made.id(ROLE, "ApiFunctionRole")
    return [each for each in made.statements(role) if action in each.actions]
