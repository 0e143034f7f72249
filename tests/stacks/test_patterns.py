"""The pattern beyond this scenario: other services, other resources beside it, and what it says about itself."""

from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker

from ml_lens.ai_services import (
    Analyser,
    CustomerDemographics,
    FaceThresholds,
    ServiceMetrics,
    UploadAnalysis,
    face_attributes,
)
from ml_lens.foundation import DerivedDataBucket, Posture, TemporaryInputBucket
from tests.stacks.synthesis import PURPOSE, new_app, scenario, templates
from tests.stacks.template import Template

SANDBOX = Posture.sandbox()


def analysis(outdir: Path, analyser: Analyser) -> Template:
    """The pattern with ``analyser`` and nothing else."""
    app = new_app(outdir)
    stack = cdk.Stack(app, "Uploads")
    UploadAnalysis(
        stack,
        "Analysis",
        posture=SANDBOX,
        files=TemporaryInputBucket(stack, "Files", posture=SANDBOX),
        results=DerivedDataBucket(stack, "Results", posture=SANDBOX),
        analyser=analyser,
    )
    return templates(app)["Uploads"]


@pytest.fixture
def transcripts(tmp_path: Path) -> Analyser:
    """An analyser of sound: a function folder of the caller's own."""
    code = tmp_path / "transcribe_calls"
    code.mkdir()
    (code / "transcribe_calls.py").write_text("def handler(event, context):\n    return {}\n")
    return Analyser(
        code=code,
        actions=["transcribe:StartTranscriptionJob"],
        metrics=ServiceMetrics(
            namespace="AWS/Usage",
            successes="CallCount",
            throttles="ThrottleCount",
            dimensions={"Service": "Transcribe", "Resource": "StartTranscriptionJob"},
        ),
        writes_to=["transcripts/"],
    )


@pytest.mark.lens("AIS-06")
def test_swapping_the_service_changes_the_function_its_rights_and_its_alarms_and_nothing_else(
    tmp_path: Path, transcripts: Analyser
) -> None:
    faces = analysis(tmp_path / "faces", face_attributes(FaceThresholds()))
    sound = analysis(tmp_path / "sound", transcripts)
    assert faces.resources().keys() == sound.resources().keys()
    changed = {id for id in faces.resources() if faces.resources()[id] != sound.resources()[id]}
    assert changed == {
        sound.id("AWS::Lambda::Function", "AnalysisAnalyse"),
        sound.id("AWS::IAM::Policy", "AnalysisAnalyseRoleDefaultPolicy"),
        sound.id("AWS::CloudWatch::Alarm", "AnalysisAnalyseErrorsAlarm"),  # both name the function
        sound.id("AWS::CloudWatch::Alarm", "AnalysisAnalyseThrottlesAlarm"),
        sound.id("AWS::CloudWatch::Alarm", "AnalysisQuotaAlarm"),
        sound.id("AWS::CloudWatch::Alarm", "AnalysisServiceThrottlesAlarm"),
    }


@pytest.mark.lens("AIS-06")
def test_another_service_gets_the_rights_it_needs_in_place_of_those_on_faces(
    tmp_path: Path, transcripts: Analyser
) -> None:
    template = analysis(tmp_path / "sound", transcripts)
    role = template.id("AWS::IAM::Role", "AnalysisAnalyseRole")
    assert "transcribe:StartTranscriptionJob" in template.actions(role)
    assert "rekognition:DetectFaces" not in template.actions(role)
    (put,) = (said for said in template.statements(role) if "s3:PutObject" in said.actions)
    assert put.resources == (f"<{template.id('AWS::S3::Bucket', 'Results')}.Arn>/transcripts/*",)


@pytest.mark.lens("AIS-01")
def test_the_service_is_called_and_nothing_is_trained_or_hosted(variant: Template) -> None:
    kinds = {resource["Type"].split("::")[1] for resource in variant.body["Resources"].values()}
    assert not kinds & {"SageMaker", "Rekognition", "Bedrock", "EC2", "ECS", "EKS", "EMR", "Batch"}
    calls = {action for role in variant.resources("AWS::IAM::Role") for action in variant.actions(role)}
    assert {action for action in calls if action.startswith(("rekognition:", "sagemaker:"))} == {
        "rekognition:DetectFaces"
    }


