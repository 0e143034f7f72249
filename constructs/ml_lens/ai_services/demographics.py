"""Figure 2 of the lens: what kind of people visit, without keeping their pictures."""

from aws_cdk import Annotations, Tags
from aws_cdk import aws_iam as iam
from constructs import Construct

from ml_lens.ai_services.face_attributes import face_attributes
from ml_lens.ai_services.face_dashboard import FaceDashboard
from ml_lens.ai_services.face_queries import QUERY_RESULTS_PREFIX, FaceQueries
from ml_lens.ai_services.thresholds import FaceThresholds
from ml_lens.ai_services.upload_analysis import Burst, UploadAnalysis
from ml_lens.foundation.acknowledgements import acknowledge
from ml_lens.foundation.audit import AuditTrail
from ml_lens.foundation.posture import Posture
from ml_lens.foundation.props import checked_props
from ml_lens.foundation.storage import DerivedDataBucket, TemporaryInputBucket

_TAG_LIMIT = 256


class CustomerDemographics(Construct):
    """Turns pictures of visitors into counts by age, gender and emotion, and forgets the pictures.

    Cameras write images to a temporary bucket. Each is analysed by Rekognition, which detects attributes of
    faces and recognises nobody; the rows go to a bucket of their own, and the image is erased. Analysts query
    a view of those rows that are certain enough.

    Lens: F2-01 to F2-31, AIS-01, AIS-07, AIS-08.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        posture: Posture,
        purpose: str,
        thresholds: FaceThresholds | None = None,
        audit: AuditTrail | None = None,
        burst: Burst | None = None,
        data_use_opt_out: str | None = None,
    ) -> None:
        """Create the pattern.

        Args:
            scope: Where the pattern belongs.
            id: Its construct id.
            posture: Decides what outlives the stack, how long records are kept and how much is logged.
            purpose: The lawful purpose of analysing faces, in a sentence of 10 to 256 characters. It becomes
                the tag ``mllens:lawful-purpose`` of every resource. You confirm with it that the law and the
                AWS acceptable use policy allow the use.
            thresholds: Least confidences. Default: ``FaceThresholds()``.
            audit: Records every access. Default: a new trail; an account can have five in a Region.
            burst: How bursts of uploads are shaped. Default: ``Burst()``.
            data_use_opt_out: Id of the organisation's AI services opt-out policy, or the reference under which
                the decision not to opt out is filed; becomes the tag ``mllens:ai-data-use``. Default: none is
                recorded, which production warns of.

        Raises:
            PropError: ``purpose`` says nothing, or does not fit into a tag.
        """
        with checked_props(self, id) as props:
            props.words(
                "purpose",
                purpose,
                least=3,
                way_out="state the lawful purpose of analysing faces in a sentence, for example "
                "'Footfall statistics by age group with a notice at the entrance'",
            )
            props.require(
                len(purpose) <= _TAG_LIMIT,
                "purpose",
                f"has {len(purpose)} characters; a tag holds {_TAG_LIMIT}; shorten the sentence",
            )
            for prop, value in (("purpose", purpose), ("data_use_opt_out", data_use_opt_out or "")):
                odd = sorted({sign for sign in value if not (sign.isalnum() or sign in " _.:/=+-@")})
                props.require(
                    not odd,
                    prop,
                    f"holds {' '.join(odd)}, which a tag cannot; allowed are letters, digits, spaces and _.:/=+-@",
                )
        super().__init__(scope, id)
        thresholds = thresholds or FaceThresholds()
        self.audit = audit or AuditTrail(self, "Audit", posture=posture)
        self.images = TemporaryInputBucket(self, "Images", posture=posture, audit=self.audit)
        self.results = DerivedDataBucket(
            self, "Results", posture=posture, audit=self.audit, transient=[QUERY_RESULTS_PREFIX]
        )
        self.analysis = UploadAnalysis(
            self,
            "Analysis",
            posture=posture,
            files=self.images,
            results=self.results,
            analyser=face_attributes(thresholds),
            burst=burst,
        )
        self.queries = FaceQueries(self, "Queries", results=self.results, thresholds=thresholds)
        self.alarms = self.analysis.alarms
        self._record(posture, purpose, data_use_opt_out)

    def camera_role(self, id: str, *, assumed_by: iam.IPrincipal) -> iam.Role:
        """Create a role for cameras or whatever uploads for them: it can add images and nothing else.

        Lens: F2-03, F2-11.
        """
        role = iam.Role(self, id, assumed_by=assumed_by, description="Adds images, and can do nothing else")
        self.images.grant_write_only(role)
        return role

    def analyst_role(self, id: str, *, assumed_by: iam.IPrincipal) -> iam.Role:
        """Create a role for analysts: it can query the confident faces and nothing else.

        Lens: F2-24, F2-27.
        """
        role = iam.Role(
            self, id, assumed_by=assumed_by, description="Queries confident faces, and can do nothing else"
        )
        self.queries.grant_query(role)
        return role

    def dashboard(self, id: str, *, viewer_arn: str) -> FaceDashboard:
        """Create a QuickSight dashboard on the confident faces for one user or group.

        Lens: F2-25, F2-26.
        """
        return FaceDashboard(self, id, queries=self.queries, viewer_arn=viewer_arn)

    def _record(self, posture: Posture, purpose: str, data_use_opt_out: str | None) -> None:
        Tags.of(self).add("mllens:lawful-purpose", purpose)
        Tags.of(self).add("mllens:data-classification", "pii")
        Tags.of(self).add("mllens:ai-data-use", data_use_opt_out or "not recorded")
        for bucket in (self.images.bucket, self.results.bucket):
            acknowledge(
                bucket,
                "MLLens::MLLens-SEC02-MacieForSensitiveData",
                "An account has one Macie session in a Region, so a pattern that brought its own would fail where "
                "Macie is on already; it is turned on for the account.",
            )
        if posture.keeps_data and not data_use_opt_out:
            Annotations.of(self).add_warning_v2(
                "ml-lens:ai-data-use",
                "it is not recorded whether AWS may use the images to improve its AI services; set up an AI services "
                "opt-out policy in AWS Organizations and give its id as data_use_opt_out",
            )
