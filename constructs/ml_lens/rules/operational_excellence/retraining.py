"""Rules on what makes a model train again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ml_lens.rules.policies import Role, role_of
from ml_lens.rules.rule import PRODUCTION_ERROR, rule
from ml_lens.rules.startable import FUNCTION
from ml_lens.rules.tasks import PIPELINE, STATE_MACHINE, training_tasks, unread_body
from ml_lens.rules.triggers import RULE, SCHEDULE, Trigger, open_deliveries, triggers_of
from ml_lens.rules.verdicts import Verdict, any_of, fails, must_exist, must_satisfy, unknown

if TYPE_CHECKING:
    from ml_lens.rules.graph import Graph, Node
    from ml_lens.rules.values import Value

_TRAINS = ("training", "tuning", "automl")
_TRAINING_APIS = (
    "sagemaker:CreateTrainingJob",
    "sagemaker:CreateHyperParameterTuningJob",
    "sagemaker:CreateAutoMLJob",
    "sagemaker:CreateAutoMLJobV2",
)
_STARTING_APIS = ("states:StartExecution", "sagemaker:StartPipelineExecution")


@rule(
    "OPS06-RetrainTrigger",
    number=55,
    weight=PRODUCTION_ERROR,
    on=(STATE_MACHINE, PIPELINE, FUNCTION),
    title="Training is started by a schedule, by new data or by a drift alarm.",
    why="A model that somebody has to remember to train again grows old unnoticed.",
    fix=(
        "Make the state machine or the pipeline the target of a schedule, of an event rule or of an alarm, with a "
        "dead-letter queue."
    ),
    cloudformation="""
Type: AWS::Scheduler::Schedule
Properties:
  ScheduleExpression: rate(7 days)
  FlexibleTimeWindow: {Mode: 'OFF'}
  Target:
    Arn: !Ref Training
    RoleArn: !GetAtt StartsTraining.Arn
    DeadLetterConfig: {Arn: !GetAtt Unstarted.Arn}
""",
    lens2020="MLOPS 06",
    lens2025="MLPERF06-BP05",
    settled=(
        "Training, tuning and AutoML are training; a workflow that only processes data or predicts is left alone.",
        "A trigger counts through at most three steps, for example alarm, topic, function, workflow.",
        "What is turned off does not count, nor does a rule on a bucket of the app that tells EventBridge nothing.",
        "A schedule or a rule without a dead-letter queue gets a warning, unless it states retries of its own.",
        "A function that is triggered and may create training jobs, but may start no workflow, gets a warning.",
        "A pipeline of CodePipeline passes a trigger on; that somebody pushes code is not one.",
    ),
)
def training_is_triggered(node: Node) -> Iterator[Verdict]:
    """Look for what starts a workflow, and at functions that train by themselves."""
    if node.type == FUNCTION:
        yield from _trains_by_itself(node)
    elif any(task.kind in _TRAINS for task in training_tasks(node)):
        yield from _started(node)
    else:
        unread = unread_body(node)
        role = role_of(node["RoleArn"])
        may_train = _is_ml_app(node.graph) if role is None else role.may(*_TRAINING_APIS)
        if unread is not None and not triggers_of(node) and may_train:
            told = f"{unread.path} cannot be read here, so nobody knows whether it trains; nothing starts it"
            yield unknown(node, told, path=unread.path)


def _is_ml_app(graph: Graph) -> bool:
    return graph.once(
        "app of SageMaker", lambda: any(node.type.startswith("AWS::SageMaker::") for node in graph.all_nodes)
    )


def _started(workflow: Node) -> Iterator[Verdict]:
    triggers = triggers_of(workflow)
    sure = [trigger for trigger in triggers if not trigger.switch.is_open]
    if not triggers:
        yield _not_started(workflow)
    elif not sure:
        switch = triggers[0].switch
        yield unknown(
            switch.node, f"{switch.path} is {switch.shown}; training may not be started", path=switch.path
        )
    for trigger in triggers:
        if trigger.source.type in (RULE, SCHEDULE):
            yield _keeps_what_fails(trigger)


def _not_started(workflow: Node) -> Verdict:
    message = "nothing starts the training: no schedule, no event and no alarm leads to it"
    for hidden in open_deliveries(workflow.graph):
        told = f"{hidden.path} is {hidden.shown}, which may start the training; nothing else does"
        return unknown(hidden.node, told, path=hidden.path)
    return fails(workflow, message)


def _keeps_what_fails(trigger: Trigger) -> Verdict:
    entry = trigger.delivery
    tries: Value = entry["RetryPolicy"]["MaximumRetryAttempts"]
    retried = must_satisfy(tries, lambda times: str(times) != "0", "must not be 0")
    told = "the target has no dead-letter queue and no retry policy, so a start that fails is lost"
    kept = any_of(must_exist(entry["DeadLetterConfig"]["Arn"]).saying(told), retried.saying(told))
    return kept.as_warning()


def _trains_by_itself(function: Node) -> Iterator[Verdict]:
    role = role_of(function["Role"])
    if role is None or not _only_trains(role):
        return
    if any(
        STATE_MACHINE not in [passed.type for passed in trigger.through] for trigger in triggers_of(function)
    ):
        told = (
            "starts training jobs outside a pipeline; start a state machine or a SageMaker pipeline instead"
        )
        yield fails(function, told, path="Role").as_warning()


def _only_trains(role: Role) -> bool:
    return role.may(*_TRAINING_APIS) and not role.may(*_STARTING_APIS)


RULES = (training_is_triggered,)
