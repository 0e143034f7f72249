"""What to take out of our own templates, and which rule has to notice.

A resource is named by its logical id without the hash.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Mutation:
    """A property that is taken away, and the one finding that this makes.

    Attributes:
        rule: The rule that has to notice.
        resource: The resource that loses the property.
        path: Dotted path under ``Properties``; list indices as numbers, names of alarms and the like never.
        finding: The aspect that is found, ``None`` for a rule with one.
        level: ``error`` or ``warning``.
        on: Where the finding lands, if not on ``resource``.
    """

    rule: str
    resource: str
    path: str
    finding: str | None = None
    level: str = "error"
    on: str | None = None


_RECORDED = "EventSelectors.1.DataResources.0.Values"
_ENCRYPTION = "BucketEncryption.ServerSideEncryptionConfiguration.0"
_RESULT = "WorkGroupConfiguration.ResultConfiguration.EncryptionConfiguration"

MUTATIONS: Final = (
    Mutation(
        "SEC02-DataBucketKms",
        "DemographicsImages",
        f"{_ENCRYPTION}.ServerSideEncryptionByDefault.SSEAlgorithm",
    ),
    Mutation(
        "SEC02-DataBucketKms",
        "DemographicsResults",
        f"{_ENCRYPTION}.ServerSideEncryptionByDefault.SSEAlgorithm",
    ),
    Mutation("SEC02-DataBucketKms", "DemographicsImages", f"{_ENCRYPTION}.BucketKeyEnabled", level="warning"),
    Mutation("SEC02-CloudTrailDataEvents", "DemographicsAuditTrail", "EnableLogFileValidation"),
    Mutation("SEC02-CloudTrailDataEvents", "DemographicsAuditTrail", "KMSKeyId"),
    Mutation("SEC02-CloudTrailDataEvents", "DemographicsAuditTrail", "IsLogging"),
    Mutation(
        "SEC02-CloudTrailDataEvents", "DemographicsAuditTrail", f"{_RECORDED}.0", on="DemographicsImages"
    ),
    Mutation(
        "SEC02-CloudTrailDataEvents", "DemographicsAuditTrail", f"{_RECORDED}.1", on="DemographicsResults"
    ),
    Mutation("SEC02-AthenaWorkgroupEncrypted", "DemographicsQueriesWorkgroup", f"{_RESULT}.KmsKey"),
    Mutation("SEC02-AthenaWorkgroupEncrypted", "DemographicsQueriesWorkgroup", f"{_RESULT}.EncryptionOption"),
    Mutation(
        "SEC02-AthenaWorkgroupEncrypted",
        "DemographicsQueriesWorkgroup",
        "WorkGroupConfiguration.PublishCloudWatchMetricsEnabled",
        level="warning",
    ),
    Mutation("SEC02-MlLogGroupEncrypted", "DemographicsAnalysisAnalyseLogs", "KmsKeyId"),
    Mutation("SEC02-MlLogGroupEncrypted", "DemographicsAnalysisAnalyseLogs", "RetentionInDays"),
    Mutation(
        "SEC02-TemporaryDataExpires", "DemographicsImages", "LifecycleConfiguration.Rules.0.ExpirationInDays"
    ),
    Mutation(
        "SEC02-TemporaryDataExpires",
        "DemographicsImages",
        "LifecycleConfiguration.Rules.1.NoncurrentVersionExpiration",
    ),
    Mutation(
        "SEC02-TemporaryDataExpires",
        "DemographicsImages",
        "LifecycleConfiguration.Rules.1.AbortIncompleteMultipartUpload",
    ),
)

_ENDPOINT = ("AWS::SageMaker::Endpoint",)
_WORKPLACE = ("AWS::SageMaker::NotebookInstance", "AWS::SageMaker::Domain")
_NETWORK = ("AWS::EC2::VPC", "AWS::EC2::Subnet")
_MODEL = ("AWS::SageMaker::Model", "AWS::SageMaker::ModelPackage")

NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "SEC01-InvokeEndpointScoped": _ENDPOINT,
    "SEC01-PhaseSeparation": _ENDPOINT,
    "SEC01-NotebookUrlFromVpcOnly": _WORKPLACE,
    "SEC02-MlVpcFlowLogs": _NETWORK,
    "SEC02-MlVpcEndpoints": _NETWORK,
    "SEC02-VpcEndpointPolicyRestricted": _NETWORK,
    "SEC02-JobCreationGuardrails": _WORKPLACE,
    "SEC02-LakeFormationGoverned": ("AWS::LakeFormation::Resource", "AWS::LakeFormation::DataLakeSettings"),
    "SEC03-InferenceLambdaInVpc": _ENDPOINT,
    "REL02-OnlyPipelineDeploys": _ENDPOINT,
    "REL04-ArtifactsVersioned": _MODEL,
    "REL04-ModelBucketDeleteProtected": _MODEL,
    "REL04-ModelSecondCopy": _MODEL,
    "REL05-ManifestStoreDurable": _ENDPOINT,
    "OPS06-RetrainTrigger": ("AWS::StepFunctions::StateMachine", "AWS::SageMaker::Pipeline"),
    "COST04-ConsolidateModels": _ENDPOINT,
    "GEN-RetiredService": (
        "AWS::Pinpoint::App",
        "AWS::Greengrass::Group",
        "AWS::SageMaker::MonitoringSchedule",
    ),
}
"""What our templates would have to hold for a rule to speak, where that is not what the rule looks at."""

UNREACHABLE: Final[Mapping[str, str]] = {
    "SEC01-LeastPrivilege": "a policy only gets narrower by what is taken away, and no role here passes another",
    "SEC02-MacieForSensitiveData": "it speaks already, and is acknowledged: Macie is turned on for an account",
    "SEC02-DedicatedKeyForDerivedPii": "a bucket without its key is found by SEC02-DataBucketKms already; the rule "
    "speaks of a key that two buckets share, which nothing makes that is taken away",
    "SEC02-WriteOnlyUploader": "it speaks of a right too many, and taking away makes none",
    "PER02-AiServiceQuotaAlarms": "two alarms watch the limits of Rekognition, and one is enough",
}
"""Rules that look at something in our templates, and that no property taken away can break."""
