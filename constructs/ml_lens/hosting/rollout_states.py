"""The states of a rollout, in the order in which it goes about it."""

from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from ml_lens.hosting.deployment_records import TAKEN
from ml_lens.hosting.rollout_asked import asked_for
from ml_lens.hosting.rollout_promotion import promote
from ml_lens.hosting.rollout_return import UNDER_WAY, RolloutReturn
from ml_lens.hosting.rollout_shift import probe_candidate, shift_traffic
from ml_lens.hosting.rollout_tasks import RolloutParts, RolloutTasks
from ml_lens.hosting.workflows import ANY_ERROR, backing_off, call, caught, refusal

_GONE = "ExecutionDoesNotExist"
"""What the error says of a run that Step Functions no longer knows, as it forgets runs after ninety days."""


def rollout_states(scope: Construct, parts: RolloutParts) -> sfn.IChainable:
    """Return the first state."""
    tasks = RolloutTasks(scope, parts)
    way_back = RolloutReturn(tasks)
    back = way_back.start
    begin = sfn.Pass.jsonata(
        scope,
        "Begin",
        assign={
            "asked": "{% $states.context.Execution.Input %}",
            "stopped": "{% $type($states.context.Execution.Input.stopped) = 'string' %}",
            "id": "{% $substring($uuid(), 0, 8) %}",
            "started": "{% $states.context.Execution.StartTime %}",
            "failure": {"Error": "RolloutFailed", "Cause": "for no reason that is known"},
            "probed": {},
            "verdicts": [],
            "instances": 0,
        },
    )
    take_over = way_back.after_a_stop(again=begin)
    shift = shift_traffic(tasks, back, promote(tasks, back))
    create = _create(tasks, back, probe_candidate(tasks, back, shift))
    lock = _lock(tasks, take_over, _look(tasks, way_back, create))
    return begin.next(asked_for(tasks, lock, take_over))


def _lock(tasks: RolloutTasks, take_over: sfn.IChainable, then: sfn.IChainable) -> sfn.IChainable:
    """See that no other rollout changes the endpoint at the same time, unless that one no longer goes on."""
    scope, records = tasks.scope, tasks.parts.records
    lock = records.lock(scope, "See that nobody else is changing it")
    under_way = sfn.Fail.jsonata(
        scope,
        "Another rollout is under way",
        error="RolloutUnderWay",
        cause="Another rollout changes this endpoint; start this one again when it has ended.",
    )
    whose = records.read_lock(
        scope,
        "See who is changing it",
        Assign={"holder": "{% $exists($states.result.Item) ? $states.result.Item.execution.S : '' %}"},
    )
    runs = call(
        scope,
        "See whether that one goes on",
        "aws-sdk:sfn:describeExecution",
        {"ExecutionArn": "{% $holder %}"},
        retry=[backing_off(ANY_ERROR)],
        Output={"status": "{% $states.result.Status %}"},
    )
    known = sfn.Choice.jsonata(scope, "Is that one forgotten")
    known.when(sfn.Condition.jsonata(f"{{% $contains($failure.Error, '{_GONE}') %}}"), take_over)
    known.otherwise(tasks.failed("Nobody knows who is changing it"))
    runs.add_catch(known, errors=ANY_ERROR, assign=caught())
    goes_on = sfn.Choice.jsonata(scope, "Does that one go on")
    goes_on.when(sfn.Condition.jsonata("{% $states.input.status = 'RUNNING' %}"), under_way)
    goes_on.otherwise(take_over)
    given_back = sfn.Choice.jsonata(scope, "Was it given back meanwhile")
    given_back.when(sfn.Condition.jsonata("{% $holder = '' %}"), under_way).otherwise(runs)
    lock.add_catch(whose, errors=[TAKEN])
    whose.next(given_back)
    runs.next(goes_on)
    return lock.next(then)


