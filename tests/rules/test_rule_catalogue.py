"""The rules as data, and the page that is written from them."""

import importlib
import pkgutil
import re
import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
import yaml

import ml_lens
from docs.rule_catalogue import OPTIONS, PAGE, ROLES, page
from ml_lens.rules import RULES, Rule, command
from ml_lens.rules.catalogue import rule_named
from ml_lens.rules.command import SHORT_WEIGHT
from ml_lens.rules.options import PILLARS, Options
from ml_lens.rules.rule import APP, ERROR, PRODUCTION_ERROR, TRAINING_TASK, WARNING
from ml_lens.rules.template_body import parse
from tests.rules.attached import refused, report
from tests.rules.findings import RULES as EXAMPLES

CATALOGUE = (
    "1 SEC01-LeastPrivilege E managedPolicy wildcardAction passRole",
    "2 SEC01-InvokeEndpointScoped E",
    "3 SEC01-PhaseSeparation E trainingData train+deploy modelWrite",
    "4 SEC01-InferenceApiAuthorized E",
    "5 SEC01-NotebookUrlFromVpcOnly W",
    "6 SEC02-NotebookInVpc E",
    "7 SEC02-NotebookNoDirectInternet E",
    "8 SEC02-NotebookNoRoot E",
    "9 SEC02-NotebookKmsKey E",
    "10 SEC02-NotebookPlatformImds W",
    "11 SEC02-MlVpcFlowLogs E",
    "12 SEC02-MlVpcEndpoints E",
    "13 SEC02-VpcEndpointPolicyRestricted W",
    "14 SEC02-DomainVpcOnlyKms E vpcOnly kms",
    "15 SEC02-TrainingJobSecure E vpc volumeKms outputKms interContainer isolation",
    "16 SEC02-JobCreationGuardrails E vpc kms interContainer",
    "17 SEC02-ProcessingAndMonitoringJobsSecure E isolation interContainer vpc volumeKms outputKms",
    "18 SEC02-DataBucketKms E",
    "19 SEC02-CloudTrailDataEvents E",
    "20 SEC02-MacieForSensitiveData W",
    "21 SEC02-LakeFormationGoverned E registered iamAllowed broadGrant",
    "22 SEC02-AthenaWorkgroupEncrypted E",
    "23 SEC02-MlLogGroupEncrypted E",
    "24 SEC02-EcrKms E",
    "25 SEC02-TemporaryDataExpires E",
    "26 SEC02-DedicatedKeyForDerivedPii E",
    "27 SEC02-WriteOnlyUploader E",
    "28 SEC03-ModelInVpc E",
    "29 SEC03-ModelNetworkIsolation E",
    "30 SEC03-EndpointEncrypted E volume capture async",
    "31 SEC03-PrivateModelImage E",
    "32 SEC03-ServerlessLimits W",
    "33 SEC03-InferenceLambdaInVpc E",
    "34 SEC03-FeatureAndExperimentKms E",
    "35 REL01-RollbackAlarms P",
    "36 REL01-NoHardcodedNames W",
    "37 REL01-ModelFromRegistry W",
    "38 REL02-OnlyPipelineDeploys W",
    "39 REL03-EndpointAutoScaling P",
    "40 REL03-EndpointMultiAz P count min az",
    "41 REL03-RetainVariantProperties W",
    "42 REL04-ArtifactsVersioned E",
    "43 REL04-ModelBucketDeleteProtected E retain mfa",
    "44 REL04-ModelSecondCopy W",
    "45 REL05-ImagePinned E",
    "46 REL05-ManifestStoreDurable E",
    "47 OPS02-NotebookCodeRepository W",
    "48 OPS03-ModelPackageMetadata W",
    "49 OPS04-PipelineQualityGates E metricGate approval",
    "50 OPS04-EcrScanOnPush E",
    "51 OPS05-EndpointAlarms P errors latency resource action",
    "52 OPS05-DataCaptureEnabled P",
    "53 OPS05-ModelQualityMonitored P",
    "54 OPS05-CentralDashboard W",
    "55 OPS06-RetrainTrigger P",
    "56 PER01-NoRetiredAccelerator E",
    "57 PER01-InstanceFamilyFit W",
    "58 PER02-ScalingMetricFit W",
    "59 PER02-AiServiceQuotaAlarms W",
    "60 COST02-NotebookAutoStop E",
    "61 COST03-ManagedSpotWithCheckpoint W",
    "62 COST03-BoundedRuntime E",
    "63 COST03-EmrTransient W",
    "64 COST04-EndpointCanScaleIn W",
    "65 COST04-OnDemandEndpointDeleted E",
    "66 COST04-ConsolidateModels W mme pipeline",
    "67 COST04-TagsAndBudget W tags budget",
    "68 GEN-RetiredService W",
    "69 GEN-DecoupledTrainingHosting W",
)
"""Number, name, level and the findings that the rule tells apart: the ids that people acknowledge."""

