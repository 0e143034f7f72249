"""What the lens asks of an endpoint that a scenario, which shows one figure with a sample model, answers otherwise."""

from collections.abc import Mapping

from ml_lens.foundation import Posture
from ml_lens.foundation.acknowledgements import acknowledge
from ml_lens.hosting import HostedModel

Answers = Mapping[str, Mapping[str, str]]
"""By the path of a resource below the endpoint: findings, and the reason for each."""

_ONE = "A new account has a quota for one instance; production runs two, in two zones."
_ALWAYS: Answers = {
    "Resource": {
        "OPS05-ModelQualityMonitored": "The figure ends at the prediction, and nobody retrains the sample model; calls "
        "are captured, so that a job of the model's owner can measure drift on them.",
        "REL05-ManifestStoreDurable": "A manifest is kept by the pipeline that releases models, and the figure has "
        "none; the version is a tag of the model, and is in every answer.",
        "COST04-TagsAndBudget[budget]": "A budget by tags counts only what carries activated cost allocation tags, "
        "and CloudFormation cannot activate them; the owner of the account keeps the budget.",
    },
    "Model": {
        "REL01-ModelFromRegistry": "The sample model is a text in the repository of the app, where its versions are "
        "kept, and its artifact is packed from it at every synthesis; a registry would hold a copy.",
    },
}
_OUTSIDE_PRODUCTION: Answers = {
    "Resource": {
        "COST04-EndpointCanScaleIn": "SageMaker offers no VPC and no network isolation without instances, and runs no "
        "fewer than one of them for a model; a sandbox is destroyed after its trial.",
        "REL01-RollbackAlarms": "SageMaker needs a second instance while a new version takes over, for which a new "
        "account has no quota; in a sandbox the only one is replaced.",
    },
    "Config": {
        "PER01-InstanceFamilyFit": "For endpoints a new account has a quota for ml.t2.medium, and often for no other "
        "type; a setting takes a newer one.",
        "REL03-EndpointMultiAz[count]": _ONE,
    },
    "Scaling": {
        "REL03-EndpointMultiAz[min]": _ONE,
    },
}


def cost_tags(posture: Posture, *, project: str, owner: str) -> dict[str, str]:
    """Return the tags of a stack: those of its posture, and those by which its cost is attributed."""
    return {**posture.tags, "project": project, "environment": posture.name, "owner": owner}


def answer_findings(model: HostedModel, posture: Posture) -> None:
    """Acknowledge on the resources of ``model`` what a scenario leaves to the app of a user, and why."""
    for answers in (_ALWAYS, {} if posture.keeps_data else _OUTSIDE_PRODUCTION):
        for path, reasons in answers.items():
            resource = model.node.try_find_child(path)
            if resource is not None:
                for finding, reason in reasons.items():
                    acknowledge(resource, f"MLLens::MLLens-{finding}", reason)