def _look(tasks: RolloutTasks, way_back: RolloutReturn, then: sfn.IChainable) -> sfn.IChainable:
    """Look at what is live, record what begins, and tell of it; nothing has been changed so far."""
    parts, scope = tasks.parts, tasks.scope
    endpoint = tasks.sagemaker(
        "Look at what is live",
        "describeEndpoint",
        {"EndpointName": parts.endpoint},
        Assign={
            "original": "{% $states.result.EndpointConfigName %}",
            "instances": "{% $states.result.ProductionVariants[0].CurrentInstanceCount %}",
            "candidate": "{% 'Candidate-' & $id %}",
            "model": f"{{% '{parts.prefix}' & $id %}}",
            "both": f"{{% '{parts.prefix}' & $id & '-both' %}}",
            "alone": f"{{% '{parts.prefix}' & $id & '-alone' %}}",
            "step": 0,
            "more": 0,
            "steps": [{"percent": share, "seconds": wait.to_seconds()} for share, wait in parts.plan.steps],
        },
    )
    artifact = call(
        scope,
        "Look at the artifact",
        "aws-sdk:s3:headObject",
        {
            "Bucket": parts.candidates.bucket_name,
            "Key": "{% $substringAfter($substringAfter($artifact, 's3://'), '/') %}",
        },
        retry=[backing_off(["S3.S3Exception", "S3.SdkClientException"])],
        Assign={"artifact_version": "{% $states.result.VersionId %}"},
    )
    record = parts.records.begin(
        scope,
        "Record what begins",
        {
            "version": "{% $version %}",
            "artifact": "{% $artifact %}",
            "artifact_version": "{% $artifact_version %}",
            "package": "{% $package %}",
            "model": "{% $model %}",
            "previous_config": "{% $original %}",
            "instances": "{% $string($instances) %}",
            "outcome": UNDER_WAY,
        },
    )
    for state in (endpoint, artifact, record):
        state.add_catch(way_back.nothing_changed, errors=ANY_ERROR, assign=caught())
    tell = tasks.tell("Tell what begins", "{% $version & ' is about to be released' %}", then)
    return endpoint.next(artifact).next(record).next(tell).next(then)


def _create(tasks: RolloutTasks, back: sfn.IChainable, then: sfn.IChainable) -> sfn.IChainable:
    """Put the candidate beside the live variant, without traffic (F9-01, F9-02)."""
    scope = tasks.scope
    config = tasks.sagemaker(
        "Read the live configuration",
        "describeEndpointConfig",
        {"EndpointConfigName": "{% $original %}"},
        Assign={"live": "{% $states.result %}"},
    )
    model = tasks.sagemaker(
        "Read the live model",
        "describeModel",
        {"ModelName": "{% $live.ProductionVariants[0].ModelName %}"},
        Assign={"blue": "{% $states.result %}"},
    )
    create = tasks.sagemaker(
        "Create the candidate",
        "createModel",
        "{% $merge([{'ModelName': $model, 'ExecutionRoleArn': $blue.ExecutionRoleArn, 'PrimaryContainer': "
        "{'Image': $image = '' ? $blue.PrimaryContainer.Image : $image, 'ModelDataUrl': $artifact, 'Environment': "
        "$merge([$blue.PrimaryContainer.Environment, $environment, {'MODEL_VERSION': $version}])}, "
        "'Tags': [{'Key': 'mllens:model-version', 'Value': $version}]}, "
        "$exists($blue.VpcConfig) ? {'VpcConfig': $blue.VpcConfig, 'EnableNetworkIsolation': true} : {}]) %}",
    )
    both = tasks.configure(
        "Configure both",
        "$both",
        "[$live.ProductionVariants[0], $merge([$live.ProductionVariants[0], {'VariantName': $candidate, "
        "'ModelName': $model, 'InitialVariantWeight': 0, 'InitialInstanceCount': 1}])]",
    )
    update = tasks.update("Start the candidate", "$both", keeps=True)
    for state in (config, model, create, both, update):
        state.add_catch(back, errors=ANY_ERROR, assign=caught())
    is_new = sfn.Choice.jsonata(scope, "Is it something new")
    same = "$blue.PrimaryContainer.ModelDataUrl = $artifact"
    version = "$lookup($blue.PrimaryContainer.Environment, 'MODEL_VERSION') = $version"
    is_new.when(sfn.Condition.jsonata(f"{{% $not({same} and {version}) %}}"), create)
    already = refusal(scope, "It is live already", "AlreadyLive", "{% $version & ' is live already' %}")
    is_new.otherwise(already)
    already.next(back)
    create.next(both).next(update).next(tasks.settled("both", then, back, expected="$both"))
    return config.next(model).next(is_new)
