"""Two models side by side, until one of them has proved to be better."""

import json

from aws_cdk import Duration
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from constructs import Construct

from ml_lens.assets import function_code
from ml_lens.foundation.functions import PythonFunction
from ml_lens.foundation.keys import customer_key, let_log_groups_use
from ml_lens.foundation.observability import AlarmTopic
from ml_lens.foundation.posture import Posture
from ml_lens.foundation.props import checked_props
from ml_lens.foundation.storage import grant
from ml_lens.hosting.experiment_options import ExperimentRules
from ml_lens.hosting.experiment_plan import ExperimentPlan
from ml_lens.hosting.experiment_shares import SharedEndpoint
from ml_lens.hosting.experiment_workflow import experiment_states
from ml_lens.hosting.hosted_model import HostedModel
from ml_lens.hosting.outcomes import Outcomes
from ml_lens.hosting.starts import WorkflowStarts
from ml_lens.hosting.workflows import Workflow, let_tell

_SERVICE = "experiment_verdict"
_TWO = 2
_TO_SET_WEIGHTS = Duration.hours(2)


class Experiment(Construct):
    """Compares the two variants of an endpoint by what came of their predictions, and gives the traffic to the better.

    Start it with ``{}``. Both variants get one half of the traffic. Callers of an ``InferenceApi`` that has the
    experiment among its options, and names whom a prediction is about, get the same variant for the same subject every
    time; whoever calls the endpoint itself gets either by the lot, as the weights say. Outcomes that ``outcomes``
    counts from then on are compared at a few fixed times from ``rules.minimum_duration`` on: by a test of two
    proportions when they are 0 and 1, by Welch's t-test otherwise. The winner gets the traffic in steps, and is watched
    after each; without a difference it is the first variant, A, that was there before. A variant that fails or is late
    ends the experiment at once, and the other one gets the traffic.

    Whatever happens, the run is recorded in the table of ``outcomes`` with counts, means, p-value and decision, and
    ``topic`` is told. After an error, or when a run is stopped, the shares are equal again.

    Lens: AB-03, AB-05, AB-06, AB-07, AB-08, CHG-06, CHG-13, CHG-15, MON-07.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        posture: Posture,
        model: HostedModel,
        outcomes: Outcomes,
        rules: ExperimentRules | None = None,
        topic: AlarmTopic | None = None,
    ) -> None:
        """Create the state machine and the function that judges.

        Args:
            scope: Where the experiment belongs.
            id: Its construct id.
            posture: Decides how long logs are kept; in production an experiment takes a day at the least.
            model: The endpoint, deployed with ``Deployment.ab_test``.
            outcomes: Counts what came of predictions, and keeps shares and records of the experiment.
            rules: When there is a winner, and how it gets the traffic. Default: ``ExperimentRules()``.
            topic: Is told how each experiment ended. Default: a new one.

        Raises:
            PropError: ``model`` has not two variants, or a rule is out of range.
        """
        rules = rules or ExperimentRules()
        with checked_props(self, id) as props:
            props.require(
                len(model.variants) == _TWO,
                "model",
                f"has {len(model.variants)} variant, and an experiment compares two; deploy it with "
                "Deployment.ab_test(…)",
            )
            rules.check(props, posture)
        super().__init__(scope, id)
        self._model, self._outcomes, self._rules = model, outcomes, rules
        self.key = customer_key(self, "Key", posture=posture, purpose="logs of an experiment")
        let_log_groups_use(self.key)
        self.topic = topic or AlarmTopic(self, "Topic", posture=posture)
        """Is told how each experiment ended."""
        self.table: dynamodb.ITable = outcomes.table
        """Holds which shares are assigned, below ``experiment#<endpoint>``, and the records of all experiments."""
        self.function = self._judge(posture)
        """Judges."""
        plan = ExperimentPlan(
            endpoint=SharedEndpoint(
                name=model.endpoint_name,
                variants=model.variants,
                versions={name: model.model_versions[name] for name in model.variants},
                table=outcomes.table,
            ),
            rules=rules,
            verdict=self.function,
            topic=self.topic,
        )
        self.workflow = Workflow(
            self,
            "Workflow",
            posture=posture,
            key=self.key,
            start=experiment_states(Construct(self, "States"), plan),
            time_limit=self._time_limit(),
            what="An experiment",
        )
        self._let_run()
        starts = WorkflowStarts(self, "Starts", posture=posture, key=self.key, workflow=self.workflow)
        starts.on_stopped_runs("Stopped")
        self.alarms = [*self.workflow.alarms, *self.function.alarms, *starts.alarms]
        """Tell of experiments that failed or were stopped."""

    @property
    def state_machine_arn(self) -> str:
        """ARN of the state machine."""
        return self.workflow.machine.state_machine_arn

    def grant_start(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` start experiments, and do nothing else."""
        return self.workflow.grant_start(grantee)

    def grant_read_assignment(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` read which variant answers whom (Lens: AB-08)."""
        return self._outcomes.grant_items(grantee, ["dynamodb:GetItem"], self._partition)

    @property
    def _partition(self) -> str:
        return f"experiment#{self._model.endpoint_name}"

    def _judge(self, posture: Posture) -> PythonFunction:
        rules, model = self._rules, self._model
        made = PythonFunction(
            self,
            "Function",
            posture=posture,
            code=function_code(_SERVICE),
            log_key=self.key,
            timeout=Duration.minutes(1),
            memory_mib=512,
            looks_at=["cloudwatch:GetMetricData"],
            environment={
                "ENDPOINT_NAME": model.endpoint_name,
                "OUTCOMES_TABLE": self.table.table_name,
                "ERRORS_PERCENT": f"{rules.errors_percent:g}",
                "LATENCY_MS": f"{rules.latency_slo.to_milliseconds():g}",
                "WINDOW_SECONDS": str(2 * int(rules.checked_every.to_seconds())),
                "RULES": json.dumps({"variants": list(model.variants), **rules.to_json()}),
            },
        )
        self._outcomes.grant_read_summary(made.role)
        return made

    def _let_run(self) -> None:
        role = self.workflow.role
        self.workflow.may_call(self.function)
        grant(
            role,
            ["sagemaker:DescribeEndpoint", "sagemaker:UpdateEndpointWeightsAndCapacities"],
            self._model.endpoint.ref,
        )
        self._outcomes.grant_items(role, ["dynamodb:PutItem", "dynamodb:UpdateItem"], self._partition)
        let_tell(role, self.topic)

    def _time_limit(self) -> Duration:
        """Return the longest time of a run: until the last look, and until the last step has been watched."""
        steps = len(self._rules.then.shares)
        seconds = self._rules.longest.to_seconds() + steps * self._rules.then.every.to_seconds()
        # Checks take time as well, by which the run falls behind its own clock.
        return Duration.seconds(int(1.1 * seconds) + (steps + 2) * int(_TO_SET_WEIGHTS.to_seconds()))
