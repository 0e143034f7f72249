"""The rows about faces as tables, views and a workgroup, and the role of those who may ask."""

import base64
import json
from collections.abc import Sequence

from aws_cdk import Names, Stack
from aws_cdk import aws_athena as athena
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from constructs import Construct

from ml_lens.ai_services.face_attributes import FACES_PREFIX, REJECTED_PREFIX
from ml_lens.ai_services.face_views import (
    FACE_COLUMNS,
    REJECTED_COLUMNS,
    SAVED_QUERIES,
    Column,
    View,
    confident_faces,
    rejected_uploads,
)
from ml_lens.ai_services.thresholds import FaceThresholds
from ml_lens.foundation.storage import DerivedDataBucket, grant_objects

QUERY_RESULTS_PREFIX = "queries/"
"""Where Athena writes the results of queries."""
_CONFIDENT_PREFIX = f"{FACES_PREFIX}certainty=confident/"
_THROUGH_ATHENA = {"ForAnyValue:StringEquals": {"aws:CalledVia": "athena.amazonaws.com"}}


class FaceQueries(Construct):
    """Lets people ask about faces, and only about those that are certain enough.

    Rows lie in two prefixes, certain and uncertain. An analyst's role may query the view
    ``confident_faces`` in one workgroup; storage itself refuses it the uncertain rows, and any access that
    does not come through Athena. Results of queries are encrypted, which the workgroup enforces.

    Lens: F2-20, F2-21, F2-22, F2-23, F2-24, F2-27.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        results: DerivedDataBucket,
        thresholds: FaceThresholds,
    ) -> None:
        """Create database, tables, views and workgroup.

        Args:
            scope: Where the queries belong.
            id: Its construct id.
            results: Holds the rows and takes the results of queries.
            thresholds: What the view enforces.
        """
        super().__init__(scope, id)
        self._results = results
        name = Names.unique_resource_name(self, separator="_", max_length=120).lower()
        self.database = glue.CfnDatabase(
            self,
            "Database",
            catalog_id=Stack.of(self).account,
            database_input=glue.CfnDatabase.DatabaseInputProperty(
                name=name, description="Attributes of faces, and uploads that gave none"
            ),
        )
        self.database_name = name
        self._table("faces", FACE_COLUMNS, FACES_PREFIX, classes=("confident", "uncertain"))
        self._table("rejected", REJECTED_COLUMNS, REJECTED_PREFIX)
        self.confident_faces_view = confident_faces(thresholds)
        self._view(self.confident_faces_view)
        self._view(rejected_uploads())
        self.workgroup = self._workgroup(name)
        for title, sql in SAVED_QUERIES.items():
            query = athena.CfnNamedQuery(
                self,
                title.title().replace(" ", ""),
                name=title,
                database=name,
                query_string=sql,
                work_group=self.workgroup.name,
            )
            query.add_resource_dependency(self.workgroup)

    def grant_query(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` query the confident faces in the workgroup, and reach them in no other way.

        Athena resolves a view with the caller's own rights, so the rights reach down to the confident
        objects and their key, each only when the call comes through Athena.
        """
        bucket, key = self._results.bucket, self._results.key
        workgroup = self._arn("athena", "workgroup", self.workgroup.name)
        catalogue = [
            self._arn("glue", "catalog"),
            self._arn("glue", "database", self.database_name),
            # Athena asks for it whatever the query names.
            self._arn("glue", "database", "default"),
            *(
                self._arn("glue", "table", f"{self.database_name}/{table}")
                for table in ("faces", "confident_faces")
            ),
        ]
        grants = [
            iam.Grant.add_to_principal(
                grantee=grantee,
                actions=[
                    "athena:GetQueryExecution",
                    "athena:GetQueryResults",
                    "athena:GetWorkGroup",
                    "athena:StartQueryExecution",
                    "athena:StopQueryExecution",
                ],
                resource_arns=[workgroup],
            ),
            _through_athena(grantee, ["glue:GetDatabase", "glue:GetTable"], catalogue),
            _through_athena(grantee, ["s3:GetBucketLocation", "s3:ListBucket"], [bucket.bucket_arn]),
            self._objects(grantee, ["s3:GetObject"], _CONFIDENT_PREFIX),
            self._objects(grantee, ["s3:GetObject", "s3:PutObject"], QUERY_RESULTS_PREFIX),
            iam.Grant.add_to_principal(
                grantee=grantee,
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resource_arns=[key.key_arn],
                conditions={"StringEquals": {"kms:ViaService": f"s3.{Stack.of(self).region}.amazonaws.com"}},
            ),
        ]
        first, *others = grants
        for other in others:
            first = first.combine(other)
        return first

    def _objects(self, grantee: iam.IGrantable, actions: list[str], prefix: str) -> iam.Grant:
        return grant_objects(grantee, actions, self._results.bucket, prefix, conditions=_THROUGH_ATHENA)

    def _table(
        self, name: str, columns: Sequence[Column], prefix: str, *, classes: Sequence[str] = ()
    ) -> None:
        location = f"s3://{self._results.bucket.bucket_name}/{prefix}"
        layout = "upload_date=${upload_date}/"
        projection = {
            "projection.enabled": "true",
            "projection.upload_date.type": "date",
            "projection.upload_date.format": "yyyy-MM-dd",
            "projection.upload_date.range": "NOW-3YEARS,NOW+1DAY",
        }
        partitions = [Column("upload_date", "string")]
        if classes:
            layout = "certainty=${certainty}/" + layout
            projection |= {
                "projection.certainty.type": "enum",
                "projection.certainty.values": ",".join(classes),
            }
            partitions.insert(0, Column("certainty", "string"))
        self._glue_table(
            name,
            glue.CfnTable.TableInputProperty(
                name=name,
                table_type="EXTERNAL_TABLE",
                parameters={
                    "EXTERNAL": "TRUE",
                    "classification": "csv",
                    "skip.header.line.count": "1",
                    "storage.location.template": location + layout,
                    **projection,
                },
                partition_keys=[_glue_column(column) for column in partitions],
                storage_descriptor=glue.CfnTable.StorageDescriptorProperty(
                    columns=[_glue_column(column) for column in columns],
                    location=location,
                    input_format="org.apache.hadoop.mapred.TextInputFormat",
                    output_format="org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
                    serde_info=glue.CfnTable.SerdeInfoProperty(
                        serialization_library="org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
                        parameters={"field.delim": ",", "serialization.format": ","},
                    ),
                ),
            ),
        )

    def _view(self, view: View) -> glue.CfnTable:
        definition = {
            "originalSql": view.sql,
            "catalog": "awsdatacatalog",
            "schema": self.database_name,
            "columns": [{"name": column.name, "type": column.presto_type} for column in view.columns],
        }
        encoded = base64.b64encode(json.dumps(definition).encode()).decode()
        return self._glue_table(
            view.name,
            glue.CfnTable.TableInputProperty(
                name=view.name,
                description=view.purpose,
                table_type="VIRTUAL_VIEW",
                parameters={"presto_view": "true", "comment": "Presto View"},
                view_original_text=f"/* Presto View: {encoded} */",
                view_expanded_text="/* Presto View */",
                storage_descriptor=glue.CfnTable.StorageDescriptorProperty(
                    columns=[_glue_column(column) for column in view.columns],
                    serde_info=glue.CfnTable.SerdeInfoProperty(),
                ),
            ),
        )

    def _glue_table(self, name: str, table: glue.CfnTable.TableInputProperty) -> glue.CfnTable:
        created = glue.CfnTable(
            self,
            name.title().replace("_", ""),
            catalog_id=Stack.of(self).account,
            database_name=self.database_name,
            table_input=table,
        )
        created.add_resource_dependency(self.database)
        return created

    def _workgroup(self, name: str) -> athena.CfnWorkGroup:
        return athena.CfnWorkGroup(
            self,
            "Workgroup",
            name=name,
            description="Questions about confident faces",
            # Its history of queries would keep the workgroup from being deleted; results in S3 stay.
            recursive_delete_option=True,
            work_group_configuration=athena.CfnWorkGroup.WorkGroupConfigurationProperty(
                enforce_work_group_configuration=True,
                publish_cloud_watch_metrics_enabled=True,
                bytes_scanned_cutoff_per_query=10 * 1024**3,
                engine_version=athena.CfnWorkGroup.EngineVersionProperty(
                    selected_engine_version="Athena engine version 3"
                ),
                result_configuration=athena.CfnWorkGroup.ResultConfigurationProperty(
                    output_location=f"s3://{self._results.bucket.bucket_name}/{QUERY_RESULTS_PREFIX}",
                    encryption_configuration=athena.CfnWorkGroup.EncryptionConfigurationProperty(
                        encryption_option="SSE_KMS", kms_key=self._results.key.key_arn
                    ),
                ),
            ),
        )

    def _arn(self, service: str, resource: str, resource_name: str | None = None) -> str:
        return Stack.of(self).format_arn(service=service, resource=resource, resource_name=resource_name)


def _glue_column(column: Column) -> glue.CfnTable.ColumnProperty:
    return glue.CfnTable.ColumnProperty(name=column.name, type=column.type)


def _through_athena(grantee: iam.IGrantable, actions: list[str], arns: list[str]) -> iam.Grant:
    return iam.Grant.add_to_principal(
        grantee=grantee, actions=actions, resource_arns=arns, conditions=_THROUGH_ATHENA
    )
