"""The wiring of figure 2: cameras, images, faces, analysts."""

from aws_cdk import CfnOutput, Duration, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from ml_lens.ai_services import Burst, CustomerDemographics, FaceThresholds
from ml_lens.foundation import AlarmTopic, Posture, PropError
from stacks.customer_demographics.settings import SAMPLE_PURPOSE, CustomerDemographicsSettings


class CustomerDemographicsStack(Stack):
    """Customer demographics from images, by Rekognition, without keeping the images."""

    def __init__(
        self, scope: Construct, id: str, *, posture: Posture, settings: CustomerDemographicsSettings
    ) -> None:
        """Wire the scenario.

        Raises:
            PropError: A setting cannot be used, or production is asked for with the purpose of the sample.
        """
        if posture.keeps_data and settings.purpose == SAMPLE_PURPOSE:
            raise PropError(
                id,
                [
                    "purpose: is still that of the sample, which covers an evaluation and no production; "
                    f"state your lawful purpose: -c {id}.purpose='...'"
                ],
            )
        super().__init__(
            scope,
            id,
            description="ML Lens: customer demographics from images (figure 2)",
            tags=posture.tags,
        )

        thresholds = _thresholds(settings)
        demographics = CustomerDemographics(
            self,
            "Demographics",
            posture=posture,
            purpose=settings.purpose,
            thresholds=thresholds,
            burst=_burst(settings),
            data_use_opt_out=settings.data_use_opt_out,
        )
        cameras = demographics.camera_role("Cameras", assumed_by=_who(self, settings.camera_principal_arn))
        analysts = demographics.analyst_role(
            "Analysts", assumed_by=_who(self, settings.analyst_principal_arn)
        )
        if settings.dashboard_principal_arn:
            demographics.dashboard("Dashboard", viewer_arn=settings.dashboard_principal_arn)
        alarms = AlarmTopic(self, "Alarms", posture=posture)
        alarms.tell_of(demographics.alarms)

        self._tell(
            ImageBucket=demographics.images.bucket.bucket_name,
            ResultsBucket=demographics.results.bucket.bucket_name,
            AuditBucket=demographics.audit.bucket.bucket_name,
            CameraRole=cameras.role_arn,
            AnalystRole=analysts.role_arn,
            Workgroup=demographics.queries.workgroup.name,
            Database=demographics.queries.database_name,
            ImageQueue=demographics.analysis.uploads.queue.queue_url,
            DeadLetters=demographics.analysis.uploads.dead_letters.queue_url,
            AnalysisLogs=demographics.analysis.function.log_group.log_group_name,
            ErasureLogs=demographics.analysis.eraser.log_group.log_group_name,
            Thresholds=thresholds.to_json(),
            AlarmTopic=alarms.topic.topic_arn,
        )

    def _tell(self, **outputs: str) -> None:
        for name, value in outputs.items():
            CfnOutput(self, name, value=value)


def _thresholds(settings: CustomerDemographicsSettings) -> FaceThresholds:
    return FaceThresholds(
        age_range=settings.age_range_threshold,
        gender=settings.gender_threshold,
        emotions=settings.emotion_thresholds,
    )


def _burst(settings: CustomerDemographicsSettings) -> Burst:
    return Burst(
        batch_size=settings.batch_size,
        gather_for=Duration.seconds(settings.gather_seconds),
        batches_at_once=settings.batches_at_once,
        parallel_calls=settings.parallel_calls,
        quota_per_second=settings.quota_per_second,
    )


def _who(stack: Stack, principal_arn: str | None) -> iam.IPrincipal:
    return iam.ArnPrincipal(principal_arn) if principal_arn else iam.AccountPrincipal(stack.account)
