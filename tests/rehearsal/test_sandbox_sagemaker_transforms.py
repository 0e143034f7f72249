"""Transform jobs of the sandbox: models of several containers, and records joined with their answers."""

from __future__ import annotations

from typing import Any

import pytest

from ml_lens.rehearsal.sandbox import Sandbox
from tests.rehearsal.hosted import BUCKET, IMAGE, READ, Hosting, packed
from tests.rehearsal.made_to_measure import Role, eventually

pytestmark = pytest.mark.xdist_group("sandbox")
RIGHTS = (
    READ,
    {"Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{BUCKET}"},
    {"Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{BUCKET}/out/*"},
)
DOUBLES = b"""
def model_fn(folder): return 1
def transform_fn(model, body, kind, accept):
    return ''.join(f'{2 * float(line)}\\n' for line in body.split()), kind
"""


def run(hosting: Hosting, model: str, name: str, **asked: Any) -> dict[str, Any]:
    hosting.sagemaker.create_transform_job(
        TransformJobName=name,
        ModelName=model,
        BatchStrategy="MultiRecord",
        TransformInput={
            "ContentType": "text/csv",
            "SplitType": "Line",
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/in/"}},
        },
        TransformOutput={
            "S3OutputPath": f"s3://{BUCKET}/out/{name}",
            "AssembleWith": "Line",
            "Accept": "text/csv",
        },
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
        **asked,
    )

    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = hosting.sagemaker.describe_transform_job(TransformJobName=name)
        return None if found["TransformJobStatus"] == "InProgress" else found

    return dict(eventually(look))


def test_a_job_asks_every_container_and_joins_the_answers(
    hosting: Hosting, sandbox: Sandbox, server: Role
) -> None:
    server.may(*RIGHTS)
    s3 = sandbox.client("s3")
    s3.put_object(Bucket=BUCKET, Key="doubles.tar.gz", Body=packed({"code/inference.py": DOUBLES}))
    s3.put_object(Bucket=BUCKET, Key="in/numbers.csv", Body=b"a,1\nb,2.5\n")
    twice = hosting.definition("0", key="doubles")
    model = hosting.model_of(Containers=[twice, twice])
    ended = run(hosting, model, "joined", DataProcessing={"InputFilter": "$[1:]", "JoinSource": "Input"})
    assert ended["TransformJobStatus"] == "Completed", ended
    stored = s3.get_object(Bucket=BUCKET, Key="out/joined/numbers.csv.out")["Body"].read()
    assert stored == b"a,1,4.0\nb,2.5,10.0\n"
    listed = hosting.sagemaker.list_transform_jobs(NameContains="joi", StatusEquals="Completed")
    assert [each["TransformJobName"] for each in listed["TransformJobSummaries"]] == ["joined"]


def test_a_job_whose_role_may_not_write_fails_with_the_reason(
    hosting: Hosting, sandbox: Sandbox, server: Role
) -> None:
    server.may(*RIGHTS[:2])
    sandbox.client("s3").put_object(Bucket=BUCKET, Key="in/numbers.csv", Body=b"1\n")
    body = packed({"code/inference.py": DOUBLES})
    sandbox.client("s3").put_object(Bucket=BUCKET, Key="doubles.tar.gz", Body=body)
    model = hosting.model_of(PrimaryContainer={**hosting.definition("0", key="doubles"), "Image": IMAGE})
    ended = run(hosting, model, "refused")
    assert ended["TransformJobStatus"] == "Failed"
    assert "s3:PutObject" in ended["FailureReason"]
