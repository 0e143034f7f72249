"""Predictions over HTTPS, for those who know nothing of models."""

import json
from collections.abc import Mapping
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_wafv2 as waf
from constructs import Construct

from ml_lens.assets import function_code
from ml_lens.foundation.acknowledgements import acknowledge
from ml_lens.foundation.function_networks import FunctionNetwork
from ml_lens.foundation.functions import PythonFunction
from ml_lens.foundation.keys import customer_key, let_log_groups_use
from ml_lens.foundation.network import AwsService, MlNetwork
from ml_lens.foundation.posture import Posture
from ml_lens.foundation.props import PropError, checked_props
from ml_lens.hosting.api_access import ApiAccess, ApiReach, Throttle, method_access
from ml_lens.hosting.api_gateway import JSON, PATH, request_model, rest_api, usage_plan
from ml_lens.hosting.api_logs import account_logging
from ml_lens.hosting.api_options import ApiOptions
from ml_lens.hosting.api_schema import check_schema, packed
from ml_lens.hosting.api_watch import ApiMetrics, api_alarms
from ml_lens.hosting.hosted_model import HostedModel

_SERVICE = "inference_api"
_MEMORY_MIB = 512


class InferenceApi(Construct):
    """Answers ``POST /predictions`` to those who may ask, and shields them from how models are hosted (figure 14).

    A REST API checks who calls, how often and with what; a function in the private network calls the endpoint. Every
    answer tells the model's version, the variant and an inference id. Everything else is a problem as RFC 9457 writes
    it: 400 with the field that is wrong, 401, 403, 413, 415, 422, 429 and 503 with ``Retry-After``, 500. Nothing of
    the account shows in one. Logs tell of calls, never of bodies or addresses; of an IAM caller they keep the
    principal id, which ends in the name of the role session: call sessions after programs, not people.

    The gateway checks that fields are there and known, the function everything in ``request_schema``, as the gateway
    does not name a field whose value is wrong.

    Lens: CHG-16, F14-01, F14-02, F14-03, F14-04, F14-05, F14-06, F14-07, F14-08, F14-09, F14-10, HST-06, HST-07,
    HST-08, IAM-05, IAM-06, IAM-07, IAM-08, IAM-09, INF-01.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        posture: Posture,
        model: HostedModel,
        network: MlNetwork,
        request_schema: Mapping[str, Any],
        access: ApiAccess | None = None,
        throttle: Throttle | None = None,
        options: ApiOptions | None = None,
    ) -> None:
        """Create API, function and what watches them.

        Args:
            scope: Where the API belongs.
            id: Its construct id.
            posture: Decides how long logs are kept.
            model: The model that answers.
            network: Where the function runs; it gets the endpoint for the SageMaker runtime.
            request_schema: What a request looks like, as JSON Schema of draft 4. Of its keywords those are allowed
                that are checked: no references, no ``anyOf``, no ``format``.
            access: Who may call. Default: ``ApiAccess.iam()``, those whose role :meth:`grant_invoke` was given.
            throttle: How often. Default: ``Throttle()``.
            options: What few need otherwise. Default: ``ApiOptions()``.

        Raises:
            PropError: A part of ``request_schema`` cannot be checked, or a number, id or range is none.
        """
        access, throttle, options = access or ApiAccess.iam(), throttle or Throttle(), options or ApiOptions()
        with checked_props(self, id) as props:
            check_schema(props, request_schema)
            access.check(props)
            throttle.check(props)
            options.check(props)
        super().__init__(scope, id)
        self._access = access
        self.key = customer_key(self, "Key", posture=posture, purpose="logs of an API")
        let_log_groups_use(self.key)
        self.function = self._function(posture, model, network, request_schema, options)
        """Calls the endpoint."""
        self.api = rest_api(
            self,
            posture=posture,
            key=self.key,
            access=access,
            reach=options.reach or ApiReach(),
            throttle=throttle,
        )
        """The API itself."""
        self._method = self._post(request_schema, throttle, options)
        self.url = self.api.url_for_path(f"/{PATH}")
        """Where to POST."""
        self._plan = usage_plan(self, self.api, throttle)
        if options.account_logging:
            account_logging(self, self.api, posture=posture)
        if options.web_acl_arn:
            waf.CfnWebACLAssociation(
                self,
                "WebAcl",
                resource_arn=self.api.deployment_stage.stage_arn,
                web_acl_arn=options.web_acl_arn,
            )
        self._acknowledge(options)
        self._metrics = ApiMetrics(api=self.api, service=_SERVICE, endpoint_name=model.endpoint_name)
        slow = Duration.seconds(max(1, options.seconds // 2))
        self.alarms = [*api_alarms(self, self._metrics, slow=slow), *self.function.alarms]
        """Tell of failing, late, refused and throttled calls, and of an endpoint that is away."""

    def grant_invoke(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a role ask for predictions, and do nothing else (Lens: IAM-05, IAM-06).

        A role of another account needs the same right there, and its account in ``ApiAccess.iam(accounts=…)``.

        Raises:
            PropError: Callers show tokens of a user pool, which are given scopes there.
        """
        if self._access.user_pool is not None:
            raise PropError(
                self.node.path,
                [
                    "access: callers show tokens of a user pool; give their app client one of the scopes instead"
                ],
            )
        return iam.Grant.add_to_principal(
            grantee=grantee, actions=["execute-api:Invoke"], resource_arns=[self._method.method_arn]
        )

    def consumer_key(self, id: str) -> apigateway.IApiKey:
        """Create the key ``id`` of one consumer, whose calls of a day then count towards the quota.

        The key counts, and proves nothing: who may call is what ``access`` says.

        Raises:
            PropError: There is no quota, and so no use for keys.
        """
        if self._plan is None:
            raise PropError(
                self.node.path, ["throttle.daily_quota: is not set, and without one nobody needs a key"]
            )
        key = apigateway.ApiKey(self, id, stages=[self.api.deployment_stage])
        self._plan.add_api_key(key)
        return key

    def metric_calls(self) -> cloudwatch.Metric:
        """Calls, sum over one minute."""
        return self._metrics.gateway("Count")

    def metric_latency(self) -> cloudwatch.Metric:
        """Time to answer in milliseconds, 99th percentile over one minute."""
        return self._metrics.gateway("Latency", "p99")

    def metric_server_errors(self) -> cloudwatch.Metric:
        """Calls that failed on this side, sum over one minute."""
        return self._metrics.gateway("5XXError")

    def metric_predictions(self) -> cloudwatch.Metric:
        """Predictions made, sum over one minute."""
        return self._metrics.function("Predictions")

    def metric_endpoint_away(self) -> cloudwatch.Metric:
        """Calls for which the endpoint was busy or gone, sum over one minute."""
        return self._metrics.function("EndpointAway")

    def _function(
        self,
        posture: Posture,
        model: HostedModel,
        network: MlNetwork,
        schema: Mapping[str, Any],
        options: ApiOptions,
    ) -> PythonFunction:
        environment = {
            "ENDPOINT_NAME": model.endpoint_name,
            "MODEL_VERSIONS": json.dumps(model.model_versions),
            "REQUEST_SCHEMA": packed(schema),
            "LARGEST_BODY": str(options.bytes),
            "ANSWER_SECONDS": str(options.seconds),
        }
        reaches: list[AwsService] = [ec2.InterfaceVpcEndpointAwsService.SAGEMAKER_RUNTIME]
        if options.outcomes or options.experiment:
            reaches.append(ec2.GatewayVpcEndpointAwsService.DYNAMODB)
        if options.outcomes:
            environment["OUTCOMES_TABLE"] = options.outcomes.table.table_name
            environment["OUTCOMES_DAYS"] = str(options.outcomes.days)
        if options.experiment:
            environment["EXPERIMENT_TABLE"] = options.experiment.table.table_name
        made = PythonFunction(
            self,
            "Function",
            posture=posture,
            code=function_code(_SERVICE),
            log_key=self.key,
            timeout=Duration.seconds(options.seconds),
            memory_mib=_MEMORY_MIB,
            environment=environment,
            network=FunctionNetwork(network=network, reaches=reaches),
        )
        model.grant_invoke(made.role)
        if options.outcomes:
            options.outcomes.grant_record_predictions(made.role)
        if options.experiment:
            options.experiment.grant_read_assignment(made.role)
        return made

    def _post(self, schema: Mapping[str, Any], throttle: Throttle, options: ApiOptions) -> apigateway.Method:
        who = method_access(self, self._access)
        return self.api.root.add_resource(PATH).add_method(
            "POST",
            apigateway.LambdaIntegration(
                self.function.function,
                allow_test_invoke=False,
                timeout=Duration.seconds(options.seconds + 1),
            ),
            authorization_type=who.authorization_type,
            authorizer=who.authorizer,
            authorization_scopes=who.authorization_scopes,
            api_key_required=throttle.daily_quota is not None,
            request_models={JSON: request_model(self, self.api, schema)},
            request_parameters={"method.request.header.x-subject": False},
            request_validator=self.api.add_request_validator(
                "Validator", validate_request_body=True, validate_request_parameters=True
            ),
        )

    def _acknowledge(self, options: ApiOptions) -> None:
        if self._access.user_pool is None:
            acknowledge(
                self._method,
                "AwsSolutions-COG4",
                "Callers sign with IAM roles, and a method takes either signatures or tokens; ApiAccess.cognito() "
                "takes tokens.",
            )
        if options.web_acl_arn is None:
            acknowledge(
                self.api.deployment_stage,
                "AwsSolutions-APIG3",
                "No anonymous call gets past the gateway, and what gets past it is throttled and checked; "
                "ApiOptions(web_acl_arn=…) associates a web ACL, which costs money by the month.",
            )
