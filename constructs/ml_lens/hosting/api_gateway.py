"""The gateway in front of a model."""

from collections.abc import Mapping
from typing import Any

from aws_cdk import Names
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_kms as kms
from constructs import Construct

from ml_lens.foundation.posture import Posture
from ml_lens.hosting.api_access import ApiAccess, ApiReach, Throttle, resource_policy
from ml_lens.hosting.api_logs import access_log, access_log_format, execution_log
from ml_lens.hosting.api_problems import tell_problems
from ml_lens.hosting.api_schema import outline

STAGE, PATH, JSON = "v1", "predictions", "application/json"
_TLS = "SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09"


def rest_api(
    scope: Construct,
    *,
    posture: Posture,
    key: kms.IKey,
    access: ApiAccess,
    reach: ApiReach,
    throttle: Throttle,
) -> apigateway.RestApi:
    """Create the API ``Resource`` of ``scope`` with its stage, its logs and its problems, and no method yet."""
    kind = apigateway.EndpointType.PRIVATE if reach.is_private else apigateway.EndpointType.REGIONAL
    api = apigateway.RestApi(
        scope,
        "Resource",
        # Metrics know an API by its name only.
        rest_api_name=Names.unique_resource_name(scope, separator="-", max_length=64),
        description="Predictions of a hosted model",
        endpoint_configuration=apigateway.EndpointConfiguration(types=[kind]),
        policy=resource_policy(scope, access, reach, path=f"{STAGE}/POST/{PATH}"),
        cloud_watch_role=False,
        deploy_options=apigateway.StageOptions(
            stage_name=STAGE,
            access_log_destination=apigateway.LogGroupLogDestination(
                access_log(scope, posture=posture, key=key)
            ),
            access_log_format=access_log_format(signed=access.user_pool is None),
            logging_level=apigateway.MethodLoggingLevel.ERROR,
            # It would log bodies.
            data_trace_enabled=False,
            metrics_enabled=True,
            tracing_enabled=True,
            throttling_rate_limit=throttle.rate,
            throttling_burst_limit=throttle.burst,
        ),
    )
    resource = api.node.default_child
    assert isinstance(resource, apigateway.CfnRestApi)  # noqa: S101  (for the type checker)
    resource.security_policy = _TLS
    resource.endpoint_access_mode = "BASIC"
    api.node.try_remove_child("Endpoint")  # outputs are the stack's business
    execution_log(scope, api, STAGE, posture=posture, key=key)
    tell_problems(api)
    return api


def request_model(scope: Construct, api: apigateway.RestApi, schema: Mapping[str, Any]) -> apigateway.IModel:
    """Create the model by which the gateway checks requests, as far as it can name what is wrong."""
    outlined = outline(schema)
    model = apigateway.CfnModel(
        scope, "Request", rest_api_id=api.rest_api_id, content_type=JSON, schema=outlined
    )
    deployment = api.latest_deployment
    if deployment is not None:
        # What is not part of a deployment's id changes the API without ever reaching its callers.
        deployment.node.add_dependency(model)
        deployment.add_to_logical_id({"model": outlined})
    return apigateway.Model.from_model_name(scope, "RequestModel", model.ref)


def usage_plan(scope: Construct, api: apigateway.RestApi, throttle: Throttle) -> apigateway.UsagePlan | None:
    """Create the plan that counts the calls of each consumer, if there is a quota."""
    if throttle.daily_quota is None:
        return None
    return apigateway.UsagePlan(
        scope,
        "UsagePlan",
        description="What one consumer may ask for",
        api_stages=[apigateway.UsagePlanPerApiStage(api=api, stage=api.deployment_stage)],
        quota=apigateway.QuotaSettings(limit=throttle.daily_quota, period=apigateway.Period.DAY),
        throttle=apigateway.ThrottleSettings(rate_limit=throttle.rate, burst_limit=throttle.burst),
    )
