"""The request for one job of batch inference."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aws_cdk import aws_kms as kms

from ml_lens.foundation.storage import DerivedDataBucket
from ml_lens.hosting.artifacts import VERSION_TAG
from ml_lens.hosting.batch_options import BatchJobs, BatchSource


@dataclass(frozen=True, kw_only=True)
class BatchPlan:
    """What the states speak of."""

    name: str
    """What the names of jobs begin with."""
    model_name: str
    """Name of the model."""
    model_version: str
    """Its version."""
    source: BatchSource
    """What is read."""
    jobs: BatchJobs
    """How jobs run."""
    results: DerivedDataBucket
    """Where results go."""
    volume_key: kms.IKey
    """Encrypts the volumes of instances."""

    @property
    def predictions(self) -> str:
        """What the keys of results begin with."""
        return f"predictions/{self.name}/"

    @property
    def runs(self) -> str:
        """What the keys of the records of runs begin with."""
        return f"runs/{self.name}/"

    @property
    def captured(self) -> str:
        """What the keys of SageMaker's own notes begin with."""
        return f"captured/{self.name}/"

    def at(self, key: str) -> str:
        """Return a place in the bucket of results."""
        return f"s3://{self.results.bucket.bucket_name}/{key}"

    @property
    def job_name(self) -> str:
        """Name of the job of a run, in JSONata."""
        return f"{{% '{self.name}-' & $request & '-' & $string($attempt) %}}"

    @property
    def output(self) -> str:
        """Where the results of a run go, in JSONata."""
        return f"{{% '{self.at(self.predictions)}' & $request %}}"


def transform_request(plan: BatchPlan) -> dict[str, Any]:
    """Return the request for a job; what depends on the run is JSONata."""
    source, jobs = plan.source, plan.jobs
    bucket = f"s3://{source.bucket.bucket_name}/"
    return {
        "TransformJobName": plan.job_name,
        "ModelName": plan.model_name,
        "BatchStrategy": "MultiRecord" if jobs.sends_many(source) else "SingleRecord",
        "MaxPayloadInMB": jobs.payload_mib,
        **_given(MaxConcurrentTransforms=jobs.requests_at_once),
        "ModelClientConfig": {"InvocationsTimeoutInSeconds": 600, "InvocationsMaxRetries": 2},
        "TransformInput": {
            "ContentType": source.content_type,
            "SplitType": "Line" if source.by_line else "None",
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "{% $manifest = '' ? 'S3Prefix' : 'ManifestFile' %}",
                    "S3Uri": f"{{% '{bucket}' & ($manifest = '' ? $prefix : $manifest) %}}",
                }
            },
        },
        "TransformOutput": {
            "S3OutputPath": plan.output,
            "AssembleWith": "Line" if source.by_line else "None",
            "KmsKeyId": plan.results.key.key_arn,
            **_given(Accept=jobs.accept),
        },
        "TransformResources": {
            "InstanceType": jobs.type,
            "InstanceCount": jobs.instances,
            **({} if jobs.has_disks else {"VolumeKmsKeyId": plan.volume_key.key_arn}),
        },
        **_processing(jobs),
        **_capture(plan),
        **({"ExperimentConfig": {"ExperimentName": jobs.experiment}} if jobs.experiment else {}),
        "Tags": [
            {"Key": VERSION_TAG, "Value": plan.model_version},
            {"Key": "mllens:run", "Value": "{% $states.context.Execution.Name %}"},
        ],
    }


def _processing(jobs: BatchJobs) -> dict[str, Any]:
    if not (jobs.joined or jobs.input_filter or jobs.output_filter):
        return {}
    return {
        "DataProcessing": {
            "JoinSource": "Input" if jobs.joined else "None",
            **_given(InputFilter=jobs.input_filter, OutputFilter=jobs.output_filter),
        }
    }


def _capture(plan: BatchPlan) -> dict[str, Any]:
    if not plan.jobs.capture:
        return {}
    return {
        "DataCaptureConfig": {
            "DestinationS3Uri": plan.at(plan.captured.rstrip("/")),
            "KmsKeyId": plan.results.key.key_arn,
            "GenerateInferenceId": True,
        }
    }


def _given(**values: Any) -> Mapping[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