LEVELS = {"E": ERROR, "P": PRODUCTION_ERROR, "W": WARNING}
SAME_AS = {
    "SecurityHub": r"[A-Za-z0-9]+\.\d+",
    "Config": r"[a-z0-9-]+",
    "cdk-nag": r"(AwsSolutions|HIPAA\.Security|NIST\.800\.53\.R[45]|PCI\.DSS\.321|Serverless)-[A-Za-z0-9]+",
    "checkov": r"CKV2?_AWS_\d+",
}

each_rule = pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])


def public_names() -> dict[str, Any]:
    """What the packages of the library offer, by name."""
    packages = [
        importlib.import_module(f"ml_lens.{found.name}")
        for found in pkgutil.iter_modules(ml_lens.__path__)
        if found.ispkg and found.name not in ("rules", "rehearsal")
    ]
    return {name: getattr(package, name) for package in packages for name in package.__all__}


def test_the_rules_are_those_of_the_catalogue_in_its_order() -> None:
    written = [f"{rule.number} {rule.name}" for rule in RULES]
    assert written == [" ".join(row.split()[:2]) for row in CATALOGUE]
    assert [rule.number for rule in RULES] == list(range(1, 70))


def test_every_rule_has_the_level_of_the_catalogue() -> None:
    levels = {row.split()[1]: LEVELS[row.split()[2]] for row in CATALOGUE}
    assert {rule.name: rule.weight for rule in RULES} == levels


def test_every_rule_tells_apart_what_the_catalogue_does() -> None:
    missing = {
        row.split()[1]: [aspect for aspect in row.split()[3:] if aspect not in rule.findings]
        for row in CATALOGUE
        if (rule := rule_named(row.split()[1])) is not None
    }
    assert {name: aspects for name, aspects in missing.items() if aspects} == {}
    assert len(missing) == 69


@each_rule
def test_a_rule_says_what_why_and_how_in_one_line_each(rule: Rule) -> None:
    for text in (rule.title, rule.why, rule.fix, *rule.findings.values(), *rule.settled):
        assert text == " ".join(text.split()) != ""
    assert len(rule.title) <= 110
    assert all(re.fullmatch(r"[a-z][A-Za-z0-9+]*", aspect) for aspect in rule.findings)


@each_rule
def test_a_rule_looks_at_something(rule: Rule) -> None:
    assert rule.on
    for on in rule.on:
        assert on in (APP, TRAINING_TASK) or re.fullmatch(r"AWS(::\w+){2}", on)
    assert rule.pillar in PILLARS


@each_rule
def test_the_fragment_is_what_cloudformation_reads(rule: Rule) -> None:
    fragment = parse(rule.cloudformation, ".yaml")
    assert isinstance(fragment, dict)
    assert fragment
    assert "\t" not in rule.cloudformation


@each_rule
def test_the_construct_exists(rule: Rule) -> None:
    if rule.construct is None:
        return
    name, *attributes = rule.construct.removeprefix("ml_lens.").split(".")
    known = public_names()
    if name not in known and attributes:  # foundation.PrivateBucket
        name, *attributes = attributes
    assert name in known
    found = known[name]
    for attribute in attributes:
        assert hasattr(found, attribute)
        found = getattr(found, attribute)


@each_rule
def test_the_references_have_the_shape_of_their_source(rule: Rule) -> None:
    for question in rule.lens2020:
        assert not question.startswith("ML") or re.fullmatch(r"ML(SEC|REL|OPS|PER|COST) 0\d", question)
    for practice in rule.lens2025:
        assert re.fullmatch(r"ML(SEC|REL|OPS|PERF|COST|SUS)\d\d-BP\d\d", practice)
    for reference in rule.same_as:
        source, _, name = reference.partition(":")
        assert source in SAME_AS
        assert re.fullmatch(SAME_AS[source], name), reference
    assert len(set(rule.references)) == len(rule.references)


@each_rule
def test_a_rule_is_found_by_its_names(rule: Rule) -> None:
    assert rule_named(rule.id) is rule_named(rule.name.upper()) is rule
    assert rule.weight in SHORT_WEIGHT


def test_the_page_is_the_one_of_today() -> None:
    assert PAGE.read_text("utf-8") == page(), "the rules have changed: run python -m docs.rule_catalogue"


