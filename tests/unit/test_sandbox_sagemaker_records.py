"""What the sandbox's SageMaker keeps and tells: lists, tags, versions in the registry, captured calls."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from ml_lens.rehearsal.inside.sagemaker.captured_calls import record
from ml_lens.rehearsal.inside.sagemaker.catalogue import Catalogue
from ml_lens.rehearsal.inside.sagemaker.cloud import Cloud, StoredObject, place_of
from ml_lens.rehearsal.inside.sagemaker.containers import Reply
from ml_lens.rehearsal.inside.sagemaker.faults import Fault
from ml_lens.rehearsal.inside.sagemaker.listing import page
from ml_lens.rehearsal.inside.sagemaker.packages import Packages
from ml_lens.rehearsal.inside.sagemaker.runtime import Call

THINGS = [{"Name": f"thing-{number}", "CreationTime": float(number)} for number in range(25)]
SCHEMA = {"into": "Things", "name": "Name"}
OCTOBER = datetime(2026, 10, 5, 7, 8, 9, tzinfo=UTC)


class Everything:
    """A cloud that allows everything and holds one artifact."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, Mapping[str, Any]]] = []

    def place(self) -> tuple[str, str]:
        return "123456789012", "eu-west-1"

    def session(self, role_arn: str) -> str:
        return role_arn

    def may_be_assumed(self, role_arn: str) -> bool:
        return role_arn != "stranger"

    def refusal(
        self, caller: str, action: str, resource: str, context: Mapping[str, Any] | None = None
    ) -> str | None:
        return None

    def objects(self, caller: str, bucket: str, prefix: str) -> tuple[list[str], str]:
        return [], ""

    def read(self, caller: str, bucket: str, key: str) -> tuple[bytes | None, str]:
        return (b"packed", "") if key == "model.tar.gz" else (None, "The specified key does not exist.")

    def write(self, caller: str, target: StoredObject, content: bytes) -> str | None:
        return None

    def measure(
        self, dimensions: Mapping[str, str], values: Mapping[str, float], *, of_instances: bool = False
    ) -> None:
        """Measure nothing."""

    def log(self, caller: str, group: str, stream: str, lines: list[str]) -> None:
        """Log nothing."""

    def sounding(self, alarms: Any, since: float, scale: float) -> list[str]:
        return []

    def announce(self, kind: str, resource: str, detail: Mapping[str, Any]) -> None:
        self.events.append((kind, resource, detail))


@pytest.fixture
def cloud() -> Everything:
    return Everything()


@pytest.fixture
def packages(cloud: Cloud) -> Packages:
    return Packages(cloud)


@pytest.fixture
def catalogue(cloud: Cloud, packages: Packages, monkeypatch: pytest.MonkeyPatch) -> Catalogue:
    monkeypatch.setattr("ml_lens.rehearsal.inside.sagemaker.catalogue.PROCESSES.prepare", lambda: None)
    return Catalogue(cloud, packages)


def model(name: str, url: str = "s3://models/model.tar.gz", **more: Any) -> dict[str, Any]:
    return {
        "ModelName": name,
        "ExecutionRoleArn": "role",
        "PrimaryContainer": {"Image": "image", "ModelDataUrl": url},
        **more,
    }


def config(name: str, *names: str, shadow: bool = False, **settings: Any) -> dict[str, Any]:
    settings = settings or {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    variants = [{"VariantName": each, "ModelName": "churn", **settings} for each in names]
    kept = {"ShadowProductionVariants": variants[-1:]} if shadow else {}
    return {"EndpointConfigName": name, "ProductionVariants": variants[:-1] if shadow else variants, **kept}


def test_a_list_comes_in_pages_of_ten_the_newest_first() -> None:
    names, token = [], None
    for _ in range(3):
        found = page(THINGS, {"NextToken": token} if token else {}, **SCHEMA)
        names.append([each["Name"] for each in found["Things"]])
        token = found.get("NextToken")
    assert [len(each) for each in names] == [10, 10, 5]
    assert names[0][0] == "thing-24"
    assert token is None


def test_a_list_holds_what_is_asked_for() -> None:
    found = page(THINGS, {"NameContains": "G-2", "SortBy": "Name", "SortOrder": "Ascending"}, **SCHEMA)
    assert [each["Name"] for each in found["Things"]] == ["thing-2", *(f"thing-2{n}" for n in range(5))]
    late = page(THINGS, {"CreationTimeAfter": 22, "MaxResults": 100}, **SCHEMA)["Things"]
    assert {each["CreationTime"] for each in late} == {22, 23, 24}
    with pytest.raises(Fault, match="pagination token"):
        page(THINGS, {"NextToken": "?"}, **SCHEMA)


@pytest.mark.parametrize(
    "url",
    [
        "s3://models/a/b.tar.gz",
        "https://s3.eu-west-1.amazonaws.com/models/a/b.tar.gz",
        "https://models.s3.eu-west-1.amazonaws.com/a/b.tar.gz",
    ],
)
def test_a_place_in_s3_is_understood_in_every_spelling(url: str) -> None:
    assert place_of(url) == StoredObject("models", "a/b.tar.gz")


def test_names_are_in_small_letters_in_arns_only(catalogue: Catalogue) -> None:
    arn = catalogue.create_model(model("Churn"))["ModelArn"]
    assert arn == "arn:aws:sagemaker:eu-west-1:123456789012:model/churn"
    assert catalogue.describe_model({"ModelName": "Churn"})["ModelArn"] == arn


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (model("old"), "Cannot create already existing model"),
        (
            model("new", url="s3://models/gone.tar.gz"),
            "Could not access model data at s3://models/gone.tar.gz",
        ),
        (model("new", ExecutionRoleArn="stranger"), "Could not assume role stranger"),
    ],
)
def test_a_model_that_cannot_be_is_refused(catalogue: Catalogue, request_: dict[str, Any], said: str) -> None:
    catalogue.create_model(model("old"))
    with pytest.raises(Fault, match=said):
        catalogue.create_model(request_)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (config("c", "A", "A"), "must be unique"),
        (config("c", "A", "B", "Shadow", shadow=True), "one production variant and one shadow"),
        (config("c", "A", ServerlessConfig={}, InstanceType="ml.m5.large"), "either ServerlessConfig"),
        (
            {
                **config("c", "A"),
                "ProductionVariants": [{"VariantName": "A", "ModelName": "x", "InstanceType": "t"}],
            },
            "x",
        ),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(
    catalogue: Catalogue, request_: dict[str, Any], said: str
) -> None:
    catalogue.create_model(model("churn"))
    with pytest.raises(Fault, match=said):
        catalogue.create_endpoint_config(request_)


