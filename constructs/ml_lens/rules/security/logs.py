"""Logs of jobs, endpoints and functions, which repeat the data they worked on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from ml_lens.rules.functions import FUNCTION, is_ml_function
from ml_lens.rules.graph import Graph, Node
from ml_lens.rules.log_groups import (
    LOG_GROUP,
    log_group_called,
    log_group_maybe_called,
    log_group_of,
    may_start_with,
)
from ml_lens.rules.policies import role_of
from ml_lens.rules.resolved import Reference
from ml_lens.rules.rule import ERROR, rule
from ml_lens.rules.sagemaker_names import ENDPOINT
from ml_lens.rules.tasks import PIPELINE, STATE_MACHINE, training_tasks, unread_body
from ml_lens.rules.verdicts import PASS, Verdict, fails, must_exist, must_have_key, unknown

_OF_ENDPOINTS: Final = "/aws/sagemaker/Endpoints/"
_OF_FUNCTIONS: Final = "/aws/lambda/"
_STARTS: Final = ("/aws/sagemaker/", "/aws/vendedlogs/states/")
_OF_TRAINING: Final = "/aws/sagemaker/TrainingJobs"
_TRAINS: Final = ("sagemaker:CreateTrainingJob", "sagemaker:CreateHyperParameterTuningJob")
_GROUP_OF_KIND: Final = {
    "training": _OF_TRAINING,
    "tuning": _OF_TRAINING,
    "automl": _OF_TRAINING,
    "processing": "/aws/sagemaker/ProcessingJobs",
    "transform": "/aws/sagemaker/TransformJobs",
    "labeling": "/aws/sagemaker/LabelingJobs",
}


@rule(
    "SEC02-MlLogGroupEncrypted",
    number=23,
    weight=ERROR,
    on=(LOG_GROUP, ENDPOINT, FUNCTION, STATE_MACHINE, PIPELINE),
    title="Logs of jobs, endpoints and functions are encrypted with a key of yours, and expire.",
    why="SageMaker and Lambda create groups without a key that never expire, unless the app creates them first.",
    fix="Create the log group in the app, with KmsKeyId and RetentionInDays, under the name that the service uses "
    "or as the LoggingConfig.LogGroup of the function.",
    cloudformation="""
EndpointLogs:
  Type: AWS::Logs::LogGroup
  Properties:
    LogGroupName: /aws/sagemaker/Endpoints/churn
    KmsKeyId: !GetAtt LogKey.Arn
    RetentionInDays: 365
TrainingLogs:
  Type: AWS::Logs::LogGroup
  Properties:
    LogGroupName: /aws/sagemaker/TrainingJobs
    KmsKeyId: !GetAtt LogKey.Arn
    RetentionInDays: 365
FunctionLogs:
  Type: AWS::Logs::LogGroup
  Properties:
    KmsKeyId: !GetAtt LogKey.Arn
    RetentionInDays: 365
Function:
  Type: AWS::Lambda::Function
  Properties:
    LoggingConfig: {LogGroup: !Ref FunctionLogs}
