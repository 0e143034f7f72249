"""What the rules on access leave alone, and what they find across resources, policies and templates."""

from pathlib import Path
from typing import Any

import pytest

from ml_lens.rules.engine import judge
from ml_lens.rules.options import Options
from tests.rules.apps import read
from tests.rules.cases.access import (
    ACCOUNT,
    ENDPOINT,
    GUARDS,
    SAGEMAKER,
    allow,
    bucket,
    function,
    objects,
    of_aws,
    policy,
    service,
    trusting,
)
from tests.rules.fixtures import Body, said, template, told

EVERYTHING = allow("*", "*")
LEAST, SCOPED, PHASES = "SEC01-LeastPrivilege", "SEC01-InvokeEndpointScoped", "SEC01-PhaseSeparation"
API, URLS = "SEC01-InferenceApiAuthorized", "SEC01-NotebookUrlFromVpcOnly"
GUARDRAILS, UPLOADER = "SEC02-JobCreationGuardrails", "SEC02-WriteOnlyUploader"
IN_VPC, PIPELINE = "SEC03-InferenceLambdaInVpc", "REL02-OnlyPipelineDeploys"


def found(rule: str, resources: dict[str, Any]) -> list[str]:
    """What a rule finds, as ``resource`` or ``resource[aspect]``."""
    return [
        f"{where}[{aspect}]" if aspect else where
        for aspect, _, where in told(said(rule, template(resources), {}))
    ]


