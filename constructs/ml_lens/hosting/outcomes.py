"""What came of predictions, counted for the variant that made them."""

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from ml_lens.assets import function_code
from ml_lens.foundation.functions import METRICS_NAMESPACE, PythonFunction
from ml_lens.foundation.keys import customer_key, let_log_groups_use
from ml_lens.foundation.messaging import WorkQueue
from ml_lens.foundation.observability import quiet_alarm
from ml_lens.foundation.posture import Posture
from ml_lens.foundation.props import PropChecks, checked_props
from ml_lens.foundation.storage import grant

_SERVICE = "record_outcomes"
_TIMEOUT = Duration.minutes(1)
_BATCH = 10
_AT_ONCE = 5
_LEAST_DAYS, _MOST_DAYS = 30, 3650
_SECONDS_A_DAY = 86_400


class Outcomes(Construct):
    """Counts what came of predictions: whether the customer bought, stayed, clicked.

    Whoever learns of an outcome sends a message to ``queue``: ``{"endpoint": …, "inference_id": …, "value": …,
    "at": …}``, with ``"variant": …`` where the prediction itself was not recorded. A function adds it to the sum of its
    variant. Each inference id counts once, however often its message is delivered; send the outcome when it is final,
    as a second one that says otherwise is rejected. Rejected messages are kept with their reason in the same table,
    below ``rejected#<endpoint>``, and their content is not.

    Values are numbers up to a million either side of zero, of which six digits after the point are kept: 0 and 1 for
    what happened or not. A sum is what came in since the table was made, whatever version the variant was then.

    Lens: AB-05, AB-08, CHG-15.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        posture: Posture,
        key: kms.IKey | None = None,
        keep: Duration | None = None,
    ) -> None:
        """Create table, queue and function.

        Args:
            scope: Where they belong.
            id: The construct id.
            posture: Decides whether table and queue outlive the stack, and how long logs are kept.
            key: Encrypts table, messages and logs; CloudWatch Logs must be allowed to use it. Default: a new one.
            keep: How long predictions, their outcomes and rejections are kept, in whole days, from 30 on, as messages
                can be delivered for that long. An outcome that comes later finds no prediction. Sums are kept for
                good. Default: 90 days.

        Raises:
            PropError: ``keep`` is out of range.
        """
        with checked_props(self, id) as props:
            keep = props.whole_days("keep", keep, default=90)
            self.days = _days(props, keep)
            """How long a prediction waits for its outcome, in days."""
        super().__init__(scope, id)
        self.key = key or customer_key(self, "Key", posture=posture, purpose="outcomes of predictions")
        if key is None:
            let_log_groups_use(self.key)
        self.table = self._table(posture)
        """Holds predictions, outcomes, sums and rejections."""
        self.queue = WorkQueue(self, "Queue", posture=posture, key=self.key, handled_within=_TIMEOUT)
        """Takes messages."""
        self.function = PythonFunction(
            self,
            "Function",
            posture=posture,
            code=function_code(_SERVICE),
            log_key=self.key,
            timeout=_TIMEOUT,
            environment={"OUTCOMES_TABLE": self.table.table_name, "OUTCOMES_DAYS": str(self.days)},
        )
        """Counts them."""
        self.function.work_off(self.queue, batch_size=_BATCH, at_once=_AT_ONCE)
        self._let_count()
        self.alarms = [*self.queue.alarms, *self.function.alarms, self._rejections_alarm()]
        """Tell of messages that could not be handled, wait too long or are rejected."""

    def grant_report(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` send outcomes, and read none."""
        return grant(grantee, ["sqs:SendMessage"], self.queue.queue.queue_arn).combine(
            grant(grantee, ["kms:Decrypt", "kms:GenerateDataKey"], self.key.key_arn)
        )

    def grant_record_predictions(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` record which variant made a prediction, and neither read nor count (Lens: AB-08)."""
        return self.grant_items(grantee, ["dynamodb:PutItem"], "inference#*")

    def grant_read_summary(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` read the sums of every variant, and no single outcome."""
        return self.grant_items(grantee, ["dynamodb:Query"], "summary#*")

    def grant_items(self, grantee: iam.IGrantable, actions: list[str], *partitions: str) -> iam.Grant:
        """Allow ``actions`` on the items of some partitions of the table.

        Args:
            grantee: Who may.
            actions: Actions of DynamoDB that name items.
            partitions: Partition keys, in which a star stands for anything.
        """
        return iam.Grant.add_to_principal(
            grantee=grantee,
            actions=actions,
            resource_arns=[self.table.table_arn],
            conditions={"ForAllValues:StringLike": {"dynamodb:LeadingKeys": list(partitions)}},
        ).combine(grant(grantee, ["kms:Decrypt"], self.key.key_arn))

    def metric_outcome(self, endpoint_name: str, variant: str) -> cloudwatch.Metric:
        """Outcomes of one variant, averaged over one hour; ``n`` of them is the statistic ``SampleCount``."""
        return cloudwatch.Metric(
            namespace=METRICS_NAMESPACE,
            metric_name="Outcome",
            dimensions_map={"Endpoint": endpoint_name, "Variant": variant, "service": _SERVICE},
            statistic="Average",
            period=Duration.hours(1),
        )

    def _table(self, posture: Posture) -> dynamodb.Table:
        text = dynamodb.AttributeType.STRING
        return dynamodb.Table(
            self,
            "Resource",
            partition_key=dynamodb.Attribute(name="pk", type=text),
            sort_key=dynamodb.Attribute(name="sk", type=text),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
            encryption_key=self.key,
            time_to_live_attribute="expires",
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=not posture.removes_data(self),
            removal_policy=posture.removal_policy(self),
        )

    def _let_count(self) -> None:
        role = self.function.role
        self.grant_items(role, ["dynamodb:GetItem"], "inference#*")
        self.grant_items(role, ["dynamodb:UpdateItem"], "inference#*", "summary#*")
        self.grant_items(role, ["dynamodb:PutItem"], "rejected#*")

    def _rejections_alarm(self) -> cloudwatch.Alarm:
        return quiet_alarm(
            self,
            "RejectionsAlarm",
            metric=self.function.metric("OutcomesRejected"),
            above=0,
            for_periods=3,
            because="For a quarter of an hour outcomes have been rejected, and are not counted. The items below "
            "rejected#<endpoint> of the table tell the reasons; mend what sends them.",
        )


def _days(props: PropChecks, keep: Duration) -> int:
    if keep.is_unresolved():
        props.refuse(
            "keep", "is a token, and must be known when the template is made; give Duration.days(90)"
        )
        return 0
    days = int(keep.to_seconds() // _SECONDS_A_DAY)
    props.whole_number(
        "keep",
        days,
        low=_LEAST_DAYS,
        high=_MOST_DAYS,
        unit="days",
        way_out="a message can be delivered, and sent back from the dead letters, for 28 days",
    )
    return days
