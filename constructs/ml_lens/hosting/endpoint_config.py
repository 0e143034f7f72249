"""The configuration of an endpoint: one variant, and what is recorded of its calls."""

from dataclasses import dataclass

from aws_cdk import aws_kms as kms
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from ml_lens.foundation.storage import DerivedDataBucket
from ml_lens.hosting.capacity import Serverless, Sizing

VARIANT = "AllTraffic"
"""Name of the one variant, the same for every version: only so can SageMaker shift traffic between versions."""


@dataclass(frozen=True, kw_only=True)
class Recording:
    """Where captured calls go."""

    bucket: DerivedDataBucket
    """The bucket."""
    prefix: str
    """What their keys begin with, up to a slash."""
    percent: int
    """Share of the calls that is recorded."""

    def to_config(self) -> sagemaker.CfnEndpointConfig.DataCaptureConfigProperty:
        """Return the ``DataCaptureConfig``."""
        return sagemaker.CfnEndpointConfig.DataCaptureConfigProperty(
            enable_capture=True,
            initial_sampling_percentage=self.percent,
            destination_s3_uri=self.bucket.bucket.s3_url_for_object(self.prefix.rstrip("/")),
            kms_key_id=self.bucket.key.key_arn,
            capture_options=[
                sagemaker.CfnEndpointConfig.CaptureOptionProperty(capture_mode=mode)
                for mode in ("Input", "Output")
            ],
        )


def endpoint_config(
    scope: Construct,
    *,
    model: sagemaker.CfnModel,
    size: Sizing | Serverless,
    key: kms.IKey,
    recording: Recording | None,
) -> sagemaker.CfnEndpointConfig:
    """Create the configuration. It has no name: every change replaces it.

    Args:
        scope: Where it belongs.
        model: The model that gets all traffic.
        size: What it runs on.
        key: Encrypts volumes, of which serverless inference has none, and NVMe disks are encrypted by their hardware.
        recording: Where captured calls go; ``None`` records nothing.
    """
    has_volumes = isinstance(size, Sizing) and not size.has_disks
    return sagemaker.CfnEndpointConfig(
        scope,
        "Config",
        kms_key_id=key.key_arn if has_volumes else None,
        production_variants=[_variant(model, size)],
        data_capture_config=recording.to_config() if recording else None,
    )


def _variant(
    model: sagemaker.CfnModel, size: Sizing | Serverless
) -> sagemaker.CfnEndpointConfig.ProductionVariantProperty:
    if isinstance(size, Serverless):
        return sagemaker.CfnEndpointConfig.ProductionVariantProperty(
            variant_name=VARIANT,
            model_name=model.attr_model_name,
            initial_variant_weight=1,
            serverless_config=sagemaker.CfnEndpointConfig.ServerlessConfigProperty(
                max_concurrency=size.at_once, memory_size_in_mb=size.memory_mib
            ),
        )
    return sagemaker.CfnEndpointConfig.ProductionVariantProperty(
        variant_name=VARIANT,
        model_name=model.attr_model_name,
        initial_variant_weight=1,
        initial_instance_count=size.least,
        instance_type=size.type,
    )