def deny(action: Any, resource: Any = "*", **others: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": action, "Resource": resource, **others}


def managed(*statements: dict[str, Any], **properties: Any) -> dict[str, Any]:
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    return {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": document, **properties}}


def arn_of(resource: str) -> dict[str, Any]:
    return {"Fn::GetAtt": [resource, "Arn"]}


PEOPLE = {"AWS": f"{ACCOUNT}:root"}


# Least privilege


@pytest.mark.parametrize("name", ["AdministratorAccess", "PowerUserAccess"])
def test_an_administrator_outside_machine_learning_is_left_alone(name: str) -> None:
    admin = service("codebuild", ManagedPolicyArns=[of_aws(name)])
    assert found(LEAST, {"Role": admin}) == []
    assert found(LEAST, {"Role": admin, "P": policy("Role", allow("sagemaker:ListModels", "*"))}) == [
        "Role[managedPolicy]"
    ]


def test_full_access_is_reported_on_any_role() -> None:
    role = service("lambda", ManagedPolicyArns=[of_aws("AmazonSageMakerFullAccess")])
    assert found(LEAST, {"Role": role}) == ["Role[managedPolicy]"]


@pytest.mark.parametrize(
    "arn",
    [
        of_aws("AmazonSageMakerReadOnly"),
        f"{ACCOUNT}:policy/AmazonSageMakerFullAccess",
        {"Ref": "NobodyKnows"},
        {"Fn::ImportValue": "policy"},
    ],
)
def test_other_managed_policies_are_left_alone(arn: Any) -> None:
    assert found(LEAST, {"Role": service("sagemaker", ManagedPolicyArns=[arn])}) == []


def test_what_a_role_outside_machine_learning_passes_is_left_alone() -> None:
    passes = policy("Role", allow("iam:PassRole", "*"))
    assert found(LEAST, {"Role": service("codepipeline"), "P": passes}) == []
    assert found(LEAST, {"Role": service("sagemaker"), "P": passes}) == ["P[passRole]"]


def test_a_policy_is_judged_by_the_role_that_another_policy_makes_one_of_machine_learning() -> None:
    resources = {
        "Role": service("lambda"),
        "Rights": managed(allow("iam:PassRole", f"{ACCOUNT}:role/x"), Roles=[{"Ref": "Role"}]),
    }
    assert found(LEAST, resources) == []
    learning = {**resources, "Learning": policy("Role", allow("sagemaker:DescribeModel", "*"))}
    assert found(LEAST, learning) == ["Rights[passRole]"]


def test_a_user_and_a_permission_set_are_judged_like_roles() -> None:
    rights = {"Statement": [allow("sagemaker:*", "*")]}
    user = {
        "Type": "AWS::IAM::User",
        "Properties": {"Policies": [{"PolicyName": "p", "PolicyDocument": rights}]},
    }
    people = {
        "Type": "AWS::SSO::PermissionSet",
        "Properties": {"InlinePolicy": rights, "ManagedPolicies": [of_aws("AmazonSageMakerFullAccess")]},
    }
    assert found(LEAST, {"User": user}) == ["User[wildcardAction]"]
    assert found(LEAST, {"People": people}) == ["People[managedPolicy]", "People[wildcardAction]"]


def test_a_boundary_is_not_judged_until_somebody_has_it_as_a_policy() -> None:
    whole = managed(allow("sagemaker:*", "*"))
    limit = {"Limit": whole, "Role": service("sagemaker", PermissionsBoundary={"Ref": "Limit"})}
    assert [found(rule, limit) for rule in (LEAST, SCOPED, URLS)] == [[], [], []]
    limit["Role"]["Properties"]["ManagedPolicyArns"] = [{"Ref": "Limit"}]
    assert found(LEAST, limit) == ["Limit[wildcardAction]"]


@pytest.mark.parametrize(
    "statement", [EVERYTHING, {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}]
)
def test_a_wildcard_for_everything_is_told_once(statement: dict[str, Any]) -> None:
    resources = {
        "Role": trusting(PEOPLE),
        "P": policy("Role", statement),
        "Raw": bucket("temporary-raw"),
        "Models": bucket("model-artifacts"),
        "Data": bucket("training-data"),
    }
    assert found(LEAST, resources) == ["P[wildcardAction]"]
    assert [found(rule, resources) for rule in (SCOPED, URLS, GUARDRAILS, PHASES, UPLOADER)] == [[]] * 5


def test_a_statement_for_everything_that_leaves_creation_out_is_no_wildcard_but_invokes() -> None:
    apart = {"Effect": "Allow", "NotAction": "sagemaker:Create*", "Resource": "*"}
    resources = {"Role": service("lambda"), "P": policy("Role", apart)}
    assert found(LEAST, resources) == []
    assert found(SCOPED, resources) == ["P"]


def test_what_the_cdk_writes_for_a_state_machine_that_waits_for_training_is_left_alone() -> None:
    resources = {
        "Job": service("sagemaker"),
        "Role": service("states"),
        "RoleDefaultPolicy": policy(
            "Role",
            allow(
                ["sagemaker:CreateTrainingJob", "sagemaker:DescribeTrainingJob", "sagemaker:StopTrainingJob"],
                {
                    "Fn::Sub": "arn:${AWS::Partition}:sagemaker:${AWS::Region}:${AWS::AccountId}:training-job/*"
                },
            ),
            allow("sagemaker:ListTags", "*"),
            allow(
                "iam:PassRole",
                arn_of("Job"),
                Condition={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
            ),
            allow(["events:PutTargets", "events:PutRule", "events:DescribeRule"], "*"),
        ),
    }
    for rule in (LEAST, SCOPED, PHASES, URLS, GUARDRAILS, UPLOADER, PIPELINE):
        assert found(rule, resources) == [], rule


# Invocations


def test_a_tag_narrows_the_endpoints_unless_it_may_be_missing() -> None:
    def tagged(operator: str) -> dict[str, Any]:
        condition = {operator: {"aws:ResourceTag/project": "churn"}}
        rights = policy("Role", allow("sagemaker:InvokeEndpoint", "*", Condition=condition))
        return {"Role": service("lambda"), "P": rights}

    assert found(SCOPED, tagged("StringEquals")) == []
    assert found(SCOPED, tagged("StringEqualsIfExists")) == ["P"]


def test_a_denial_of_every_endpoint_is_no_finding() -> None:
    resources = {"Role": service("lambda"), "P": policy("Role", deny("sagemaker:InvokeEndpoint"))}
    assert found(SCOPED, resources) == []


# Phases


def phases(role: dict[str, Any], *statements: dict[str, Any], **others: Any) -> list[str]:
    resources = {
        "Churn": ENDPOINT,
        "Data": bucket("training-data"),
        "Models": bucket("model-artifacts"),
        "Role": role,
        "P": policy("Role", *statements),
        **others,
    }
    return found(PHASES, resources)


WRITES_MODELS = allow("s3:PutObject", objects("Models"))
DEPLOYS = allow("sagemaker:UpdateEndpoint", {"Ref": "Churn"})


def trains(role: str) -> dict[str, Any]:
    request = {"RoleArn": arn_of(role), "TrainingJobName": "churn"}
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sagemaker:createTrainingJob",
        "Parameters": request,
        "End": True,
    }
    definition = Body({"StartAt": "Train", "States": {"Train": task}})
    machine = {"DefinitionString": definition, "RoleArn": arn_of("Machine")}
    return {"Type": "AWS::StepFunctions::StateMachine", "Properties": machine}


CUSTOM = {"Type": "Custom::CDKBucketDeployment", "Properties": {"ServiceToken": arn_of("Function")}}
PROVIDED = {
    "Custom": {
        "Type": "AWS::CloudFormation::CustomResource",
        "Properties": {"ServiceToken": arn_of("Frame")},
    },
    "FrameRole": service("lambda"),
    "Frame": {
        **function("FrameRole"),
        "Properties": {
            "Role": arn_of("FrameRole"),
            "Environment": {"Variables": {"USER_ON_EVENT_FUNCTION_ARN": arn_of("Function")}},
        },
    },
    "Function": function("Role"),
}
BUILD = {"Type": "AWS::CodeBuild::Project", "Properties": {"ServiceRole": arn_of("Role")}}
ACTION = {
    "Type": "AWS::CodePipeline::Pipeline",
    "Properties": {"RoleArn": "other", "Stages": [{"Actions": [{"RoleArn": arn_of("Role")}]}]},
}


@pytest.mark.parametrize(
    "others",
    [
        {"Machine": service("states"), "Training": trains("Role")},
        {"Machine": service("states"), "Training": {**trains("Machine")}, "Q": policy("Role", DEPLOYS)},
        {"Build": BUILD},
        {"Pipeline": ACTION},
        {"Custom": CUSTOM, "Function": function("Role")},
        PROVIDED,
        {},
    ],
    ids=["job", "other job", "build", "action", "custom resource", "provider of the CDK", "nothing"],
)
def test_models_are_written_by_jobs_pipelines_and_deployments_only(others: dict[str, Any]) -> None:
    writes = others and "Q" not in others
    assert phases(service("lambda"), WRITES_MODELS, **others) == ([] if writes else ["P[modelWrite]"])


@pytest.mark.parametrize(
    "job",
    [
        "CreateTrainingJob",
        "CreateHyperParameterTuningJob",
        "CreateProcessingJob",
        "CreateAutoMLJobV2",
    ],
)
def test_who_may_start_jobs_may_write_models(job: str) -> None:
    assert phases(service("lambda"), WRITES_MODELS, allow(f"sagemaker:{job}", f"{SAGEMAKER}:*/churn")) == []


def test_a_denial_of_the_bucket_takes_the_right_away() -> None:
    assert phases(service("lambda"), WRITES_MODELS, deny("s3:Put*", objects("Models"))) == []
    assert phases(service("lambda"), WRITES_MODELS, deny("s3:Put*", objects("Models", "old/*"))) == [
        "P[modelWrite]"
    ]


def test_a_right_that_the_bucket_gives_a_role_counts_as_the_roles_own() -> None:
    given = {
        "Type": "AWS::S3::BucketPolicy",
        "Properties": {
            "Bucket": {"Ref": "Data"},
            "PolicyDocument": {
                "Statement": [allow("s3:GetObject", objects("Data"), Principal={"AWS": arn_of("Role")})]
            },
        },
    }
    assert phases(service("states"), DEPLOYS, Given=given) == ["Given[trainingData]"]
    assert phases(service("states"), allow("sagemaker:ListModels", "*"), Given=given) == []


def test_in_a_shared_bucket_only_the_prefix_that_is_used_counts() -> None:
    def shared(prefix: str) -> list[str]:
        resources = {
            "Churn": ENDPOINT,
            "Shared": {"Type": "AWS::S3::Bucket"},
            "Features": {
                "Type": "AWS::SageMaker::FeatureGroup",
                "Properties": {
                    "OfflineStoreConfig": {"S3StorageConfig": {"S3Uri": {"Fn::Sub": "s3://${Shared}/data"}}}
                },
            },
            "Model": {
                "Type": "AWS::SageMaker::Model",
                "Properties": {
                    "PrimaryContainer": {"ModelDataUrl": {"Fn::Sub": "s3://${Shared}/models/m.tgz"}}
                },
            },
            "Role": service("states"),
            "P": policy("Role", DEPLOYS, allow("s3:GetObject", objects("Shared", prefix))),
        }
        return found(PHASES, resources)

    assert shared("models/*") == []
    assert shared("*") == ["P[trainingData]"]
    assert shared("data/*") == ["P[trainingData]"]


# The way in


def apis(**resources: Any) -> list[str]:
    base = {
        "Churn": ENDPOINT,
        "FrontRole": service("lambda"),
        "Rights": policy("FrontRole", allow("sagemaker:InvokeEndpoint", {"Ref": "Churn"})),
        "Front": function("FrontRole"),
        "OtherRole": service("lambda"),
        "Other": function("OtherRole"),
    }
    return found(API, {**base, **resources})


def url(target: Any) -> dict[str, Any]:
    return {"Type": "AWS::Lambda::Url", "Properties": {"AuthType": "NONE", "TargetFunctionArn": target}}


def test_an_address_of_an_alias_reaches_the_function_behind_it() -> None:
    alias = {"Type": "AWS::Lambda::Alias", "Properties": {"FunctionName": {"Ref": "Front"}, "Name": "live"}}
    assert apis(Alias=alias, Url=url({"Ref": "Alias"})) == ["Url"]
    assert apis(Url=url(arn_of("Other"))) == []


def test_a_function_is_found_by_its_name_in_the_address_of_an_integration() -> None:
    def method(name: str, verb: str = "POST") -> dict[str, Any]:
        uri = (
            "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/"
            f"arn:aws:lambda:eu-west-1:123456789012:function:{name}/invocations"
        )
        properties = {"HttpMethod": verb, "AuthorizationType": "NONE", "Integration": {"Uri": uri}}
        return {"Type": "AWS::ApiGateway::Method", "Properties": properties}

    named = function("FrontRole")
    named["Properties"]["FunctionName"] = "front"
    assert apis(Front=named, Method=method("front")) == ["Method"]
    assert apis(Front=named, Method=method("back")) == []
    assert apis(Front=named, Method=method("front", "OPTIONS")) == []


def test_only_the_connection_of_a_web_socket_can_authorize() -> None:
    def socket(**connect: Any) -> list[str]:
        routes: dict[str, Any] = {"Ask": ("$default", "FrontIntegration", {})}
        if connect:
            routes["Connect"] = ("$connect", "OtherIntegration", connect)
        return apis(
            Socket={"Type": "AWS::ApiGatewayV2::Api", "Properties": {"ProtocolType": "WEBSOCKET"}},
            **{
                f"{name}Integration": {
                    "Type": "AWS::ApiGatewayV2::Integration",
                    "Properties": {"IntegrationUri": arn_of(name)},
                }
                for name in ("Front", "Other")
            },
            **{
                name: {
                    "Type": "AWS::ApiGatewayV2::Route",
                    "Properties": {
                        "ApiId": {"Ref": "Socket"},
                        "RouteKey": key,
                        "Target": {"Fn::Sub": f"integrations/${{{integration}}}"},
                        **properties,
                    },
                }
                for name, (key, integration, properties) in routes.items()
            },
        )

    assert socket(AuthorizationType="AWS_IAM") == []
    assert socket(AuthorizationType="NONE") == ["Connect"]
    assert socket() == ["Ask"]


@pytest.mark.parametrize(
    ("key", "named"), [("OPTIONS /x", []), ("POST /x", ["Route"]), ("ANY /x", ["Route"])]
)
def test_a_route_for_preflights_needs_nobody_to_be_known(key: str, named: list[str]) -> None:
    integration = {
        "Type": "AWS::ApiGatewayV2::Integration",
        "Properties": {"IntegrationUri": arn_of("Front")},
    }
    properties = {"RouteKey": key, "Target": {"Fn::Sub": "integrations/${Integration}"}}
    route = {"Type": "AWS::ApiGatewayV2::Route", "Properties": properties}
    assert apis(Integration=integration, Route=route) == named


def test_a_function_of_a_custom_resource_needs_no_network() -> None:
    resources = {
        "Role": service("lambda"),
        "P": policy("Role", allow("sagemaker:InvokeEndpoint", {"Ref": "Churn"})),
        "Churn": ENDPOINT,
        "Function": function("Role"),
    }
    assert found(IN_VPC, resources) == ["Function"]
    assert found(IN_VPC, {**resources, "Custom": CUSTOM}) == []


# Addresses of notebooks

OPENS = allow("sagemaker:CreatePresignedNotebookInstanceUrl", f"{SAGEMAKER}:notebook-instance/lab")
ELSEWHERE = {"StringNotEquals": {"aws:SourceVpc": "vpc-1"}, "Bool": {"aws:ViaAWSService": "false"}}


@pytest.mark.parametrize(
    ("denial", "silent"),
    [
        (deny("sagemaker:CreatePresigned*", Condition=ELSEWHERE), True),
        (deny("sagemaker:*", f"{SAGEMAKER}:notebook-instance/lab", Condition=ELSEWHERE), True),
        (deny("*", Condition={"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}}), True),
        (deny("sagemaker:CreatePresignedDomainUrl", Condition=ELSEWHERE), False),
        (deny("*", f"{SAGEMAKER}:notebook-instance/other", Condition=ELSEWHERE), False),
        (deny("*", Condition={**ELSEWHERE, "StringEquals": {"aws:PrincipalTag/a": "b"}}), False),
        (deny("*", Condition={"StringEquals": {"aws:SourceVpc": "vpc-1"}}), False),
    ],
)
def test_a_denial_for_other_places_in_another_policy_guards_the_addresses(
    denial: dict[str, Any], silent: bool
) -> None:
    resources = {"Role": trusting(PEOPLE), "P": policy("Role", OPENS), "Denial": policy("Role", denial)}
    assert found(URLS, resources) == ([] if silent else ["P"])


def test_every_role_that_has_the_statement_needs_the_denial() -> None:
    shared = managed(OPENS, Roles=[{"Ref": "Role"}, {"Ref": "Second"}])
    resources = {
        "Role": trusting(PEOPLE),
        "Second": trusting(PEOPLE),
        "P": shared,
        "Denial": policy("Role", deny("*", Condition=ELSEWHERE)),
    }
    assert found(URLS, resources) == ["P"]
    resources["Denial"]["Properties"]["Roles"].append({"Ref": "Second"})
    assert found(URLS, resources) == []


# Jobs of people

STARTS = allow("sagemaker:CreateTrainingJob", "*")
ALL_GUARDS = ["P[vpc]", "P[kms]", "P[interContainer]"]


def started(role: dict[str, Any], *statements: dict[str, Any], **others: Any) -> list[str]:
    return found(GUARDRAILS, {"Role": role, "P": policy("Role", *statements), **others})


def in_studio(kind: str, settings: str) -> dict[str, Any]:
    return {"Type": f"AWS::SageMaker::{kind}", "Properties": {settings: {"ExecutionRole": arn_of("Role")}}}


@pytest.mark.parametrize(
    "workplace",
    [
        in_studio("Domain", "DefaultUserSettings"),
        in_studio("Domain", "DefaultSpaceSettings"),
        in_studio("UserProfile", "UserSettings"),
        {"Type": "AWS::SageMaker::NotebookInstance", "Properties": {"RoleArn": arn_of("Role")}},
    ],
)
def test_people_work_where_notebooks_and_studio_give_them_a_role(workplace: dict[str, Any]) -> None:
    assert sorted(started(service("sagemaker"), STARTS, Workplace=workplace)) == sorted(ALL_GUARDS)
    assert started(service("sagemaker"), STARTS) == []


@pytest.mark.parametrize(
    "principal",
    [PEOPLE, {"Federated": f"{ACCOUNT}:saml-provider/x"}, {"Federated": f"{ACCOUNT}:oidc-provider/x"}],
)
def test_people_are_accounts_and_providers(principal: Any) -> None:
    assert sorted(started(trusting(principal), STARTS)) == sorted(ALL_GUARDS)


@pytest.mark.parametrize(
    ("role", "people"),
    [
        ("arn:aws:iam::111122223333:role/StackSetAdministration", False),
        ("arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Scientist_0123", True),
    ],
)
def test_a_role_of_another_account_is_a_machine_unless_single_sign_on_made_it(
    role: str, people: bool
) -> None:
    assert bool(started(trusting({"AWS": role}), STARTS)) is people


def test_machines_start_jobs_without_guards() -> None:
    assert started(service("states"), STARTS) == []


def denied(operator: str, key: str, wanted: Any, **others: Any) -> dict[str, Any]:
    return deny("sagemaker:Create*", Condition={operator: {f"sagemaker:{key}": wanted}, **others})


@pytest.mark.parametrize(
    ("denial", "left"),
    [
        (denied("Null", "VpcSubnets", "true"), ["P[kms]", "P[interContainer]"]),
        (denied("Null", "volumekmskey", True), ["P[vpc]", "P[interContainer]"]),
        (
            denied("StringNotEquals", "VolumeKmsKey", "arn:aws:kms:eu-west-1:1:key/x"),
            ["P[vpc]", "P[interContainer]"],
        ),
        (denied("Bool", "InterContainerTrafficEncryption", "false"), ["P[vpc]", "P[kms]"]),
        (denied("BoolIfExists", "InterContainerTrafficEncryption", False), ["P[vpc]", "P[kms]"]),
        (denied("Bool", "InterContainerTrafficEncryption", "true"), ALL_GUARDS),
        (denied("Null", "VpcSubnets", "false"), ALL_GUARDS),
        (denied("ForAnyValue:StringNotEquals", "VpcSubnets", "subnet-1"), ALL_GUARDS),
        (denied("Null", "VpcSubnets", "true", Bool={"aws:MultiFactorAuthPresent": "false"}), ALL_GUARDS),
        (
            deny("sagemaker:CreateModel", Condition={"Null": {"sagemaker:VpcSubnets": "true"}}),
            ALL_GUARDS,
        ),
        (
            deny("*", f"{SAGEMAKER}:training-job/x", Condition={"Null": {"sagemaker:VpcSubnets": "true"}}),
            ALL_GUARDS,
        ),
        (
            deny(
                "*",
                "arn:aws:sagemaker:*:*:training-job/*",
                Condition={"Null": {"sagemaker:VpcSubnets": "true"}},
            ),
            ["P[kms]", "P[interContainer]"],
        ),
    ],
)
def test_a_denial_guards_what_it_refuses_in_every_case(denial: dict[str, Any], left: list[str]) -> None:
    assert sorted(started(trusting(PEOPLE), STARTS, D=policy("Role", denial))) == sorted(left)


def test_a_denial_in_the_boundary_guards_too() -> None:
    limit = managed(EVERYTHING, denied("Null", "VpcSubnets", "true"))
    role = trusting(PEOPLE, PermissionsBoundary={"Ref": "Limit"})
    assert sorted(started(role, STARTS, Limit=limit)) == ["P[interContainer]", "P[kms]"]


@pytest.mark.parametrize(
    ("api", "left"), [("CreateTransformJob", ["P[kms]"]), ("CreateModel", ["P[vpc]"]), ("CreateEndpoint", [])]
)
def test_only_what_a_call_has_is_asked_for(api: str, left: list[str]) -> None:
    assert started(trusting(PEOPLE), allow(f"sagemaker:{api}", "*")) == left


def test_guards_on_one_statement_do_not_guard_another() -> None:
    guarded = allow("sagemaker:CreateTrainingJob", "*", Condition=GUARDS)
    assert started(trusting(PEOPLE), guarded) == []
    assert sorted(started(trusting(PEOPLE), guarded, STARTS)) == sorted(ALL_GUARDS)


# Raw data


def raw(*statements: dict[str, Any], **others: Any) -> list[str]:
    resources = {
        "Raw": bucket("temporary-raw"),
        "Plain": {"Type": "AWS::S3::Bucket"},
        "Role": service("lambda"),
        "P": policy("Role", *statements),
        **others,
    }
    return found(UPLOADER, resources)


def test_reading_and_writing_other_buckets_is_no_concern() -> None:
    assert raw(allow(["s3:GetObject", "s3:PutObject"], objects("Plain"))) == []
    assert raw(allow("s3:GetObject", objects("Raw")), allow("s3:PutObject", objects("Plain"))) == []


def test_deletion_alone_and_writing_with_deletion_are_left_alone() -> None:
    assert raw(allow("s3:DeleteObject*", objects("Raw"))) == []
    assert raw(allow(["s3:PutObject", "s3:DeleteObject"], objects("Raw"))) == []


def test_rights_in_two_policies_add_up() -> None:
    other = policy("Role", allow("s3:PutObject", "*"))
    assert raw(allow("s3:GetObject", objects("Raw")), Other=other) == ["Other"]


def test_a_denial_takes_the_right_to_read_away() -> None:
    rights = allow(["s3:GetObject", "s3:PutObject"], objects("Raw"))
    assert raw(rights) == ["P"]
    assert raw(rights, deny(["s3:GetObject", "s3:GetObjectVersion"], objects("Raw"))) == []


def test_the_policy_of_the_bucket_counts() -> None:
    def given(principal: Any) -> dict[str, Any]:
        statement = allow("s3:GetObject", objects("Raw"), Principal=principal)
        return {
            "Type": "AWS::S3::BucketPolicy",
            "Properties": {"Bucket": {"Ref": "Raw"}, "PolicyDocument": {"Statement": [statement]}},
        }

    writes = allow("s3:PutObject", objects("Raw"))
    assert raw(writes, Given=given({"AWS": arn_of("Role")})) == ["P"]
    assert raw(writes, Given=given({"AWS": f"{ACCOUNT}:role/other"})) == []


# Deployments


def deployers(principal: Any, **others: Any) -> list[str]:
    resources = {"Churn": ENDPOINT, "Role": trusting(principal), "P": policy("Role", DEPLOYS), **others}
    return [name for name in found(PIPELINE, resources) if name == "Role"]


@pytest.mark.parametrize(
    "name", ["codepipeline", "codebuild", "cloudformation", "states", "lambda", "events", "scheduler"]
)
def test_services_of_a_pipeline_deploy(name: str) -> None:
    assert deployers({"Service": f"{name}.amazonaws.com"}) == []
    assert deployers({"Service": {"Fn::Sub": f"{name}.${{AWS::URLSuffix}}"}}) == []


def test_a_build_service_deploys_by_its_provider() -> None:
    github = f"{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
    own = {
        "Type": "AWS::IAM::OIDCProvider",
        "Properties": {"Url": "https://token.actions.githubusercontent.com"},
    }
    assert deployers({"Federated": github}) == []
    assert deployers({"Federated": arn_of("Own")}, Own=own) == []
    assert deployers({"Federated": f"{ACCOUNT}:oidc-provider/login.example.com"}) == ["Role"]


def test_sagemaker_deploys_with_the_role_of_a_pipeline_in_which_nobody_works() -> None:
    principal = {"Service": "sagemaker.amazonaws.com"}
    pipeline = {"Type": "AWS::SageMaker::Pipeline", "Properties": {"RoleArn": arn_of("Role")}}
    notebook = {"Type": "AWS::SageMaker::NotebookInstance", "Properties": {"RoleArn": arn_of("Role")}}
    assert deployers(principal) == ["Role"]
    assert deployers(principal, Pipeline=pipeline) == []
    assert deployers(principal, Pipeline=pipeline, Notebook=notebook) == ["Role"]


def test_a_role_that_takes_the_role_is_judged_by_who_may_take_it() -> None:
    taken = {"AWS": arn_of("Other")}
    assert deployers(taken, Other=service("codebuild")) == []
    assert deployers(taken, Other=trusting(PEOPLE)) == ["Role"]
    assert deployers(taken, Other=trusting({"AWS": arn_of("Role")})) == []


def test_the_role_of_an_action_of_a_pipeline_deploys_though_it_trusts_the_account() -> None:
    assert deployers(PEOPLE) == ["Role"]
    assert deployers(PEOPLE, Pipeline=ACTION) == []
    notebook = {"Type": "AWS::SageMaker::NotebookInstance", "Properties": {"RoleArn": arn_of("Role")}}
    assert deployers(PEOPLE, Pipeline=ACTION, Notebook=notebook) == ["Role"]


@pytest.mark.parametrize(
    ("declared", "named"), [("deployment", []), ("break-glass", []), ("cleanup", ["Role"])]
)
def test_a_role_that_says_what_it_is_for_is_believed(declared: str, named: list[str]) -> None:
    role = {**trusting(PEOPLE), "Metadata": {"MLLens": {"Role": declared}}}
    assert deployers(PEOPLE, Role=role) == named


# Several templates


def test_a_policy_in_another_stack_is_judged_with_the_role_that_it_names() -> None:
    name = {
        "Fn::Select": [
            1,
            {"Fn::Split": ["/", {"Fn::Select": [5, {"Fn::Split": [":", {"Fn::ImportValue": "role"}]}]}]},
        ]
    }
    exported = {"Arn": {"Value": arn_of("Role"), "Export": {"Name": "role"}}}
    rights = {**policy("Role", allow("iam:PassRole", "*"))}
    rights["Properties"]["Roles"] = [name]
    roles = read("Roles", {"Resources": {"Role": service("sagemaker")}, "Outputs": exported})
    policies = read("Policies", {"Resources": {"P": rights}})
    everything = judge([roles, policies], Options.of())
    findings = [each for each in everything if each.id.startswith(f"MLLens-{LEAST}")]
    assert [(each.resource, each.finding, each.source) for each in findings] == [
        ("P", "passRole", Path("app/Policies.template.json"))
    ]


def test_many_conditions_in_one_policy_still_find_what_is_wrong() -> None:
    statements = [
        {"Fn::If": [f"C{number}", allow("sagemaker:ListModels", "*"), allow("s3:GetObject", "*")]}
        for number in range(12)
    ]
    body = template(
        {"Role": service("sagemaker"), "P": policy("Role", *statements, allow("sagemaker:*", "*"))},
        Conditions={f"C{number}": {"Fn::Equals": ["a", "b"]} for number in range(12)},
    )
    assert told(said(LEAST, body, {})) == [("wildcardAction", "error", "P")]
