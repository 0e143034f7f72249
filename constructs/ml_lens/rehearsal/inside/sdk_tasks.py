"""Calls of the AWS API that a state machine makes: arguments in, results and errors out, as its states see them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from ml_lens.rehearsal.inside.sdk_names import client_name, error_name, member_name, service_prefix

LARGEST_RESULT = 262_144


class TaskFault(Exception):  # noqa: N818 - as the services call it
    """A task failed, under the name that ``Retry`` and ``Catch`` look for."""

    def __init__(self, error: str, cause: str) -> None:
        """Fail with ``error`` because of ``cause``."""
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause


class Clients(Protocol):
    """Clients that act for whoever runs the task."""

    def names(self) -> list[str]:
        """Return the names of all services."""

    def client(self, name: str) -> Any:
        """Return a client of the service ``name``."""


@dataclass(frozen=True)
class Optimized:
    """An integration with a spelling and treatment of its own.

    Attributes:
        client: The service.
        operation: Its operation.
        fault: What its errors begin with.
        general: The name of those that the service does not model.
        documents: Members that may be given as JSON and are sent as text.
    """

    client: str
    operation: str
    fault: str
    general: str
    documents: tuple[str, ...] = ()


OPTIMIZED: Mapping[str, Optimized] = {
    **{
        f"dynamodb:{operation[0].lower()}{operation[1:]}": Optimized(
            "dynamodb", operation, "DynamoDB", "AmazonDynamoDBException"
        )
        for operation in ("PutItem", "GetItem", "UpdateItem", "DeleteItem")
    },
    "sqs:sendMessage": Optimized("sqs", "SendMessage", "SQS", "AmazonSQSException", ("MessageBody",)),
    "sns:publish": Optimized("sns", "Publish", "SNS", "AmazonSNSException", ("Message",)),
    "events:putEvents": Optimized("events", "PutEvents", "EventBridge", "AmazonEventBridgeException"),
    **{
        f"sagemaker:{operation[0].lower()}{operation[1:]}": Optimized(
            "sagemaker", operation, "SageMaker", "AmazonSageMakerException"
        )
        for operation in (
            "CreateModel",
            "CreateEndpointConfig",
            "CreateEndpoint",
            "UpdateEndpoint",
            "CreateTransformJob",
        )
    },
}


def call(resource: str, arguments: Mapping[str, Any], clients: Clients, about: tuple[str, ...]) -> Any:
    """Make the call that the task's ``resource`` names.

    Args:
        resource: ``arn:aws:states:::aws-sdk:<service>:<operation>`` or one of :data:`OPTIMIZED`.
        arguments: The task's arguments.
        clients: Whoever runs the task.
        about: ARNs that every event tells: the execution's and the state machine's.

    Raises:
        TaskFault: The call was not made, or was refused.
    """
    name = resource.split(":::", 1)[-1].removesuffix(".waitForTaskToken")
    if name.startswith("aws-sdk:"):
        _, service, operation = [*name.split(":"), "", ""][:3]
        return _sdk(service, operation, arguments, clients)
    return _optimized(OPTIMIZED[name], dict(arguments), clients, about)


def _sdk(service: str, operation: str, arguments: Mapping[str, Any], clients: Clients) -> Any:
    known = client_name(service, clients.names())
    if known is None:
        raise TaskFault("States.Runtime", f"there is no service aws-sdk:{service}")
    client = clients.client(known)
    model = client.meta.service_model
    wanted = operation.removesuffix(".sync").lower()
    api = next((each for each in model.operation_names if each.lower() == wanted), None)
    if api is None:
        raise TaskFault("States.Runtime", f"aws-sdk:{service} has no operation {operation}")
    shapes = model.operation_model(api)
    given = _given(arguments, shapes.input_shape, "$") if shapes.input_shape else {}
    answer = _answer(
        lambda: client._make_api_call(api, given),
        client,
        lambda code, shape: error_name(model.service_id, code, shape),
    )
    return _told(answer, shapes.output_shape)


def _optimized(
    task: Optimized, arguments: dict[str, Any], clients: Clients, about: tuple[str, ...]
) -> dict[str, Any]:
    for member in task.documents:
        if not isinstance(arguments.get(member, ""), str):
            arguments[member] = json.dumps(arguments[member], separators=(",", ":"))
    if task.operation == "PutEvents":
        arguments["Entries"] = [_entry(each, about) for each in arguments.get("Entries", [])]
    client = clients.client(task.client)
    answer = _answer(
        lambda: client._make_api_call(task.operation, _whole(arguments)),
        client,
        lambda _code, shape: f"{task.fault}.{shape or task.general}",
    )
    if answer.get("FailedEntryCount"):
        raise TaskFault(f"{task.fault}.FailedEntry", json.dumps(answer["Entries"]))
    return dict(answer)


def _entry(entry: Mapping[str, Any], about: tuple[str, ...]) -> dict[str, Any]:
    made = {**entry, "Resources": [*entry.get("Resources", []), *about]}
    if not isinstance(made.get("Detail", ""), str):
        made["Detail"] = json.dumps(made["Detail"], separators=(",", ":"))
    return made


def _answer(
    make: Callable[[], dict[str, Any]], client: Any, named: Callable[[str, str | None], str]
) -> dict[str, Any]:
    model = client.meta.service_model
    try:
        answer = make()
    except ClientError as error:
        code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
        shape = model.shape_for_error_code(code)
        metadata = error.response["ResponseMetadata"]
        cause = (
            f"{message} (Service: {service_prefix(model.service_id)}, "
            f"Status Code: {metadata['HTTPStatusCode']}, Request ID: {metadata.get('RequestId', '')})"
        )
        raise TaskFault(named(code, shape.name if shape else None), cause) from error
    except BotoCoreError as error:
        if type(error).__name__ == "ParamValidationError":
            raise TaskFault("States.Runtime", str(error)) from error
        raise TaskFault(f"{service_prefix(model.service_id)}.SdkClientException", str(error)) from error
    answer.pop("ResponseMetadata", None)
    return answer


def _given(value: Any, shape: Any, path: str) -> Any:
    """Return an argument as the client wants it."""
    if shape.type_name == "structure" and isinstance(value, Mapping):
        names = {member_name(name): name for name in shape.members}
        unknown = sorted(value.keys() - names.keys())
        if unknown:
            refused = f'The field "{unknown[0]}" is not supported by Step Functions'
            raise TaskFault("States.Runtime", f"{path} could not be used to start the Task: [{refused}]")
        return {
            names[key]: _given(each, shape.members[names[key]], f"{path}.{key}")
            for key, each in value.items()
        }
    if shape.type_name == "list" and isinstance(value, list):
        return [_given(each, shape.member, f"{path}[{index}]") for index, each in enumerate(value)]
    if shape.type_name == "map" and isinstance(value, Mapping):
        return {key: _given(each, shape.value, f"{path}.{key}") for key, each in value.items()}
    if shape.type_name == "blob":
        return (value if isinstance(value, str) else json.dumps(value)).encode()
    return _whole(value) if shape.type_name in ("integer", "long") else value


def _told(value: Any, shape: Any) -> Any:
    """Return a member of an answer as a state sees it."""
    if hasattr(value, "read"):
        value = value.read()
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        return (
            value.astimezone(UTC)
            .isoformat(timespec="milliseconds")
            .removesuffix("+00:00")
            .removesuffix(".000")
            + "Z"
        )
    if shape is not None and shape.type_name == "structure" and isinstance(value, Mapping):
        return {member_name(name): _told(each, shape.members.get(name)) for name, each in value.items()}
    if shape is not None and shape.type_name == "list" and isinstance(value, list):
        return [_told(each, shape.member) for each in value]
    if shape is not None and shape.type_name == "map" and isinstance(value, Mapping):
        return {key: _told(each, shape.value) for key, each in value.items()}
    return value


def _whole(value: Any) -> Any:
    """JSONata has one kind of number; where a whole one is wanted, 2.0 is 2."""
    if isinstance(value, Mapping):
        return {key: _whole(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_whole(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def checked_size(result: Any) -> Any:
    """Return a task's result if a state may hold it.

    Raises:
        TaskFault: It is larger than Step Functions lets pass.
    """
    if len(json.dumps(result, default=str).encode()) > LARGEST_RESULT:
        raise TaskFault(
            "States.DataLimitExceeded",
            "The task returned a result with a size exceeding the maximum number of bytes service limit.",
        )
    return result
