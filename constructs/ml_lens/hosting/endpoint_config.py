"""The configuration of an endpoint: its variants, and what is recorded of their calls."""

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import aws_kms as kms
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from ml_lens.foundation.storage import DerivedDataBucket
from ml_lens.hosting.capacity import Serverless, Sizing

VARIANT = "AllTraffic"
"""Name of the only variant, the same for every version: only so can SageMaker shift traffic between versions."""


@dataclass(frozen=True, kw_only=True)
class Configured:
    """One variant of a configuration."""

    model: sagemaker.CfnModel
    """The model that it serves."""
    name: str = VARIANT
    """What it is called. Default: ``AllTraffic``."""
    weight: float = 1
    """Its share of the traffic; of a shadow, the copies it gets of the calls of a variant with a weight of one."""
    is_shadow: bool = False
    """Whether it gets copies of calls, and answers nobody. Default: it answers callers."""


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
            # What is named here is kept as text; SageMaker encodes everything else in Base64.
            capture_content_type_header=sagemaker.CfnEndpointConfig.CaptureContentTypeHeaderProperty(
                csv_content_types=["text/csv"], json_content_types=["application/json"]
            ),
        )


def endpoint_config(
    scope: Construct,
    *,
    model: sagemaker.CfnModel,
    size: Sizing | Serverless,
    key: kms.IKey,
    recording: Recording | None,
) -> sagemaker.CfnEndpointConfig:
    """Create the configuration of an endpoint on which ``model`` gets all traffic; see :func:`variants_config`."""
    return variants_config(scope, variants=[Configured(model=model)], size=size, key=key, recording=recording)


def variants_config(
    scope: Construct,
    *,
    variants: Sequence[Configured],
    size: Sizing | Serverless,
    key: kms.IKey,
    recording: Recording | None,
) -> sagemaker.CfnEndpointConfig:
    """Create the configuration. It has no name: every change replaces it.

    Args:
        scope: Where it belongs.
        variants: What answers, and what only listens.
        size: What each of them runs on.
        key: Encrypts volumes, of which serverless inference has none, and NVMe disks are encrypted by their hardware.
        recording: Where captured calls go; ``None`` records nothing.
    """
    has_volumes = isinstance(size, Sizing) and not size.has_disks
    shadows = [_variant(each, size) for each in variants if each.is_shadow]
    return sagemaker.CfnEndpointConfig(
        scope,
        "Config",
        kms_key_id=key.key_arn if has_volumes else None,
        production_variants=[_variant(each, size) for each in variants if not each.is_shadow],
        shadow_production_variants=shadows or None,
        data_capture_config=recording.to_config() if recording else None,
    )


def _variant(
    variant: Configured, size: Sizing | Serverless
) -> sagemaker.CfnEndpointConfig.ProductionVariantProperty:
    if isinstance(size, Serverless):
        return sagemaker.CfnEndpointConfig.ProductionVariantProperty(
            variant_name=variant.name,
            model_name=variant.model.attr_model_name,
            initial_variant_weight=variant.weight,
            serverless_config=sagemaker.CfnEndpointConfig.ServerlessConfigProperty(
                max_concurrency=size.at_once, memory_size_in_mb=size.memory_mib
            ),
        )
    return sagemaker.CfnEndpointConfig.ProductionVariantProperty(
        variant_name=variant.name,
        model_name=variant.model.attr_model_name,
        initial_variant_weight=variant.weight,
        initial_instance_count=size.least,
        instance_type=size.type,
    )
