"""An endpoint of the sandbox, and what is behind it."""

from __future__ import annotations

import functools
import io
import json
import tarfile
import time
from collections.abc import Iterator
from typing import Any

from jobs.churn import customers, pack
from ml_lens.assets import job_code
from ml_lens.rehearsal.sandbox import ACCOUNT, REGION, Sandbox
from stacks.churn_model import SCRIPT
from tests.rehearsal.made_to_measure import Role

IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/sagemaker-xgboost:3.0-5"
BUCKET = "models-of-the-sandbox"
READ = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
BODY = json.dumps({"instances": customers.draw("all", 1, seed=3)[0]})
NAME = "churn"


def model_text(version: str) -> bytes:
    return (job_code("churn") / "models" / version / "model.json").read_bytes()


def packed(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return made.getvalue()


def artifacts(sandbox: Sandbox) -> Iterator[str]:
    """Put every version of the churn model into a bucket, and one without a script."""
    s3 = sandbox.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    for version in pack.versions():
        s3.put_object(
            Bucket=BUCKET, Key=f"{version}.tar.gz", Body=pack.packed_model(model_text(version), version)
        )
    s3.put_object(Bucket=BUCKET, Key="plain.tar.gz", Body=packed({"xgboost-model": model_text("1.0.0")}))
    yield BUCKET
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for found in page["Contents"]:
            s3.delete_object(Bucket=BUCKET, Key=found["Key"])
    s3.delete_bucket(Bucket=BUCKET)


def let_serve(sandbox: Sandbox, role: Role) -> Role:
    """Let SageMaker assume a role."""
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
    sandbox.client("iam").update_assume_role_policy(RoleName=role.name, PolicyDocument=json.dumps(trust))
    return role


@functools.lru_cache(maxsize=1)
def clients(sandbox: Sandbox) -> tuple[Any, Any]:
    """Return clients of SageMaker and of its runtime, which take long to make."""
    return sandbox.client("sagemaker"), sandbox.client("sagemaker-runtime")


class Hosting:
    """One endpoint and what is behind it, removed after the test."""

    def __init__(self, sandbox: Sandbox, role: str) -> None:
        self.sandbox = sandbox
        self.sagemaker, self.runtime = clients(sandbox)
        self.role = role
        self._made: list[tuple[str, str]] = []

    def definition(self, version: str, key: str | None = None, **environment: str) -> dict[str, Any]:
        return {
            "Image": IMAGE,
            "ModelDataUrl": f"s3://{BUCKET}/{key or version}.tar.gz",
            "Environment": {**SCRIPT, "MODEL_VERSION": version, **environment},
        }

    def model(self, version: str, key: str | None = None, **environment: str) -> str:
        return self.model_of(PrimaryContainer=self.definition(version, key, **environment))

    def model_of(self, **containers: Any) -> str:
        name = f"m{len(self._made)}"
        self.sagemaker.create_model(ModelName=name, ExecutionRoleArn=self.role, **containers)
        self._made.append(("model", name))
        return name

    def config(self, variants: dict[str, tuple[str, float]], *, count: int = 1, **settings: Any) -> str:
        made = [self.variant(name, model, weight, count) for name, (model, weight) in variants.items()]
        return self.config_of(ProductionVariants=made, **settings)

    def config_of(self, **settings: Any) -> str:
        name = f"c{len(self._made)}"
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, **settings)
        self._made.append(("endpoint_config", name))
        return name

    def variant(self, name: str, model: str, weight: float = 1, count: int = 1) -> dict[str, Any]:
        return {
            "VariantName": name,
            "ModelName": model,
            "InitialInstanceCount": count,
            "InstanceType": "ml.m5.large",
            "InitialVariantWeight": weight,
        }

    def alone(self, model: str, **settings: Any) -> str:
        """Return a configuration of one variant."""
        return self.config({"AllTraffic": (model, 1)}, **settings)

    def endpoint(self, config: str) -> dict[str, Any]:
        self.sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName=config)
        self._made.append(("endpoint", NAME))
        return self.settled()

    def update(self, config: str, **how: Any) -> dict[str, Any]:
        self.sagemaker.update_endpoint(EndpointName=NAME, EndpointConfigName=config, **how)
        return self.settled()

    def described(self) -> dict[str, Any]:
        found: dict[str, Any] = self.sagemaker.describe_endpoint(EndpointName=NAME)
        return found

    def settled(self) -> dict[str, Any]:
        for _ in range(600):
            found = self.described()
            if found["EndpointStatus"] in ("InService", "Failed"):
                return found
            time.sleep(0.05)
        raise AssertionError(found)

    def call(self, body: str | bytes = BODY, content_type: str = "application/json", **how: Any) -> Any:
        return self.runtime.invoke_endpoint(EndpointName=NAME, ContentType=content_type, Body=body, **how)

    def ask(self, **how: Any) -> tuple[str, str]:
        """Return the variant that answered, and the version that its answer names."""
        answer = self.call(**how)
        return answer["InvokedProductionVariant"], json.loads(answer["Body"].read())["model_version"]

    def made(self, kind: str, name: str) -> None:
        """Remove what somebody else made, too."""
        self._made.append((kind, name))

    def remove(self) -> None:
        # What is deleted first is the endpoint, as nothing else ends what it runs.
        for kind, name in sorted(self._made, key=lambda each: each[0] != "endpoint"):
            argument = "".join(word.capitalize() for word in kind.split("_")) + "Name"
            if kind == "endpoint":
                self.settled()
            getattr(self.sagemaker, f"delete_{kind}")(**{argument: name})
            while kind == "endpoint" and self._is_there():
                time.sleep(0.02)

    def _is_there(self) -> bool:
        return any(each["EndpointName"] == NAME for each in self.sagemaker.list_endpoints()["Endpoints"])
