"""The dashboard over the confident faces, for one named group of viewers."""

from collections.abc import Sequence

from aws_cdk import Names, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_quicksight as quicksight
from constructs import Construct

from ml_lens.ai_services.face_queries import FaceQueries
from ml_lens.ai_services.face_views import Column
from ml_lens.foundation.props import checked_props

_TYPES = {"string": "STRING", "int": "INTEGER", "double": "DECIMAL", "timestamp": "DATETIME"}
_READ_SOURCE = ["DescribeDataSource", "DescribeDataSourcePermissions", "PassDataSource"]
_READ_SET = [
    "DescribeDataSet",
    "DescribeDataSetPermissions",
    "PassDataSet",
    "DescribeIngestion",
    "ListIngestions",
]
_READ_DASHBOARD = ["DescribeDashboard", "ListDashboardVersions", "QueryDashboard"]
_FACES = "faces"


class FaceDashboard(Construct):
    """Shows the confident faces by age, gender, emotion and day in QuickSight.

    QuickSight reads the view through a role that can query it and nothing else. The account needs a
    QuickSight subscription, which CloudFormation cannot create.

    Lens: F2-25, F2-26.
    """

    def __init__(self, scope: Construct, id: str, *, queries: FaceQueries, viewer_arn: str) -> None:
        """Create data source, data set and dashboard.

        Args:
            scope: Where the dashboard belongs.
            id: Its construct id.
            queries: The view that is shown.
            viewer_arn: ARN of the QuickSight user or group that may see it, and who alone may.

        Raises:
            PropError: ``viewer_arn`` is not the ARN of a QuickSight user or group, or is a whole namespace.
        """
        with checked_props(self, id) as props:
            props.require(
                ":quicksight:" in viewer_arn and (":user/" in viewer_arn or ":group/" in viewer_arn),
                "viewer_arn",
                f"{viewer_arn!r} is no QuickSight user or group; give an ARN such as "
                "arn:aws:quicksight:eu-west-1:123456789012:group/default/analysts",
            )
        super().__init__(scope, id)
        self._account = Stack.of(self).account
        self._viewer = viewer_arn
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("quicksight.amazonaws.com"),
            description="Lets QuickSight query confident faces, and nothing else",
        )
        queries.grant_query(role)
        self._let_browse(queries, role)
        self.source = self._source(queries, role)
        self.data_set = self._data_set(queries)
        self.dashboard = self._dashboard()

    def _let_browse(self, queries: FaceQueries, role: iam.Role) -> None:
        """Let QuickSight read results as a stream and look at columns, as it does when it tests a source."""
        workgroup = self._athena_arn("workgroup", queries.workgroup.name)
        role.add_to_policy(
            iam.PolicyStatement(actions=["athena:GetQueryResultsStream"], resources=[workgroup])
        )
        role.add_to_policy(
            iam.PolicyStatement(
                actions=[
                    "athena:GetDataCatalog",
                    "athena:GetDatabase",
                    "athena:GetTableMetadata",
                    "athena:ListDatabases",
                    "athena:ListTableMetadata",
                ],
                resources=[self._athena_arn("datacatalog", "AwsDataCatalog")],
            )
        )

    def _athena_arn(self, resource: str, name: str) -> str:
        return Stack.of(self).format_arn(service="athena", resource=resource, resource_name=name)

    def _source(self, queries: FaceQueries, role: iam.Role) -> quicksight.CfnDataSource:
        source = quicksight.CfnDataSource(
            self,
            "Source",
            aws_account_id=self._account,
            data_source_id=self._id("source"),
            name="Customer demographics",
            type="ATHENA",
            data_source_parameters=quicksight.CfnDataSource.DataSourceParametersProperty(
                athena_parameters=quicksight.CfnDataSource.AthenaParametersProperty(
                    work_group=queries.workgroup.name, role_arn=role.role_arn
                )
            ),
            permissions=[
                quicksight.CfnDataSource.ResourcePermissionProperty(
                    principal=self._viewer, actions=_allowed(_READ_SOURCE)
                )
            ],
        )
        source.node.add_dependency(role, queries)
        return source

    def _data_set(self, queries: FaceQueries) -> quicksight.CfnDataSet:
        view = queries.confident_faces_view
        return quicksight.CfnDataSet(
            self,
            "DataSet",
            aws_account_id=self._account,
            data_set_id=self._id("faces"),
            name="Confident faces",
            import_mode="DIRECT_QUERY",
            physical_table_map={
                _FACES: quicksight.CfnDataSet.PhysicalTableProperty(
                    relational_table=quicksight.CfnDataSet.RelationalTableProperty(
                        data_source_arn=self.source.attr_arn,
                        catalog="AwsDataCatalog",
                        schema=queries.database_name,
                        name=view.name,
                        input_columns=[
                            quicksight.CfnDataSet.InputColumnProperty(
                                name=column.name, type=_TYPES[column.type]
                            )
                            for column in view.columns
                        ],
                    )
                )
            },
            permissions=[
                quicksight.CfnDataSet.ResourcePermissionProperty(
                    principal=self._viewer, actions=_allowed(_READ_SET)
                )
            ],
        )

    def _dashboard(self) -> quicksight.CfnDashboard:
        visuals = [
            _count_by("age-and-gender", "Faces by age and gender", Column("age_low", "int"), colour="gender"),
            _count_by("emotions", "Faces by emotion", Column("emotion", "string")),
            _count_by("days", "Faces by day", Column("upload_date", "string")),
        ]
        return quicksight.CfnDashboard(
            self,
            "Resource",
            aws_account_id=self._account,
            dashboard_id=self._id("dashboard"),
            name="Customer demographics",
            definition=quicksight.CfnDashboard.DashboardVersionDefinitionProperty(
                data_set_identifier_declarations=[
                    quicksight.CfnDashboard.DataSetIdentifierDeclarationProperty(
                        identifier=_FACES, data_set_arn=self.data_set.attr_arn
                    )
                ],
                sheets=[
                    quicksight.CfnDashboard.SheetDefinitionProperty(
                        sheet_id="faces", name="Faces", visuals=visuals
                    )
                ],
            ),
            permissions=[
                quicksight.CfnDashboard.ResourcePermissionProperty(
                    principal=self._viewer, actions=_allowed(_READ_DASHBOARD)
                )
            ],
        )

    def _id(self, part: str) -> str:
        return f"{Names.unique_resource_name(self, separator='-', max_length=100)}-{part}"


