"""One sandbox for all rehearsal tests of a session, and roles made to measure."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ml_lens.rehearsal.cli import Cdk
from ml_lens.rehearsal.errors import RehearsalError
from ml_lens.rehearsal.place import Place
from ml_lens.rehearsal.sandbox import ACCOUNT, Sandbox, sandbox_interpreter
from tests.rehearsal import hosted
from tests.rehearsal.made_to_measure import Role, failures, settled

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    try:
        sandbox_interpreter()
    except RehearsalError as missing:
        pytest.skip(str(missing))
    with Sandbox() as running:
        yield running


@pytest.fixture
def role(sandbox: Sandbox) -> Callable[..., Role]:
    def create(*statements: dict[str, Any]) -> Role:
        name = f"role-{next(_numbers)}"
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root", "Service": "lambda.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
        made = sandbox.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))[
            "Role"
        ]
        new = Role(sandbox, name, made["Arn"])
        return new.may(*statements) if statements else new

    return create


@pytest.fixture
def stack(sandbox: Sandbox) -> Iterator[Callable[..., dict[str, str]]]:
    """Create a stack and return its outputs; it is deleted after the test."""
    cloudformation = sandbox.client("cloudformation")
    names: list[str] = []

    def create(resources: dict[str, Any], **sections: Any) -> dict[str, str]:
        names.append(f"stack-{next(_numbers)}")
        cloudformation.create_stack(
            StackName=names[-1],
            TemplateBody=json.dumps({"Resources": resources, **sections}),
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        found = settled(cloudformation, names[-1])
        assert found["StackStatus"] == "CREATE_COMPLETE", failures(cloudformation, names[-1])
        outputs = {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}
        return {"StackName": names[-1], **outputs}

    yield create
    for name in names:
        cloudformation.delete_stack(StackName=name)


@pytest.fixture(scope="session")
def deployed(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The demographics scenario, deployed by the real command line."""
    cdk = Cdk(
        environment=sandbox.environment(),
        assembly=tmp_path_factory.mktemp("assembly"),
        context={"scenarios": "CustomerDemographics"},
        on_line=lambda _: None,
    )
    cdk.synth()
    cdk.bootstrap()
    cdk.deploy(["CustomerDemographics"])
    described = sandbox.client("cloudformation").describe_stacks(StackName="CustomerDemographics")["Stacks"][
        0
    ]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}
    yield Place(outputs, sandbox=sandbox, say=lambda _: None)
    cdk.destroy(["CustomerDemographics"])


@pytest.fixture(scope="module")
def artifacts(sandbox: Sandbox) -> Iterator[str]:
    """The bucket of model artifacts."""
    yield from hosted.artifacts(sandbox)


@pytest.fixture
def server(sandbox: Sandbox, role: Callable[..., Role]) -> Role:
    """A role that SageMaker may assume, and that may read the artifacts."""
    return hosted.let_serve(sandbox, role(hosted.READ))


@pytest.fixture
def hosting(sandbox: Sandbox, artifacts: str, server: Role) -> Iterator[hosted.Hosting]:
    """An endpoint to be."""
    made = hosted.Hosting(sandbox, server.arn)
    yield made
    made.remove()
