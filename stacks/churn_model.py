"""The model that the scenarios of hosting serve: which customers will leave."""

import tempfile
from pathlib import Path

from aws_cdk import Stage
from constructs import IConstruct

from jobs.churn.pack import pack, versions
from ml_lens.foundation import PropError
from ml_lens.hosting import ModelArtifact, ModelImage, ServedModel

SCRIPT = {
    "SAGEMAKER_PROGRAM": "inference.py",
    "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
}
"""What tells the XGBoost image to serve by the script in the artifact."""


def churn_model(scope: IConstruct, version: str) -> ServedModel:
    """Return a version of the churn model, packed from its text as the template is made.

    Raises:
        PropError: There is no such version.
    """
    if version not in versions():
        raise PropError(
            scope.node.path, [f"version: there is no {version!r}; give one of {', '.join(versions())}"]
        )
    stage = Stage.of(scope)
    folder = Path(stage.asset_outdir if stage else tempfile.gettempdir())
    folder.mkdir(parents=True, exist_ok=True)
    return ServedModel(
        image=ModelImage.xgboost("3.0-5"),
        artifact=ModelArtifact.from_file(pack(version, folder)),
        version=version,
        environment=SCRIPT,
    )
