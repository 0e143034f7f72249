"""What a run of a rollout is asked for, and by whom: a person, a pipeline, a registry, or the end of another run."""

from aws_cdk import aws_stepfunctions as sfn

from ml_lens.hosting.rollout_tasks import RolloutTasks

_SUFFIX = ".tar.gz"
_LONGEST_VERSION = 128
_PACKAGE = "$states.result.InferenceSpecification.Containers[0]"


def asked_for(tasks: RolloutTasks, then: sfn.IChainable, take_over: sfn.IChainable) -> sfn.IChainable:
    """Return states that find out which artifact is meant, and refuse what cannot be released (HST-01, CHG-02).

    Args:
        tasks: Makes the states.
        then: What follows when something is to be released.
        take_over: What follows when another run was stopped, which is then in the variable ``holder``.
    """
    scope = tasks.scope
    checked = _check(tasks, then)
    given = sfn.Pass.jsonata(
        scope,
        "Take what was given",
        assign={
            "artifact": "{% $asked.artifact %}",
            "version": "{% $type($asked.version) = 'string' ? $asked.version : '' %}",
            "image": "{% $type($asked.image) = 'string' ? $asked.image : '' %}",
            "environment": "{% $type($asked.environment) = 'object' ? $asked.environment : {} %}",
            "package": "{% '' %}",
        },
    )
    given.next(checked)
    stopped = sfn.Pass.jsonata(
        scope, "Name the run that was stopped", assign={"holder": "{% $asked.stopped %}"}
    )
    stopped.next(take_over)
    what = sfn.Choice.jsonata(scope, "What is asked for")
    what.when(sfn.Condition.jsonata("{% $type($asked.artifact) = 'string' %}"), given)
    what.when(
        sfn.Condition.jsonata("{% $type($asked.model_package_arn) = 'string' %}"), _package(tasks, checked)
    )
    what.when(sfn.Condition.jsonata("{% $stopped %}"), stopped)
    what.otherwise(
        _refused(
            tasks,
            "Nothing is asked for",
            "give artifact and version, or model_package_arn",
        )
    )
    return what


def _package(tasks: RolloutTasks, then: sfn.IChainable) -> sfn.IChainable:
    """Read a model package: artifact, image and variables are those with which it was registered."""
    read = tasks.sagemaker(
        "Read the model package",
        "describeModelPackage",
        {"ModelPackageName": "{% $asked.model_package_arn %}"},
        Assign={
            "approval": "{% $states.result.ModelApprovalStatus %}",
            "artifact": f"{{% $exists({_PACKAGE}.ModelDataUrl) ? {_PACKAGE}.ModelDataUrl : '' %}}",
            "image": f"{{% {_PACKAGE}.Image %}}",
            "environment": f"{{% $exists({_PACKAGE}.Environment) ? {_PACKAGE}.Environment : {{}} %}}",
            "package": "{% $asked.model_package_arn %}",
            "version": "{% $exists($states.result.CustomerMetadataProperties.version) ? "
            "$states.result.CustomerMetadataProperties.version : "
            "$string($states.result.ModelPackageVersion) %}",
        },
    )
    approved = sfn.Choice.jsonata(tasks.scope, "Is it approved")
    approved.when(sfn.Condition.jsonata("{% $approval = 'Approved' %}"), then)
    approved.otherwise(
        _refused(tasks, "It is not approved", "approve the model package in its registry first")
    )
    return read.next(approved)


def _check(tasks: RolloutTasks, then: sfn.IChainable) -> sfn.IChainable:
    """Only what publishers have put into the bucket of candidates can be released, and under a name."""
    bucket = tasks.parts.candidates.bucket_name
    place = f"'s3://{bucket}/'"
    well = (
        f"$substring($artifact, 0, $length({place})) = {place} and "
        f"$substring($artifact, -{len(_SUFFIX)}) = '{_SUFFIX}' and "
        f"$length($version) > 0 and $length($version) <= {_LONGEST_VERSION}"
    )
    check = sfn.Choice.jsonata(tasks.scope, "Is it a candidate")
    check.when(sfn.Condition.jsonata(f"{{% {well} %}}"), then)
    check.otherwise(
        _refused(
            tasks,
            "It is no candidate",
            f"give an artifact s3://{bucket}/….tar.gz, where candidates are kept, and a version of "
            f"{_LONGEST_VERSION} characters at the most",
        )
    )
    return check


def _refused(tasks: RolloutTasks, id: str, way_out: str) -> sfn.Fail:
    return sfn.Fail.jsonata(tasks.scope, id, error="NoCandidate", cause=f"{id}; {way_out}.")
