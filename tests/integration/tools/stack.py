"""Creates the stack of a CloudFormation template in moto, and prints what it made as JSON.

usage: stack.py TEMPLATE NAME    with the parameters as a JSON object on standard input

The network is the account's own. moto's CloudFormation leaves out types of resources, and properties of buckets. These are
made through the services' own interfaces, with the properties as the template resolves them. Standard output has the
outputs, the resolved properties of every resource, and credentials of the task's role.
"""

import json
import re
import sys

import boto3
import yaml

ACCOUNT = "123456789012"


class Template(yaml.SafeLoader):
    """YAML with the short forms of CloudFormation's functions."""


def function(loader, suffix, node):
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        return {name: value.split(".", 1) if suffix == "GetAtt" else value}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    return {name: loader.construct_mapping(node, deep=True)}


Template.add_multi_constructor("!", function)


class Resolver:
    def __init__(self, template, parameters, physical, attributes):
        self.template = template
        self.attributes = attributes
        self.values = parameters | physical
        self.conditions = {name: self.value(rule) for name, rule in template["Conditions"].items()}

    def value(self, node):
        if isinstance(node, list):
            return [value for value in map(self.value, node) if value is not None]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            (name, argument), = node.items()
            if name == "Ref" or name.startswith("Fn::"):
                return getattr(self, name.removeprefix("Fn::"))(argument)
        values = {key: self.value(value) for key, value in node.items()}
        return {key: value for key, value in values.items() if value is not None}

    def Ref(self, name):
        return None if name == "AWS::NoValue" else self.values[name]

    def GetAtt(self, path):
        return self.attributes[".".join(path)]

    def Sub(self, argument):
        text, own = (argument, {}) if isinstance(argument, str) else argument
        own = {name: self.value(value) for name, value in own.items()}

        def named(match):
            name = match[1]
            return own[name] if name in own else self.GetAtt(name.split(".")) if "." in name else self.values[name]

        return re.sub(r"\$\{([\w:.]+)\}", named, text)

    def If(self, argument):
        name, then, otherwise = argument
        return self.value(then if self.conditions[name] else otherwise)

    def Join(self, argument):
        return argument[0].join(self.value(argument[1]))

    def Split(self, argument):
        return self.value(argument[1]).split(argument[0])

    def Select(self, argument):
        return self.value(argument[1])[argument[0]]

    def Equals(self, argument):
        left, right = self.value(argument)
        return left == right

    def Not(self, argument):
        return not self.value(argument)[0]


def network():
    ec2 = boto3.client("ec2")
    subnets = ec2.describe_subnets()["Subnets"]
    return {"VpcId": subnets[0]["VpcId"], "SubnetIds": [subnet["SubnetId"] for subnet in subnets[:2]]}


