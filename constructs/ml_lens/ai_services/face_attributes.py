"""The analyser of figure 2: age range, gender and emotion of every face in an image."""

from ml_lens.ai_services.thresholds import FaceThresholds
from ml_lens.ai_services.upload_analysis import Analyser, ServiceMetrics
from ml_lens.assets import function_code

FACES_PREFIX = "faces/"
"""Where rows about faces go, below it one prefix for ``certainty=confident`` and one for ``uncertain``."""
REJECTED_PREFIX = "rejected/"
"""Where the reasons go why an image gave no rows."""


def face_attributes(thresholds: FaceThresholds) -> Analyser:
    """Return the analyser that asks Rekognition for the attributes of faces.

    It may call ``rekognition:DetectFaces`` and nothing else: no face is compared, recognised or stored.

    Lens: F2-13, F2-14, F2-15, F2-16.
    """
    return Analyser(
        code=function_code("face_attributes"),
        actions=["rekognition:DetectFaces"],
        metrics=ServiceMetrics(
            namespace="AWS/Rekognition",
            successes="SuccessfulRequestCount",
            throttles="ThrottledCount",
            dimensions={"Operation": "DetectFaces"},
        ),
        writes_to=[FACES_PREFIX, REJECTED_PREFIX],
        environment={"THRESHOLDS": thresholds.to_json()},
    )
