"""Queues that lose nothing."""

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from ml_lens.foundation.observability import quiet_alarm
from ml_lens.foundation.posture import Posture
from ml_lens.foundation.props import checked_props

_LONGEST_RETENTION = Duration.days(14)


class WorkQueue(Construct):
    """Holds work until it is done, and work that cannot be done until somebody looks at it.

    Encrypted, TLS only. What fails ``max_receives`` times moves to ``dead_letters``, which keeps it for
    fourteen days and has an alarm; ``alarms`` also holds one on the age of the oldest message.

    Lens: F2-31.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        posture: Posture,
        key: kms.IKey,
        handled_within: Duration,
        max_receives: int = 5,
        alarm_age: Duration | None = None,
    ) -> None:
        """Create the queue, its dead-letter queue and their alarms.

        Args:
            scope: Where the queue belongs.
            id: Its construct id.
            posture: Decides whether the queues outlive the stack.
            key: Encrypts the messages.
            handled_within: Longest time one attempt takes, which is the consumer's timeout. A message stays
                hidden six times as long, as Lambda advises.
            max_receives: Attempts before a message is a dead letter, 2 to 1000. Default: five.
            alarm_age: Age of the oldest message above which the alarm goes off. Default: fifteen minutes.

        Raises:
            PropError: ``max_receives`` is out of range, or six times ``handled_within`` is over twelve hours.
        """
        with checked_props(self, id) as props:
            props.whole_number(
                "max_receives",
                max_receives,
                low=2,
                high=1000,
                unit="attempts",
                way_out="with one attempt a single cold start would make a dead letter",
            )
            props.require(
                handled_within.to_seconds() <= 2 * 3600,
                "handled_within",
                f"{handled_within.to_human_string()} is too long: a message can stay hidden for twelve hours at "
                "the most, six times as long as an attempt; split the work so that one attempt takes two hours "
                "at the most",
            )
        super().__init__(scope, id)
        self.key = key
        removal = posture.removal_policy(self)
        self.dead_letters = sqs.Queue(
            self,
            "DeadLetters",
            encryption_master_key=key,
            enforce_ssl=True,
            retention_period=_LONGEST_RETENTION,
            removal_policy=removal,
        )
        self.queue = sqs.Queue(
            self,
            "Resource",
            encryption_master_key=key,
            enforce_ssl=True,
            retention_period=_LONGEST_RETENTION,
            visibility_timeout=Duration.seconds(6 * handled_within.to_seconds()),
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=max_receives),
            removal_policy=removal,
        )
        self.alarms = [
            quiet_alarm(
                self,
                "DeadLettersAlarm",
                metric=self.metric_dead_letters(),
                above=0,
                because=f"Work failed {max_receives} times and was set aside. Find the cause in the function's "
                "log, mend it, and send the dead letters back (redrive).",
            ),
            quiet_alarm(
                self,
                "AgeAlarm",
                metric=self.metric_age(),
                above=(alarm_age or Duration.minutes(15)).to_seconds(),
                for_periods=3,
                because="Work waits longer than it should: the function fails, is throttled, or the burst is "
                "larger than the quota allows.",
            ),
        ]

    def take_events_of(self, rule: events.Rule) -> None:
        """Put every event that matches ``rule`` into the queue.

        An event that cannot be delivered becomes a dead letter; the alarm on failed deliveries tells of those
        that cannot even become one.
        """
        eventbridge = iam.ServicePrincipal("events.amazonaws.com")
        # EventBridge sends neither aws:SourceArn nor aws:SourceAccount to KMS. CDK's own grant demands the
        # account, and every event to an encrypted queue would be dropped in silence. The queue names the rule.
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="EventsToQueues",
                principals=[eventbridge],
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=["*"],
            )
        )
        for queue in (self.queue, self.dead_letters):
            queue.add_to_resource_policy(
                iam.PolicyStatement(
                    principals=[eventbridge],
                    actions=["sqs:SendMessage"],
                    resources=[queue.queue_arn],
                    conditions={"ArnEquals": {"aws:SourceArn": rule.rule_arn}},
                )
            )
        rule.add_target(
            targets.SqsQueue(
                sqs.Queue.from_queue_arn(self, f"{rule.node.id}Target", self.queue.queue_arn),
                dead_letter_queue=sqs.Queue.from_queue_arn(
                    self, f"{rule.node.id}DeadLetters", self.dead_letters.queue_arn
                ),
            )
        )
        self.alarms.append(
            quiet_alarm(
                self,
                f"{rule.node.id}Alarm",
                metric=cloudwatch.Metric(
                    namespace="AWS/Events",
                    metric_name="FailedInvocations",
                    dimensions_map={"RuleName": rule.rule_name},
                    statistic="Sum",
                ),
                above=0,
                because="EventBridge could not deliver events. Look at the policies of the queue and of its key; "
                "undelivered events are among the dead letters, unless the key refuses those too.",
            )
        )

    def metric_dead_letters(self) -> cloudwatch.Metric:
        """Messages in the dead-letter queue, maximum over five minutes."""
        return self.dead_letters.metric_approximate_number_of_messages_visible(statistic="Maximum")

    def metric_age(self) -> cloudwatch.Metric:
        """Age of the oldest waiting message in seconds, maximum over five minutes."""
        return self.queue.metric_approximate_age_of_oldest_message(statistic="Maximum")