def create(name, text, parameters):
    """The stack, as far as moto makes it: the names of its resources, and its outputs."""
    cloudformation = boto3.client("cloudformation")
    text_of = lambda value: ",".join(value) if isinstance(value, list) else str(value)
    given = [{"ParameterKey": key, "ParameterValue": text_of(value)} for key, value in parameters.items()]
    cloudformation.create_stack(StackName=name, TemplateBody=text, Parameters=given, Capabilities=["CAPABILITY_IAM"])
    stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack
    resources = cloudformation.list_stack_resources(StackName=name)["StackResourceSummaries"]
    physical = {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in resources if "PhysicalResourceId" in each}
    return physical, {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def attributes_of(name, physical, region):
    here = f"{region}:{ACCOUNT}"
    found = {
        "Cluster.Arn": f"arn:aws:ecs:{here}:cluster/{name}",
        "Repository.Arn": f"arn:aws:ecr:{here}:repository/{name}",
        "Repository.RepositoryUri": f"{ACCOUNT}.dkr.ecr.{region}.amazonaws.com/{name}",
        "LogGroup.Arn": f"arn:aws:logs:{here}:log-group:/ecs/{name}:*",
        "SecurityGroup.GroupId": physical["SecurityGroup"],
        "DeadLetters.Arn": f"arn:aws:sqs:{here}:{name}-not-started",
        "DeadLetters.QueueName": f"{name}-not-started",
        "TaskFailed.Arn": f"arn:aws:events:{here}:rule/{name}-task-failed",
    }
    for bucket in ("ExportsBucket", "AnswersBucket"):
        found[f"{bucket}.Arn"] = f"arn:aws:s3:::{physical.get(bucket)}"
    for role in ("TaskRole", "ExecutionRole", "ScheduleRole"):
        found[f"{role}.Arn"] = f"arn:aws:iam::{ACCOUNT}:role/{physical[role]}"
    return found


def complete(properties, physical):
    """Makes what moto's CloudFormation left out."""
    s3, logs = boto3.client("s3"), boto3.client("logs")
    for name in ("ExportsBucket", "AnswersBucket"):
        if name not in physical:
            continue
        bucket, given = physical[name], properties[name]
        s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=given["PublicAccessBlockConfiguration"])
        s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=given["OwnershipControls"])
        s3.put_bucket_lifecycle_configuration(
            Bucket=bucket,
            LifecycleConfiguration={"Rules": [rule_of(rule) for rule in given["LifecycleConfiguration"]["Rules"]]},
        )
        policy = dict(properties[f"{name}Policy"]["PolicyDocument"])
        # moto takes no notice of conditions, and would deny everything.
        policy["Statement"] = [each for each in policy["Statement"] if each["Effect"] == "Allow"]
        if not policy["Statement"]:
            continue
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    for name in ("TaskRole", "ExecutionRole", "ScheduleRole"):
        for policy in properties[name]["Policies"]:
            # moto's own CloudFormation keeps them in a form that moto can't enforce.
            document = policy["PolicyDocument"] | {"Statement": [enforceable(each) for each in policy["PolicyDocument"]["Statement"]]}
            boto3.client("iam").put_role_policy(
                RoleName=physical[name], PolicyName=policy["PolicyName"], PolicyDocument=json.dumps(document)
            )
    boto3.client("glue").create_database(DatabaseInput=properties["GlueDatabase"]["DatabaseInput"])
    for given in properties.values():
        if "FilterPattern" in given:
            lower = lambda name: name[0].lower() + name[1:]
            transformations = [{lower(key): value for key, value in each.items()} for each in given["MetricTransformations"]]
            logs.put_metric_filter(
                logGroupName=given["LogGroupName"],
                filterName=given["FilterName"],
                filterPattern=given["FilterPattern"],
                metricTransformations=transformations,
            )
        if "AlarmName" in given:
            boto3.client("cloudwatch").put_metric_alarm(**given)
    # Only CloudFormation begins this name with a capital.
    schedule = json.loads(json.dumps(properties["Schedule"]).replace('"AwsvpcConfiguration"', '"awsvpcConfiguration"'))
    boto3.client("scheduler").create_schedule(**schedule)


def enforceable(statement):
    """A statement as moto enforces it: actions of S3 by their resource, and all others as if it were `*`."""
    actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
    return statement if all(action.startswith("s3:") for action in actions) else statement | {"Resource": "*"}


def rule_of(rule):
    """A rule of a bucket's lifecycle as S3's own interface has it."""
    own = {"ID": rule["Id"], "Status": rule["Status"], "Filter": {"Prefix": rule.get("Prefix", "")}}
    if "ExpirationInDays" in rule:
        own["Expiration"] = {"Days": rule["ExpirationInDays"]}
    if "AbortIncompleteMultipartUpload" in rule:
        own["AbortIncompleteMultipartUpload"] = rule["AbortIncompleteMultipartUpload"]
    return own


def main():
    path, name = sys.argv[1:]
    text = open(path, encoding="utf-8").read()
    template = yaml.load(text, Template)
    given = network() | json.load(sys.stdin)
    physical, outputs = create(name, text, given)
    region = boto3.session.Session().region_name
    defaults = {key: each["Default"] for key, each in template["Parameters"].items() if "Default" in each}
    pseudo = {
        "AWS::StackName": name,
        "AWS::Region": region,
        "AWS::AccountId": ACCOUNT,
        "AWS::Partition": "aws",
        "AWS::URLSuffix": "amazonaws.com",
    }
    resolver = Resolver(template, defaults | given | pseudo, physical, attributes_of(name, physical, region))
    has = lambda each: "Condition" not in each or resolver.conditions[each["Condition"]]
    resources = {key: each for key, each in template["Resources"].items() if has(each)}
    properties = {key: resolver.value(each.get("Properties", {})) for key, each in resources.items()}
    complete(properties, physical)
    role = properties["TaskDefinition"]["TaskRoleArn"]
    credentials = boto3.client("sts").assume_role(RoleArn=role, RoleSessionName="task")["Credentials"]
    keys = ("AccessKeyId", "SecretAccessKey", "SessionToken")
    answer = {"outputs": outputs, "properties": properties, "credentials": {key: credentials[key] for key in keys}}
    json.dump(answer, sys.stdout)


main()
