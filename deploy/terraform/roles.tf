# What the task may do, what ECS may do to start it, and what the schedule may do.

data "aws_iam_policy_document" "ecs_tasks" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:${local.partition}:ecs:${local.region}:${local.account}:*"]
    }
  }
}

resource "aws_iam_role" "task_role" {
  name_prefix        = "${var.name}-task-"
  assume_role_policy = data.aws_iam_policy_document.ecs_tasks.json
}

data "aws_iam_policy_document" "job" {
  #checkov:skip=CKV_AWS_356:These actions can't be limited to log groups.
  statement {
    sid = "LogGroups"
    actions = [
      "logs:DescribeLogStreams",
      "logs:CreateExportTask",
      # via = "events" or "auto"
      "logs:FilterLogEvents",
      # verify = "insights"
      "logs:StartQuery",
      "logs:GetQueryResults",
    ]
    resources = var.log_group_arns
  }

  statement {
    sid = "WholeAccount"
    actions = [
      "logs:DescribeLogGroups",
      "logs:DescribeExportTasks",
      "logs:StopQuery",
      "cloudwatch:GetMetricData",
    ]
    resources = ["*"]
  }

  statement {
    sid       = "Buckets"
    actions   = ["s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:GetBucketAcl"]
    resources = [local.exports_arn, local.answers_arn]
  }

  statement {
    sid       = "JobFiles"
    actions   = ["s3:GetObject"]
    resources = ["${local.answers_arn}/${var.job_folder}/*"]
  }

  statement {
    sid     = "Objects"
    actions = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"]
    resources = [
      "${local.exports_arn}/${var.exports_prefix}/*",
      "${local.answers_arn}/${var.answers_prefix}/*",
    ]
  }

  statement {
    sid     = "OwnExportsStatesAndParts"
    actions = ["s3:DeleteObject"]
    resources = [
      "${local.exports_arn}/${var.exports_prefix}/*",
      "${local.answers_arn}/${var.answers_prefix}/*/runs/_state/*",
      "${local.answers_arn}/${var.answers_prefix}/*/parts/*",
    ]
  }

  # ddl --apply
  statement {
    sid     = "Tables"
    actions = ["glue:GetDatabase", "glue:CreateDatabase", "glue:GetTable", "glue:CreateTable", "glue:UpdateTable"]
    resources = [
      "arn:${local.partition}:glue:${local.region}:${local.account}:catalog",
      "arn:${local.partition}:glue:${local.region}:${local.account}:database/${var.glue_database_name}",
      "arn:${local.partition}:glue:${local.region}:${local.account}:table/${var.glue_database_name}/*",
    ]
  }
}

resource "aws_iam_role_policy" "task_role" {
  name   = "job"
  role   = aws_iam_role.task_role.id
  policy = data.aws_iam_policy_document.job.json
}

resource "aws_iam_role" "execution_role" {
  name_prefix        = "${var.name}-execution-"
  assume_role_policy = data.aws_iam_policy_document.ecs_tasks.json
}

data "aws_iam_policy_document" "start" {
  #checkov:skip=CKV_AWS_356:A login can't be limited to a repository.
  statement {
    sid       = "Login"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"]
  }

  statement {
    sid       = "Pull"
    actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    resources = [aws_ecr_repository.repository.arn]
  }

  statement {
    sid       = "Log"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.log_group.arn}:*"]
  }
}

resource "aws_iam_role_policy" "execution_role" {
  name   = "start"
  role   = aws_iam_role.execution_role.id
  policy = data.aws_iam_policy_document.start.json
}

data "aws_iam_policy_document" "secret" {
  count = local.has_secret ? 1 : 0

  statement {
    sid     = "Secret"
    actions = ["secretsmanager:GetSecretValue"]
    # The ARN may name a key of the secret behind its seventh part.
    resources = [join(":", slice(split(":", var.secret_arn), 0, 7))]
  }
}

resource "aws_iam_role_policy" "secret_policy" {
  count  = local.has_secret ? 1 : 0
  name   = "secret"
  role   = aws_iam_role.execution_role.id
  policy = data.aws_iam_policy_document.secret[0].json
}

data "aws_iam_policy_document" "scheduler" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["scheduler.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

resource "aws_iam_role" "schedule_role" {
  name_prefix        = "${var.name}-schedule-"
  assume_role_policy = data.aws_iam_policy_document.scheduler.json
}

data "aws_iam_policy_document" "schedule" {
  statement {
    sid       = "Run"
    actions   = ["ecs:RunTask"]
    resources = ["arn:${local.partition}:ecs:${local.region}:${local.account}:task-definition/${var.name}:*"]

    condition {
      test     = "ArnEquals"
      variable = "ecs:cluster"
      values   = [aws_ecs_cluster.cluster.arn]
    }
  }

  statement {
    sid       = "Roles"
    actions   = ["iam:PassRole"]
    resources = [aws_iam_role.task_role.arn, aws_iam_role.execution_role.arn]

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ecs-tasks.amazonaws.com"]
    }
  }

  statement {
    sid       = "DeadLetters"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.dead_letters.arn]
  }
}

resource "aws_iam_role_policy" "schedule_role" {
  name   = "start"
  role   = aws_iam_role.schedule_role.id
  policy = data.aws_iam_policy_document.schedule.json
}