@pytest.mark.lens("AIS-05")
def test_the_call_is_made_by_a_function_that_only_runs_when_there_is_work(variant: Template) -> None:
    role = variant.id("AWS::IAM::Role", "DemographicsAnalysisAnalyseRole")
    function = variant.id("AWS::Lambda::Function", "DemographicsAnalysisAnalyse")
    assert variant.resources("AWS::Lambda::Function")[function]["Role"] == {"Fn::GetAtt": [role, "Arn"]}
    assert "rekognition:DetectFaces" in variant.actions(role)
    sources = variant.resources("AWS::Lambda::EventSourceMapping").values()
    assert {"Ref": function} in [source["FunctionName"] for source in sources]
    assert not any("ProvisionedPollerConfig" in source for source in sources)
    assert not variant.resources(
        "AWS::Lambda::Version", "AWS::Lambda::Alias"
    )  # what provisioned concurrency needs
    assert not variant.resources("AWS::Scheduler::Schedule")
    assert "ScheduleExpression" not in variant.only("AWS::Events::Rule")


def tags(properties: Any) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in properties.get("Tags", [])}


@pytest.mark.lens("AIS-07")
@pytest.mark.parametrize(
    "type",
    [
        "AWS::S3::Bucket",
        "AWS::KMS::Key",
        "AWS::SQS::Queue",
        "AWS::Lambda::Function",
        "AWS::Logs::LogGroup",
        "AWS::IAM::Role",
        "AWS::Events::Rule",
        "AWS::Athena::WorkGroup",
        "AWS::CloudTrail::Trail",
    ],
)
def test_the_lawful_purpose_stands_on_every_resource_that_can_bear_a_tag(
    variant: Template, type: str
) -> None:
    found = {id: tags(p) for id, p in variant.resources(type).items() if id.startswith("Demographics")}
    assert found
    for id, held in found.items():
        assert held["mllens:lawful-purpose"] == PURPOSE, id
        assert held["mllens:data-classification"] == "pii", id


@pytest.mark.lens("AIS-08")
def test_the_decision_on_use_of_the_data_is_recorded(sandbox: Template, production: Template) -> None:
    for template, decision in ((sandbox, "not recorded"), (production, "p-ai-opt-out")):
        assert tags(template.one("AWS::S3::Bucket", "DemographicsImages"))["mllens:ai-data-use"] == decision


@pytest.mark.lens("AIS-10")
def test_models_of_ones_own_stand_in_the_same_stack(tmp_path: Path) -> None:
    app = new_app(tmp_path)
    stack = cdk.Stack(app, "Mixed")
    demographics = CustomerDemographics(stack, "Demographics", posture=SANDBOX, purpose=PURPOSE)
    role = iam.Role(stack, "ModelRole", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    demographics.results.grant_add(role, "visits/")
    sagemaker.CfnModel(
        stack,
        "VisitForecast",
        execution_role_arn=role.role_arn,
        primary_container=sagemaker.CfnModel.ContainerDefinitionProperty(image="forecast:1"),
    )
    template = templates(app)["Mixed"]
    model_role = template.id("AWS::IAM::Role", "ModelRole")
    assert template.only("AWS::SageMaker::Model")["ExecutionRoleArn"] == {"Fn::GetAtt": [model_role, "Arn"]}
    bucket = template.id("AWS::S3::Bucket", "DemographicsResults")
    (put,) = (said for said in template.statements(model_role) if "s3:PutObject" in said.actions)
    assert put.resources == (f"<{bucket}.Arn>/visits/*",)


@pytest.mark.parametrize(
    ("setting", "output"), [("camera_principal_arn", "Cameras"), ("analyst_principal_arn", "Analysts")]
)
def test_a_role_trusts_the_account_or_whom_the_settings_name(
    sandbox: Template, tmp_path: Path, setting: str, output: str
) -> None:
    def trusted(template: Template) -> str:
        role = template.one("AWS::IAM::Role", f"Demographics{output}")
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        return str(statement["Principal"])

    who = "arn:aws:iam::123456789012:role/entrance"
    assert "AWS::AccountId" in trusted(sandbox)
    assert trusted(scenario(tmp_path, **{setting: who})) == str({"AWS": who})
