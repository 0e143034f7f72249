"""REST APIs in templates: what MiniStack drops of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from ministack.services import apigateway_v1
from ministack.services.cloudformation import provisioners

Keep = Callable[[Mapping[str, Any]], None]

_VALIDATOR = "AWS::ApiGateway::RequestValidator"


def keep_all_of_a_rest_api() -> None:
    """Keep a stage's access log, a method's validator, and the validator itself."""
    _also("AWS::ApiGateway::Stage", _access_log)
    _also("AWS::ApiGateway::Method", _validator_of_method)
    provisioners._RESOURCE_HANDLERS[_VALIDATOR] = {
        "create": _create_validator,
        "update": _update_validator,
        "delete": _delete_validator,
    }


def _also(kind: str, keep: Keep) -> None:
    handlers = provisioners._RESOURCE_HANDLERS[kind]
    create, update = handlers["create"], handlers["update"]

    def created(logical_id: str, properties: Mapping[str, Any], stack: str) -> Any:
        result = create(logical_id, properties, stack)
        keep(properties)
        return result

    def updated(reference: str, old: Any, new: Mapping[str, Any], stack: str) -> Any:
        result = update(reference, old, new, stack)
        keep(new)
        return result

    provisioners._RESOURCE_HANDLERS[kind] = {**handlers, "create": created, "update": updated}


def _access_log(properties: Mapping[str, Any]) -> None:
    stages = apigateway_v1._stages_v1.get(properties.get("RestApiId", ""), {})
    stage = stages.get(properties.get("StageName", ""))
    if stage is not None:
        said = properties.get("AccessLogSetting") or {}
        stage["accessLogSettings"] = {
            "destinationArn": said.get("DestinationArn", ""),
            "format": said.get("Format", ""),
        }


def _validator_of_method(properties: Mapping[str, Any]) -> None:
    resources = apigateway_v1._resources.get(properties.get("RestApiId", ""), {})
    resource = resources.get(properties.get("ResourceId", "")) or {}
    method = resource.get("resourceMethods", {}).get(properties.get("HttpMethod", "ANY"))
    if method is not None:
        method["requestValidatorId"] = properties.get("RequestValidatorId")


def _asked(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": properties.get("Name", ""),
        "validateRequestBody": _is_true(properties.get("ValidateRequestBody")),
        "validateRequestParameters": _is_true(properties.get("ValidateRequestParameters")),
    }


def _is_true(value: Any) -> bool:
    return str(value).lower() == "true"


def _create_validator(_logical_id: str, properties: Mapping[str, Any], _stack: str) -> Any:
    status, _, body = apigateway_v1._create_request_validator(properties["RestApiId"], _asked(properties))
    made = json.loads(body)
    if status >= 400:
        raise ValueError(f"{_VALIDATOR} create failed: {made}")
    return made["id"], {"RequestValidatorId": made["id"]}


def _update_validator(reference: str, old: Mapping[str, Any], new: Mapping[str, Any], stack: str) -> Any:
    if any(new.get(key) != old.get(key) for key in ("RestApiId", "Name")):
        return _create_validator("", new, stack)
    apigateway_v1._request_validators[new["RestApiId"]][reference].update(_asked(new))
    return reference, {"RequestValidatorId": reference}


def _delete_validator(reference: str, properties: Mapping[str, Any]) -> None:
    apigateway_v1._request_validators.get(properties.get("RestApiId", ""), {}).pop(reference, None)