""",
    construct="ml_lens.foundation.PythonFunction",
    lens2020=("MLSEC 02", "MLSEC 03"),
    lens2025="MLSEC02-BP01",
    same_as=(
        "SecurityHub:CloudWatch.16",
        "cdk-nag:NIST.800.53.R5-CloudWatchLogGroupEncrypted",
        "cdk-nag:NIST.800.53.R5-CloudWatchLogGroupRetentionPeriod",
    ),
    settled=(
        "A function counts when its role may call SageMaker or an AI service.",
        "Such a function without a log group of the app is a warning: Lambda makes the group on the first call, "
        "without a key and for ever, unless it is there already.",
        "A log group that is not part of the app, named or imported, is unresolved.",
        "An endpoint without a name and without a log group is a warning, as its group can be created only "
        "after it.",
        "Each kind of job has a group of its own: TrainingJobs for training, tuning and AutoML, ProcessingJobs, "
        "TransformJobs and LabelingJobs. One in the whole app is enough, and its absence is told once; it is an "
        "error for TrainingJobs and a warning for the others.",
        "A group to which a state machine with such jobs logs counts, whatever it is called.",
        "A log group whose name the template leaves open is unresolved only where it has no key or no retention, "
        "and only in an app with endpoints, jobs or such functions.",
    ),
)
def ml_logs_are_encrypted(node: Node) -> Iterator[Verdict]:
    """Demand key and retention of each group, and a group where a service would make one."""
    return _JUDGES[node.type](node)


def _of_group(group: Node) -> Iterator[Verdict]:
    problems = [
        verdict
        for verdict in (must_have_key(group["KmsKeyId"]), must_exist(group["RetentionInDays"]))
        if verdict.answer is not PASS
    ]
    if not problems:
        return
    name = group["LogGroupName"]
    if (name.text or "").startswith(_STARTS) or _is_in_use(group):
        yield from problems
    elif may_start_with(name, *_STARTS) and _is_ml_app(group.graph):
        told = f"{name.path} is {name.shown}, which the template leaves open; {problems[0].message}"
        yield unknown(group, told, path=name.path)


def _of_endpoint(endpoint: Node) -> Iterator[Verdict]:
    graph, name = endpoint.graph, endpoint["EndpointName"]
    own = (Reference(endpoint, None), Reference(endpoint, "EndpointName"))
    if any(log_group_called(graph, _OF_ENDPOINTS, reference) for reference in own):
        return
    told = f"no log group of the app is called {_OF_ENDPOINTS}{name.text or '<its name>'}"
    if not name:
        yield fails(
            endpoint, f"{told}; give the endpoint a name to create one", path="EndpointName"
        ).as_warning()
    elif log_group_called(graph, _OF_ENDPOINTS, *name.parts) is None:
        yield _missing(
            endpoint, told, log_group_maybe_called(graph, _OF_ENDPOINTS, *name.parts), "EndpointName"
        )


def _missing(node: Node, told: str, perhaps: Node | None, path: str = "") -> Verdict:
    """Say that a group is missing, or that nobody can tell because of the name of another, or of the node."""
    if perhaps is None:
        return fails(node, told, path=path)
    name = perhaps["LogGroupName"]
    if not name.is_open:
        return unknown(node, f"{told}, as far as the template tells", path=path)
    return unknown(
        perhaps, f"{name.path} is {name.shown}, which the template leaves open; {told}", path=name.path
    )


def _of_function(function: Node) -> Iterator[Verdict]:
    if not is_ml_function(function) or _group_of_function(function) is not None:
        return
    given = function["LoggingConfig"]["LogGroup"]
    if given:
        told = f"{given.path} is {given.shown}, no log group of this app"
        yield unknown(function, f"{told}; nobody can see its key and retention", path=given.path)
    else:
        told = f"{given.path} is missing, so that Lambda makes a log group without a key that never expires"
        yield fails(function, told, path=given.path).as_warning()


def _group_of_function(function: Node) -> Node | None:
    given, name = function["LoggingConfig"]["LogGroup"], function["FunctionName"]
    if given:
        return log_group_of(given)
    called = log_group_called(function.graph, _OF_FUNCTIONS, Reference(function, None))
    return called or (log_group_called(function.graph, _OF_FUNCTIONS, *name.parts) if name else None)


def _of_owner(owner: Node) -> Iterator[Verdict]:
    owners = owner.graph.joined("owners of job logs", (STATE_MACHINE, PIPELINE), _job_logs)
    for name, _ in dict(_job_logs(owner)).items():
        if log_group_called(owner.graph, name) is None and owners.first(name) is owner:
            told = f"starts jobs that log to {name}, and no log group of the app has that name"
            missing = _missing(owner, told, log_group_maybe_called(owner.graph, name))
            yield missing if name == _OF_TRAINING else missing.as_warning()
    unread = unread_body(owner)
    if unread is not None and _may_train(owner) and log_group_called(owner.graph, _OF_TRAINING) is None:
        told = f"{unread.path} cannot be read here, so nobody knows whether its jobs need {_OF_TRAINING}"
        yield unknown(owner, told, path=unread.path)


def _may_train(owner: Node) -> bool:
    role = role_of(owner["RoleArn"])
    return owner.type == PIPELINE or (role is not None and role.may(*_TRAINS))


def _job_logs(owner: Node) -> Iterator[tuple[str, Node]]:
    return ((_GROUP_OF_KIND[task.kind], owner) for task in training_tasks(owner))


def _is_in_use(group: Node) -> bool:
    graph = group.graph
    return graph.joined("log groups of functions and machines", (FUNCTION, STATE_MACHINE), _used).has(group)


def _used(node: Node) -> Iterator[tuple[Node, bool]]:
    if node.type == FUNCTION:
        group = _group_of_function(node)
        if group is not None and is_ml_function(node):
            yield group, True
        return
    for destination in node["LoggingConfiguration"]["Destinations"].elements:
        group = log_group_of(destination["CloudWatchLogsLogGroup"]["LogGroupArn"])
        if group is not None and training_tasks(node):
            yield group, True


def _is_ml_app(graph: Graph) -> bool:
    """Whether the app has endpoints, jobs, or functions that call them."""
    types = (ENDPOINT, STATE_MACHINE, PIPELINE, FUNCTION)
    return graph.joined("machine learning", types, lambda node: [(_is_of_ml(node), True)]).has(True)


def _is_of_ml(node: Node) -> bool:
    if node.type == FUNCTION:
        return is_ml_function(node)
    return node.type == ENDPOINT or bool(training_tasks(node))


_JUDGES: Final[Mapping[str, Callable[[Node], Iterator[Verdict]]]] = {
    LOG_GROUP: _of_group,
    ENDPOINT: _of_endpoint,
    FUNCTION: _of_function,
    STATE_MACHINE: _of_owner,
    PIPELINE: _of_owner,
}
RULES = (ml_logs_are_encrypted,)
