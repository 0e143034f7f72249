"""Alarms, and the topic they are told to."""

from collections.abc import Iterable

from aws_cdk import Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from constructs import Construct

from ml_lens.foundation.keys import customer_key, let_service_use
from ml_lens.foundation.posture import Posture


class AlarmTopic(Construct):
    """Tells people when something is wrong.

    Encrypted under a key that CloudWatch may use; publishing needs TLS. Subscribe to ``topic``.

    Lens: QTA-01, F2-31.
    """

    def __init__(self, scope: Construct, id: str, *, posture: Posture) -> None:
        """Create the topic and its key.

        Args:
            scope: Where the topic belongs.
            id: Its construct id.
            posture: Decides whether the key outlives the stack.
        """
        super().__init__(scope, id)
        self.key = customer_key(self, "Key", posture=posture, purpose="alarm messages")
        let_service_use(self.key, "cloudwatch.amazonaws.com", sid="Alarms")
        self.topic = sns.Topic(self, "Resource", master_key=self.key, enforce_ssl=True)
        # A topic policy of one's own, here the one that demands TLS, replaces the default that lets alarms in.
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AlarmsPublish",
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": Stack.of(self).account}},
            )
        )

    def tell_of(self, alarms: Iterable[cloudwatch.Alarm]) -> None:
        """Send a message when one of ``alarms`` goes off, and when it is over."""
        action = actions.SnsAction(self.topic)
        for alarm in alarms:
            alarm.add_alarm_action(action)
            alarm.add_ok_action(action)


def quiet_alarm(
    scope: Construct, id: str, *, metric: cloudwatch.IMetric, above: float, for_periods: int = 1, because: str
) -> cloudwatch.Alarm:
    """Create an alarm that takes silence for health, as metrics of queues and functions report nothing when idle.

    Args:
        scope: Where the alarm belongs.
        id: Its construct id.
        metric: What is watched, with its statistic and period.
        above: The alarm goes off when the metric is greater.
        for_periods: How many periods in a row. Default: one.
        because: What it means and what to do; shown with the alarm.
    """
    return cloudwatch.Alarm(
        scope,
        id,
        metric=metric,
        threshold=above,
        comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
        evaluation_periods=for_periods,
        treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        alarm_description=because,
    )