def test_tags_come_and_go_with_what_they_are_on(catalogue: Catalogue) -> None:
    arn = catalogue.create_model(model("churn", Tags=[{"Key": "a", "Value": "1"}]))["ModelArn"]
    catalogue.add_tags({"ResourceArn": arn, "Tags": [{"Key": "b", "Value": "2"}]})
    catalogue.delete_tags({"ResourceArn": arn, "TagKeys": ["a"]})
    assert catalogue.list_tags({"ResourceArn": arn}) == {"Tags": [{"Key": "b", "Value": "2"}]}
    assert "Tags" not in catalogue.describe_model({"ModelName": "churn"})
    catalogue.delete_model({"ModelName": "churn"})
    assert catalogue.list_tags({"ResourceArn": arn}) == {"Tags": []}


def test_versions_are_counted_in_their_group_and_told_of(packages: Packages, cloud: Everything) -> None:
    packages.create_model_package_group({"ModelPackageGroupName": "churn"})
    arns = [
        packages.create_model_package({"ModelPackageGroupName": "churn"})["ModelPackageArn"] for _ in range(2)
    ]
    assert [each.rpartition("churn/")[2] for each in arns] == ["1", "2"]
    packages.update_model_package({"ModelPackageArn": arns[1], "ModelApprovalStatus": "Approved"})
    kind, resource, detail = cloud.events[-1]
    assert (kind, resource) == ("SageMaker Model Package State Change", arns[1])
    assert detail["ModelApprovalStatus"] == "Approved"
    assert detail["UpdatedModelPackageFields"] == ["ModelApprovalStatus"]
    approved = packages.list_model_packages({"ModelApprovalStatus": "Approved"})["ModelPackageSummaryList"]
    assert [each["ModelPackageVersion"] for each in approved] == [2]
    with pytest.raises(Fault, match="still has existing Model Packages"):
        packages.delete_model_package_group({"ModelPackageGroupName": "churn"})


def test_a_version_stands_for_its_containers_with_the_variables_of_the_model(packages: Packages) -> None:
    packages.create_model_package_group({"ModelPackageGroupName": "churn"})
    made = {"Image": "image", "Environment": {"A": "1", "B": "1"}}
    arn = packages.create_model_package(
        {
            "ModelPackageGroupName": "churn",
            "ModelApprovalStatus": "Approved",
            "InferenceSpecification": {"Containers": [made]},
        }
    )["ModelPackageArn"]
    assert packages.resolved({"ModelPackageName": arn, "Environment": {"B": "2"}}) == [
        {"Image": "image", "Environment": {"A": "1", "B": "2"}}
    ]
    assert packages.resolved(made) == [made]


def test_a_captured_call_has_the_record_of_data_capture() -> None:
    call = Call(
        "churn", b"1,2", {"content-type": "text/csv", "x-amzn-sagemaker-inference-id": "mine"}, "event"
    )
    reply = Reply(200, b'{"score": 1}', "application/json")
    both = {
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]},
    }
    assert record(both, call, reply, OCTOBER) == {
        "captureData": {
            "endpointInput": {
                "observedContentType": "text/csv",
                "mode": "INPUT",
                "data": "1,2",
                "encoding": "CSV",
            },
            "endpointOutput": {
                "observedContentType": "application/json",
                "mode": "OUTPUT",
                "data": base64.b64encode(reply.body).decode(),
                "encoding": "BASE64",
            },
        },
        "eventMetadata": {
            "eventId": "event",
            "inferenceId": "mine",
            "inferenceTime": "2026-10-05T07:08:09Z",
        },
        "eventVersion": "0",
    }
    only = {"CaptureOptions": [{"CaptureMode": "Output"}]}
    assert list(record(only, call, reply, OCTOBER)["captureData"]) == ["endpointOutput"]