def test_the_page_has_a_table_for_each_pillar_and_a_section_for_each_rule() -> None:
    text = page(EXAMPLES)
    assert [line for line in text.splitlines() if line.startswith("## ")][-3:] == [
        "## Security",
        "## Reliability",
        "## Cost",
    ]
    assert (
        "| [REL03-EndpointAutoScaling](#mllens-rel03-endpointautoscaling) "
        "| error in production, warning elsewhere | Every variant scales. |\n"
    ) in text
    section = text.split("### MLLens-REL03-EndpointAutoScaling\n")[1].split("\n## ")[0]
    assert section == (
        "\n"
        "Every variant scales.\n"
        "\n"
        "**Level:** error in production, warning elsewhere. "
        "**Looks at:** `AWS::SageMaker::Endpoint`, `AWS::SageMaker::EndpointConfig`.\n"
        "\n"
        "**Why:** Load changes.\n"
        "\n"
        "| Finding | Meaning |\n"
        "| --- | --- |\n"
        "| `[target]` | no ScalableTarget \\| nothing to scale |\n"
        "| `[policy]` | no ScalingPolicy |\n"
        "\n"
        "**Fix:** A ScalableTarget and a ScalingPolicy.\n"
        "\n"
        "**In CloudFormation:**\n"
        "\n"
        "```yaml\n"
        "Type: AWS::ApplicationAutoScaling::ScalableTarget\n"
        "```\n"
        "\n"
        "**Settled:**\n"
        "\n"
        "- Serverless variants scale by themselves.\n"
        "\n"
        "**References:** Machine Learning Lens 2020: MLREL 03, MLPER 02\n"
    )
    assert "**With this library:** `SecureNotebook` does so as it comes.\n" in text


def test_every_link_on_the_page_leads_to_a_heading() -> None:
    text = page()
    headings = {
        "#" + re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }
    links = set(re.findall(r"\]\((#[^)]+)\)", text))
    assert links
    assert links <= headings


def test_every_option_is_on_the_page_with_its_default() -> None:
    assert list(OPTIONS) == [option.name for option in fields(Options)]
    text = page()
    assert "| `max_runtime_seconds` | `--max-runtime-seconds` | `86400` |" in text
    assert "| `pillars` | `--pillar` | all |" in text
    assert "| `cost_tags` | `--cost-tag` | `environment`, `owner`, `project` |" in text
    assert "| `min_noncurrent_days` | - | `30` |" in text


def test_every_option_of_the_command_line_is_on_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    command.run(["check", "--help"])
    offered = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out)) - {"--help"}
    named = set(re.findall(r"--[a-z][a-z-]+", page()))
    assert offered <= named
    assert {flag for flag, _ in OPTIONS.values() if flag} <= offered


def test_every_role_that_a_rule_asks_for_is_explained() -> None:
    source = Path(command.__file__).parent
    modules = "\n".join(file.read_text("utf-8") for file in source.rglob("*.py"))
    unused = [role for role in ROLES if f'"{role}"' not in modules]
    assert unused == []


def blocks(language: str) -> list[str]:
    introduction = page().split("\n## Security\n")[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", introduction, re.MULTILINE | re.DOTALL)


def test_the_commands_on_the_page_are_understood() -> None:
    said = "\n".join([*blocks("sh"), *blocks("yaml")])
    commands = re.findall(r"python -m ml_lens\.rules (.*)", said)
    assert len(commands) == 6
    for each in commands:
        assert command._parser().parse_args(shlex.split(each)).run


def test_the_yaml_on_the_page_is_yaml() -> None:
    bucket, workflow = (yaml.safe_load(block) for block in blocks("yaml"))
    assert bucket["Images"]["Metadata"]["MLLens"]["Role"] in ROLES
    steps = workflow["jobs"]["rules"]["steps"]
    assert steps[-1]["with"]["sarif_file"] in steps[-2]["run"]
    assert steps[-1]["if"] == "${{ !cancelled() }}"
    assert workflow["permissions"]["security-events"] == "write"


def test_the_python_on_the_page_runs_and_acknowledges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outdir = tmp_path / "cdk.out"
    real_app = cdk.App
    monkeypatch.setattr(
        cdk,
        "App",
        lambda: real_app(
            outdir=str(outdir), analytics_reporting=False, builtin_cloud_formation_validation=False
        ),
    )
    monkeypatch.chdir(tmp_path)
    pack, function, acknowledgement = blocks("python")
    names: dict[str, Any] = {}
    for snippet in (pack, acknowledgement):
        exec(compile(snippet, "docs/rules.md", "exec"), names)  # noqa: S102 -- our own text
    refused(names["app"])  # as a notebook lacks more than that
    ours = report(outdir)
    assert "MLLens-SEC02-NotebookKmsKey" in {each["ruleName"] for each in ours["violations"]}
    assert "MLLens-SEC02-NotebookNoRoot" not in {each["ruleName"] for each in ours["violations"]}
    assert "MLLens-SEC02-NotebookNoRoot" in {each["ruleName"] for each in ours["suppressedViolations"]}
    capsys.readouterr()
    exec(compile(function, "docs/rules.md", "exec"), names)  # noqa: S102 -- our own text
    assert "error MLLens-SEC02-NotebookNoRoot Desk" in capsys.readouterr().out