def _allowed(actions: Sequence[str]) -> list[str]:
    return [f"quicksight:{action}" for action in actions]


def _count_by(
    visual_id: str, title: str, column: Column, *, colour: str | None = None
) -> quicksight.CfnDashboard.VisualProperty:
    dashboard = quicksight.CfnDashboard
    return dashboard.VisualProperty(
        bar_chart_visual=dashboard.BarChartVisualProperty(
            visual_id=visual_id,
            title=dashboard.VisualTitleLabelOptionsProperty(
                visibility="VISIBLE", format_text=dashboard.ShortFormatTextProperty(plain_text=title)
            ),
            chart_configuration=dashboard.BarChartConfigurationProperty(
                orientation="VERTICAL",
                field_wells=dashboard.BarChartFieldWellsProperty(
                    bar_chart_aggregated_field_wells=dashboard.BarChartAggregatedFieldWellsProperty(
                        category=[_dimension(f"{visual_id}-category", column)],
                        colors=[_dimension(f"{visual_id}-colour", Column(colour, "string"))]
                        if colour
                        else None,
                        values=[_faces(f"{visual_id}-count")],
                    )
                ),
            ),
        )
    )


def _dimension(field_id: str, column: Column) -> quicksight.CfnDashboard.DimensionFieldProperty:
    dashboard = quicksight.CfnDashboard
    identifier = dashboard.ColumnIdentifierProperty(data_set_identifier=_FACES, column_name=column.name)
    if column.type == "string":
        return dashboard.DimensionFieldProperty(
            categorical_dimension_field=dashboard.CategoricalDimensionFieldProperty(
                field_id=field_id, column=identifier
            )
        )
    return dashboard.DimensionFieldProperty(
        numerical_dimension_field=dashboard.NumericalDimensionFieldProperty(
            field_id=field_id, column=identifier
        )
    )


def _faces(field_id: str) -> quicksight.CfnDashboard.MeasureFieldProperty:
    dashboard = quicksight.CfnDashboard
    return dashboard.MeasureFieldProperty(
        categorical_measure_field=dashboard.CategoricalMeasureFieldProperty(
            field_id=field_id,
            column=dashboard.ColumnIdentifierProperty(data_set_identifier=_FACES, column_name="face_id"),
            aggregation_function="DISTINCT_COUNT",
        )
    )
