"""Buckets and queries of the sandbox behave as AWS's, as far as scenarios rely on it."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from ml_lens.rehearsal.place import Place
from ml_lens.rehearsal.sandbox import ACCOUNT, REGION, Sandbox
from tests.rehearsal.made_to_measure import (
    ROOT_ONLY,
    Role,
    Roles,
    Stack,
    bucket,
    eventually,
    refused,
    settled,
)

pytestmark = pytest.mark.xdist_group("sandbox")


BUCKET = {
    "Key": {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": ROOT_ONLY}},
    "Bucket": {
        "Type": "AWS::S3::Bucket",
        "Properties": {
            "VersioningConfiguration": {"Status": "Enabled"},
            "Tags": [{"Key": "aws-cdk:auto-delete-objects", "Value": "true"}],
            "BucketEncryption": {
                "ServerSideEncryptionConfiguration": [
                    {
                        "BucketKeyEnabled": True,
                        "ServerSideEncryptionByDefault": {
                            "SSEAlgorithm": "aws:kms",
                            "KMSMasterKeyID": {"Fn::GetAtt": ["Key", "Arn"]},
                        },
                    }
                ]
            },
        },
    },
}
BUCKET_OUTPUTS = {"Bucket": {"Value": {"Ref": "Bucket"}}, "Key": {"Value": {"Fn::GetAtt": ["Key", "Arn"]}}}


class TestBuckets:
    def test_tags_and_encryption_of_the_template_are_kept(self, sandbox: Sandbox, stack: Stack) -> None:
        outputs = stack(BUCKET, Outputs=BUCKET_OUTPUTS)
        s3 = sandbox.client("s3")
        assert s3.get_bucket_tagging(Bucket=outputs["Bucket"])["TagSet"][0]["Value"] == "true"
        stored = s3.put_object(Bucket=outputs["Bucket"], Key="a", Body=b"1")
        assert stored["SSEKMSKeyId"] == outputs["Key"]
        s3.delete_object(Bucket=outputs["Bucket"], Key="a", VersionId=stored["VersionId"])

    def test_a_bucket_with_objects_is_not_deleted(self, sandbox: Sandbox, stack: Stack) -> None:
        outputs = stack(BUCKET, Outputs=BUCKET_OUTPUTS)
        s3, cloudformation = sandbox.client("s3"), sandbox.client("cloudformation")
        version = s3.put_object(Bucket=outputs["Bucket"], Key="a", Body=b"1")["VersionId"]
        cloudformation.delete_stack(StackName=outputs["StackName"])
        eventually(lambda: settled(cloudformation, outputs["StackName"])["StackStatus"] == "DELETE_FAILED")
        s3.delete_object(Bucket=outputs["Bucket"], Key="a", VersionId=version)

    @pytest.mark.parametrize(("secure", "allowed"), [("true", True), ("false", False)])
    def test_the_loopback_counts_as_tls(
        self, sandbox: Sandbox, role: Roles, secure: str, allowed: bool
    ) -> None:
        name = bucket(sandbox, f"tls-{secure}")
        condition = {"Bool": {"aws:SecureTransport": secure}}
        put = {"Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{name}/*", "Condition": condition}
        call = role(put).client("s3").put_object
        if allowed:
            call(Bucket=name, Key="a", Body=b"1")
        else:
            assert refused(call, Bucket=name, Key="a", Body=b"1")[0] == "AccessDenied"

    def test_only_who_may_list_learns_that_an_object_is_missing(self, sandbox: Sandbox, role: Roles) -> None:
        name = bucket(sandbox, "missing")
        read = {"Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{name}/*"}
        lists = {"Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{name}"}
        for allowed, code, status in (((read,), "AccessDenied", "403"), ((read, lists), "NoSuchKey", "404")):
            s3 = role(*allowed).client("s3")
            assert refused(s3.get_object, Bucket=name, Key="a")[0] == code
            assert refused(s3.head_object, Bucket=name, Key="a")[0] == status

    def test_a_batch_deletion_of_versions_needs_only_their_permission(
        self, sandbox: Sandbox, role: Roles
    ) -> None:
        name = bucket(sandbox, "versions")
        s3 = sandbox.client("s3")
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        entry = {"Key": "a", "VersionId": s3.put_object(Bucket=name, Key="a", Body=b"1")["VersionId"]}
        everything = f"arn:aws:s3:::{name}/*"
        current = role({"Action": "s3:DeleteObject", "Resource": everything}).client("s3")
        assert refused(current.delete_objects, Bucket=name, Delete={"Objects": [entry]})[0] == "AccessDenied"
        versions = role({"Action": "s3:DeleteObjectVersion", "Resource": everything}).client("s3")
        assert versions.delete_objects(Bucket=name, Delete={"Objects": [entry]})["Deleted"]


class TestAthena:
    def test_a_query_runs_with_the_callers_permissions_called_via_athena(
        self, sandbox: Sandbox, role: Roles
    ) -> None:
        group = lake(sandbox)
        via = {"Condition": {"ForAnyValue:StringEquals": {"aws:CalledVia": "athena.amazonaws.com"}}}
        place = f"{REGION}:{ACCOUNT}"
        needed = {
            "athena": {"Action": "athena:*", "Resource": f"arn:aws:athena:{place}:workgroup/{group}"},
            "glue:GetTable": {"Action": "glue:GetTable", "Resource": f"arn:aws:glue:{place}:*", **via},
            "s3:ListBucket": {"Action": "s3:ListBucket", "Resource": "arn:aws:s3:::lake", **via},
            "s3:GetObject": {"Action": "s3:GetObject", "Resource": "arn:aws:s3:::lake/*", **via},
            "s3:PutObject": {"Action": "s3:PutObject", "Resource": "arn:aws:s3:::lake/out/*", **via},
            "s3:GetBucketLocation": {
                "Action": "s3:GetBucketLocation",
                "Resource": "arn:aws:s3:::lake",
                **via,
            },
        }

        def ask(analyst: Role) -> list[dict[str, str | None]]:
            there = Place({}, sandbox=sandbox, say=lambda _: None)
            return there.query(
                "SELECT name, age FROM people ORDER BY age",
                workgroup=group,
                database="d",
                role_arn=analyst.arn,
            )

        analyst = role(*needed.values())
        assert ask(analyst) == [{"name": "Ada", "age": "36"}, {"name": "Alan", "age": "41"}]
        with pytest.raises(ClientError):
            analyst.client("s3").get_object(Bucket="lake", Key="people/a.csv")
        for action in [name for name in needed if ":" in name]:
            lacking = role(*(each for name, each in needed.items() if name != action))
            with pytest.raises(Place.QueryFailed, match=action):
                ask(lacking)
        results = sandbox.client("s3").list_objects_v2(Bucket="lake", Prefix="out/")["Contents"]
        assert len(results) == 1

    def test_a_query_stays_in_its_workgroup(self, sandbox: Sandbox, role: Roles) -> None:
        group = lake(sandbox)
        other = {"Action": "athena:*", "Resource": f"arn:aws:athena:{REGION}:{ACCOUNT}:workgroup/other"}
        athena = sandbox.client("athena")
        started = athena.start_query_execution(QueryString="SELECT 1", WorkGroup=group)["QueryExecutionId"]
        code, _ = refused(role(other).client("athena").get_query_execution, QueryExecutionId=started)
        assert code == "AccessDeniedException"


def lake(sandbox: Sandbox) -> str:
    """A table of two people, and a workgroup that says where results go."""
    s3, glue, athena = (sandbox.client(name) for name in ("s3", "glue", "athena"))
    if any(each["Name"] == "lake" for each in s3.list_buckets()["Buckets"]):
        return "analysts"
    s3.create_bucket(Bucket="lake")
    s3.put_object(Bucket="lake", Key="people/a.csv", Body=b"name,age\nAda,36\nAlan,41\n")
    glue.create_database(DatabaseInput={"Name": "d"})
    library = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"
    glue.create_table(
        DatabaseName="d",
        TableInput={
            "Name": "people",
            "TableType": "EXTERNAL_TABLE",
            "Parameters": {"skip.header.line.count": "1"},
            "StorageDescriptor": {
                "Columns": [{"Name": "name", "Type": "string"}, {"Name": "age", "Type": "int"}],
                "Location": "s3://lake/people/",
                "SerdeInfo": {"SerializationLibrary": library, "Parameters": {"field.delim": ","}},
            },
        },
    )
    configuration = {
        "EnforceWorkGroupConfiguration": True,
        "ResultConfiguration": {"OutputLocation": "s3://lake/out/"},
    }
    athena.create_work_group(Name="analysts", Configuration=configuration)
    return "analysts"
