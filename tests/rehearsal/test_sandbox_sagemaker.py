"""SageMaker in the sandbox: real answers, real refusals, and no request lost while an endpoint changes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from jobs.churn import customers, pack
from ml_lens.assets import job_code
from ml_lens.rehearsal.sandbox import ACCOUNT, REGION, Sandbox
from stacks.churn_model import SCRIPT
from tests.rehearsal.made_to_measure import Role, failures, settled

pytestmark = pytest.mark.xdist_group("sandbox")

IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/sagemaker-xgboost:3.0-5"
BUCKET = "models-of-the-sandbox"
READ = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
BODY = json.dumps({"instances": customers.draw("all", 1, seed=3)[0]})


@pytest.fixture(scope="module")
def bucket(sandbox: Sandbox) -> Iterator[str]:
    s3 = sandbox.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    for version in pack.versions():
        text = (job_code("churn") / "models" / version / "model.json").read_bytes()
        s3.put_object(Bucket=BUCKET, Key=f"{version}.tar.gz", Body=pack.packed_model(text, version))
    yield BUCKET
    for found in s3.list_objects_v2(Bucket=BUCKET)["Contents"]:
        s3.delete_object(Bucket=BUCKET, Key=found["Key"])
    s3.delete_bucket(Bucket=BUCKET)


@pytest.fixture
def server(sandbox: Sandbox, role: Callable[..., Role]) -> Role:
    """A role that SageMaker may assume, and that may read the artifacts."""
    made = role(READ)
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sagemaker.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    sandbox.client("iam").update_assume_role_policy(RoleName=made.name, PolicyDocument=json.dumps(trust))
    return made


class Hosting:
    """One endpoint and what is behind it, removed after the test."""

    def __init__(self, sandbox: Sandbox, role: str) -> None:
        self.sagemaker = sandbox.client("sagemaker")
        self.runtime = sandbox.client("sagemaker-runtime")
        self._role = role
        self._made: list[tuple[str, str]] = []

    def model(self, version: str, key: str | None = None, **environment: str) -> str:
        name = f"m{len(self._made)}-{version.replace('.', '-')}"
        self.sagemaker.create_model(
            ModelName=name,
            ExecutionRoleArn=self._role,
            PrimaryContainer={
                "Image": IMAGE,
                "ModelDataUrl": f"s3://{BUCKET}/{key or version}.tar.gz",
                "Environment": {**SCRIPT, "MODEL_VERSION": version, **environment},
            },
        )
        self._made.append(("model", name))
        return name

    def config(self, **variants: tuple[str, float]) -> str:
        name = f"c{len(self._made)}"
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[
                {
                    "VariantName": variant,
                    "ModelName": model,
                    "InitialInstanceCount": 1,
                    "InstanceType": "ml.m5.large",
                    "InitialVariantWeight": weight,
                }
                for variant, (model, weight) in variants.items()
            ],
        )
        self._made.append(("endpoint_config", name))
        return name

    def endpoint(self, config: str) -> dict[str, Any]:
        self.sagemaker.create_endpoint(EndpointName="churn", EndpointConfigName=config)
        self._made.append(("endpoint", "churn"))
        return self.settled()

    def settled(self) -> dict[str, Any]:
        for _ in range(200):
            found: dict[str, Any] = self.sagemaker.describe_endpoint(EndpointName="churn")
            if found["EndpointStatus"] in ("InService", "Failed"):
                return found
            time.sleep(0.05)
        raise AssertionError(found)

    def ask(self, **how: Any) -> tuple[str, str]:
        """Return the variant that answered, and the version that its answer names."""
        answer = self.runtime.invoke_endpoint(
            EndpointName="churn", ContentType="application/json", Body=BODY, **how
        )
        return answer["InvokedProductionVariant"], json.loads(answer["Body"].read())["model_version"]

    def remove(self) -> None:
        for kind, name in reversed(self._made):
            argument = "".join(word.capitalize() for word in kind.split("_")) + "Name"
            getattr(self.sagemaker, f"delete_{kind}")(**{argument: name})


@pytest.fixture
def hosting(sandbox: Sandbox, bucket: str, server: Role) -> Iterator[Hosting]:
    made = Hosting(sandbox, server.arn)
    yield made
    made.remove()


@pytest.mark.lens("HST-07", "HST-08")
def test_an_endpoint_answers_with_its_version_and_names_the_variant(hosting: Hosting) -> None:
    hosting.endpoint(hosting.config(AllTraffic=(hosting.model("1.0.0"), 1)))
    assert hosting.ask() == ("AllTraffic", "1.0.0")


def test_traffic_follows_the_weights_and_a_caller_may_choose(hosting: Hosting) -> None:
    models = hosting.model("1.0.0"), hosting.model("2.0.0")
    hosting.endpoint(hosting.config(A=(models[0], 1), B=(models[1], 0)))
    assert {hosting.ask() for _ in range(20)} == {("A", "1.0.0")}
    assert hosting.ask(TargetVariant="B") == ("B", "2.0.0")
    hosting.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="churn",
        DesiredWeightsAndCapacities=[
            {"VariantName": "A", "DesiredWeight": 0},
            {"VariantName": "B", "DesiredWeight": 1},
        ],
    )
    hosting.settled()
    assert {hosting.ask() for _ in range(20)} == {("B", "2.0.0")}


@pytest.mark.lens("HST-04")
def test_no_request_is_lost_while_the_model_is_replaced(hosting: Hosting) -> None:
    hosting.endpoint(hosting.config(AllTraffic=(hosting.model("1.0.0"), 1)))
    versions: list[str] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            versions.append(hosting.ask()[1])

    asking = threading.Thread(target=ask)
    asking.start()
    new = hosting.config(AllTraffic=(hosting.model("2.0.0"), 1))
    hosting.sagemaker.update_endpoint(EndpointName="churn", EndpointConfigName=new)
    hosting.settled()
    time.sleep(0.5)
    over.set()
    asking.join()
    assert {*versions} == {"1.0.0", "2.0.0"}
    assert versions == sorted(versions)


def test_a_model_that_fails_is_an_error_that_names_its_variant(hosting: Hosting) -> None:
    hosting.endpoint(hosting.config(AllTraffic=(hosting.model("2.0.0", key="broken"), 1)))
    with pytest.raises(ClientError) as failed:
        hosting.ask()
    assert failed.value.response["Error"]["Code"] == "ModelError"
    assert failed.value.response["OriginalStatusCode"] == 500
    assert "log-stream:AllTraffic/" in failed.value.response["LogStreamArn"]


def test_an_endpoint_that_is_changing_cannot_be_changed(hosting: Hosting) -> None:
    config = hosting.config(AllTraffic=(hosting.model("1.0.0"), 1))
    hosting.endpoint(config)
    hosting.sagemaker.update_endpoint(EndpointName="churn", EndpointConfigName=config)
    with pytest.raises(ClientError, match="in-progress endpoint"):
        hosting.sagemaker.update_endpoint(EndpointName="churn", EndpointConfigName=config)
    hosting.settled()


def test_an_artifact_that_the_role_may_not_read_fails_the_endpoint(hosting: Hosting, server: Role) -> None:
    server.may({**READ, "Resource": f"arn:aws:s3:::{BUCKET}/other/*"})
    found = hosting.endpoint(hosting.config(AllTraffic=(hosting.model("1.0.0"), 1)))
    assert found["EndpointStatus"] == "Failed"
    assert "s3:GetObject" in found["FailureReason"]


def test_an_artifact_that_is_missing_fails_the_endpoint(hosting: Hosting) -> None:
    found = hosting.endpoint(hosting.config(AllTraffic=(hosting.model("1.0.0", key="nowhere"), 1)))
    assert found["EndpointStatus"] == "Failed"
    assert "does not exist" in found["FailureReason"]


@pytest.mark.lens("IAM-06")
def test_only_who_may_invoke_this_endpoint_is_answered(
    hosting: Hosting, sandbox: Sandbox, role: Callable[..., Role]
) -> None:
    hosting.endpoint(hosting.config(AllTraffic=(hosting.model("1.0.0"), 1)))
    arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/"
    may = {"Effect": "Allow", "Action": "sagemaker:InvokeEndpoint"}
    allowed, other = role({**may, "Resource": f"{arn}churn"}), role({**may, "Resource": f"{arn}fraud"})
    request = {"EndpointName": "churn", "ContentType": "application/json", "Body": BODY}
    assert allowed.client("sagemaker-runtime").invoke_endpoint(**request)
    with pytest.raises(ClientError, match="not authorized to perform: sagemaker:InvokeEndpoint"):
        other.client("sagemaker-runtime").invoke_endpoint(**request)


def test_a_template_whose_endpoint_fails_is_rolled_back(sandbox: Sandbox, bucket: str, server: Role) -> None:
    cloudformation = sandbox.client("cloudformation")
    model = {
        "ExecutionRoleArn": server.arn,
        "PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/nowhere.tar.gz"},
    }
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]},
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
        "InitialVariantWeight": 1,
    }
    config = {"Fn::GetAtt": ["Config", "EndpointConfigName"]}
    resources = {
        "Model": {"Type": "AWS::SageMaker::Model", "Properties": model},
        "Config": {
            "Type": "AWS::SageMaker::EndpointConfig",
            "Properties": {"ProductionVariants": [variant]},
        },
        "Endpoint": {"Type": "AWS::SageMaker::Endpoint", "Properties": {"EndpointConfigName": config}},
    }
    cloudformation.create_stack(StackName="fails", TemplateBody=json.dumps({"Resources": resources}))
    found = settled(cloudformation, "fails")
    assert found["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "does not exist" in str(failures(cloudformation, "fails"))
    left = [each["ModelName"] for each in sandbox.client("sagemaker").list_models()["Models"]]
    assert not [name for name in left if name.startswith("fails-")]
    cloudformation.delete_stack(StackName="fails")
