"""What the CloudFormation template and the Terraform files of deploy/ have, in terms that can be compared.

usage: twins.py TEMPLATE FOLDER

Standard output is {"cloudformation": X, "terraform": X}, where X has `parameters` (with defaults),
`outputs`, `resources` (each name with its kinds, in Terraform's words), `policies` (each statement's id, effect and
actions), `filters` and `alarms`. Names of CloudFormation are turned into Terraform's: LogGroupArns is log_group_arns.
"""

import json
import pathlib
import re
import sys

import hcl2
import yaml

# What Terraform calls a type. What it makes of one resource of CloudFormation with several of its own is in PARTS.
KINDS = {
    "AWS::CloudWatch::Alarm": "aws_cloudwatch_metric_alarm",
    "AWS::EC2::SecurityGroup": "aws_security_group",
    "AWS::ECR::Repository": "aws_ecr_repository",
    "AWS::ECS::Cluster": "aws_ecs_cluster",
    "AWS::ECS::TaskDefinition": "aws_ecs_task_definition",
    "AWS::Events::ApiDestination": "aws_cloudwatch_event_api_destination",
    "AWS::Events::Connection": "aws_cloudwatch_event_connection",
    "AWS::Events::Rule": "aws_cloudwatch_event_rule",
    "AWS::Glue::Database": "aws_glue_catalog_database",
    "AWS::IAM::Policy": "aws_iam_role_policy",
    "AWS::IAM::Role": "aws_iam_role",
    "AWS::Logs::LogGroup": "aws_cloudwatch_log_group",
    "AWS::Logs::MetricFilter": "aws_cloudwatch_log_metric_filter",
    "AWS::S3::Bucket": "aws_s3_bucket",
    "AWS::S3::BucketPolicy": "aws_s3_bucket_policy",
    "AWS::SNS::Subscription": "aws_sns_topic_subscription",
    "AWS::SNS::Topic": "aws_sns_topic",
    "AWS::SNS::TopicPolicy": "aws_sns_topic_policy",
    "AWS::SQS::Queue": "aws_sqs_queue",
    "AWS::Scheduler::Schedule": "aws_scheduler_schedule",
}
PARTS = {
    ("AWS::ECR::Repository", "LifecyclePolicy"): "aws_ecr_lifecycle_policy",
    ("AWS::Events::Rule", "Targets"): "aws_cloudwatch_event_target",
    ("AWS::IAM::Role", "Policies"): "aws_iam_role_policy",
    ("AWS::S3::Bucket", "BucketEncryption"): "aws_s3_bucket_server_side_encryption_configuration",
    ("AWS::S3::Bucket", "LifecycleConfiguration"): "aws_s3_bucket_lifecycle_configuration",
    ("AWS::S3::Bucket", "OwnershipControls"): "aws_s3_bucket_ownership_controls",
    ("AWS::S3::Bucket", "PublicAccessBlockConfiguration"): "aws_s3_bucket_public_access_block",
}


class Template(yaml.SafeLoader):
    """YAML in which CloudFormation's functions are their arguments."""


def argument(loader, _, node):
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_mapping(node, deep=True)


Template.add_multi_constructor("!", argument)


def snake(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def listed(value):
    return value if isinstance(value, list) else [value]


def statements(node):
    """Every policy statement with an id below a node of the template."""
    if isinstance(node, dict):
        if "Sid" in node:
            yield {"sid": node["Sid"], "effect": node["Effect"], "actions": sorted(listed(node["Action"]))}
        for value in node.values():
            yield from statements(value)
    if isinstance(node, list):
        for value in node:
            yield from statements(value)


def of_template(template):
    resources = {}
    for name, each in template["Resources"].items():
        kinds = {KINDS[each["Type"]]}
        kinds |= {part for (kind, key), part in PARTS.items() if kind == each["Type"] and key in each["Properties"]}
        resources[snake(name)] = sorted(kinds)
    all_of = lambda kind: [each["Properties"] for each in template["Resources"].values() if each["Type"] == kind]
    return {
        "parameters": {
            snake(name): str(each.get("Default")) for name, each in template["Parameters"].items()
        },
        "outputs": {snake(name): each["Description"] for name, each in template["Outputs"].items()},
        "resources": resources,
        "policies": sorted(statements(template["Resources"]), key=json.dumps),
        "filters": {each["FilterName"]: each["FilterPattern"] for each in all_of("AWS::Logs::MetricFilter")},
        "alarms": sorted(
            [
                each[key]
                for key in ("MetricName", "Statistic", "Period", "EvaluationPeriods", "Threshold", "ComparisonOperator", "TreatMissingData", "AlarmDescription")
            ]
            for each in all_of("AWS::CloudWatch::Alarm")
        ),
    }


def plain(value):
    """A value of the parser, whose texts may keep their quotes."""
    if isinstance(value, str):
        return re.sub(r'\\(["\\])', r"\1", value.removeprefix('"').removesuffix('"')) if value.startswith('"') else value
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {plain(key): plain(one) for key, one in value.items() if not key.startswith("__")}
    return value


def of_terraform(folder):
    parts = {"variable": {}, "output": {}, "resource": [], "data": []}
    for file in sorted(folder.glob("*.tf")):
        with open(file, encoding="utf-8") as text:
            parsed = plain(hcl2.load(text))
        for block in ("variable", "output"):
            for each in parsed.get(block, []):
                parts[block] |= each
        for block in ("resource", "data"):
            parts[block] += [(kind, name, body) for each in parsed.get(block, []) for kind, named in each.items() for name, body in named.items()]
    resources = {}
    for kind, name, _ in parts["resource"]:
        resources.setdefault(name, []).append(kind)
    policies = []
    for kind, _, body in parts["data"]:
        if kind == "aws_iam_policy_document":
            policies += [
                {"sid": each["sid"], "effect": each.get("effect", "Allow"), "actions": sorted(each["actions"])}
                for each in body["statement"]
                if "sid" in each
            ]
    of = lambda kind: [body for each, _, body in parts["resource"] if each == kind]
    return {
        "parameters": {
            # The stack of CloudFormation has a name without a parameter.
            name: str(body.get("default")) for name, body in parts["variable"].items() if name != "name"
        },
        "outputs": {name: body["description"] for name, body in parts["output"].items()},
        "resources": {name: sorted(kinds) for name, kinds in resources.items()},
        "policies": sorted(policies, key=json.dumps),
        "filters": {body["name"]: body["pattern"] for body in of("aws_cloudwatch_log_metric_filter")},
        "alarms": sorted(
            [
                body[key]
                for key in ("metric_name", "statistic", "period", "evaluation_periods", "threshold", "comparison_operator", "treat_missing_data", "alarm_description")
            ]
            for body in of("aws_cloudwatch_metric_alarm")
        ),
    }


def main():
    template, folder = map(pathlib.Path, sys.argv[1:])
    both = {
        "cloudformation": of_template(yaml.load(template.read_text(encoding="utf-8"), Template)),
        "terraform": of_terraform(folder),
    }
    json.dump(both, sys.stdout, indent=1)


main()
