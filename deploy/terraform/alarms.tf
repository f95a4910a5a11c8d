# Notifications, and what rings them.

resource "aws_sns_topic" "topic" {
  #checkov:skip=CKV_AWS_26:Alarms can't publish to a topic under the key of AWS, and the texts have nothing secret.
  name         = var.name
  display_name = "logtally"
}

resource "aws_sns_topic_subscription" "email_subscription" {
  count     = local.has_email ? 1 : 0
  topic_arn = aws_sns_topic.topic.arn
  protocol  = "email"
  endpoint  = var.alarm_email
}

data "aws_iam_policy_document" "topic" {
  statement {
    sid       = "Alarms"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.topic.arn]

    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com"]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:${local.partition}:cloudwatch:${local.region}:${local.account}:alarm:${var.name}-*"]
    }
  }

  statement {
    sid       = "Tasks"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.topic.arn]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_cloudwatch_event_rule.task_failed.arn]
    }
  }
}

resource "aws_sns_topic_policy" "topic_policy" {
  arn    = aws_sns_topic.topic.arn
  policy = data.aws_iam_policy_document.topic.json
}

resource "aws_cloudwatch_event_connection" "slack_connection" {
  count              = local.has_slack ? 1 : 0
  name               = "${var.name}-slack"
  description        = "Slack takes the URL of the webhook as the credential, and EventBridge wants one in a header"
  authorization_type = "API_KEY"

  auth_parameters {
    api_key {
      key   = "X-Sender"
      value = "logtally"
    }
  }
}

resource "aws_cloudwatch_event_api_destination" "slack_destination" {
  count                            = local.has_slack ? 1 : 0
  name                             = "${var.name}-slack"
  connection_arn                   = aws_cloudwatch_event_connection.slack_connection[0].arn
  invocation_endpoint              = var.slack_webhook
  http_method                      = "POST"
  invocation_rate_limit_per_second = 1
}

data "aws_iam_policy_document" "events" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

resource "aws_iam_role" "slack_role" {
  count              = local.has_slack ? 1 : 0
  name_prefix        = "${var.name}-slack-"
  assume_role_policy = data.aws_iam_policy_document.events.json
}

resource "aws_iam_role_policy" "slack_role" {
  count = local.has_slack ? 1 : 0
  name  = "post"
  role  = aws_iam_role.slack_role[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = "events:InvokeApiDestination"
      Resource = aws_cloudwatch_event_api_destination.slack_destination[0].arn
    }]
  })
}

locals {
  # The task did not start, or ended with a failure. 8 is no failure: another run holds the window.
  task_failed = jsonencode({
    source      = ["aws.ecs"]
    detail-type = ["ECS Task State Change"]
    detail = {
      clusterArn = [aws_ecs_cluster.cluster.arn]
      group      = ["family:${var.name}"]
      lastStatus = ["STOPPED"]
      "$or" = [
        { stopCode = ["TaskFailedToStart"] },
        { containers = { exitCode = [{ anything-but = [0, 8] }] } },
      ]
    }
  })
}

resource "aws_cloudwatch_event_rule" "task_failed" {
  name          = "${var.name}-task-failed"
  description   = "The task did not start, or its exit code is neither 0 nor 8"
  event_pattern = local.task_failed
}

resource "aws_cloudwatch_event_target" "task_failed" {
  rule      = aws_cloudwatch_event_rule.task_failed.name
  target_id = "topic"
  arn       = aws_sns_topic.topic.arn

  input_transformer {
    input_paths = {
      code   = "$.detail.containers[0].exitCode"
      reason = "$.detail.stoppedReason"
      task   = "$.detail.taskArn"
    }
    input_template = "\"logtally (${var.name}): the task failed with exit code <code>. <reason>. The log is in ${aws_cloudwatch_log_group.log_group.name}. <task>\""
  }
}

resource "aws_cloudwatch_event_rule" "task_failed_to_slack" {
  count         = local.has_slack ? 1 : 0
  name          = "${var.name}-task-failed-to-slack"
  description   = "The task did not start, or its exit code is neither 0 nor 8"
  event_pattern = local.task_failed
}

resource "aws_cloudwatch_event_target" "task_failed_to_slack" {
  count     = local.has_slack ? 1 : 0
  rule      = aws_cloudwatch_event_rule.task_failed_to_slack[0].name
  target_id = "slack"
  arn       = aws_cloudwatch_event_api_destination.slack_destination[0].arn
  role_arn  = aws_iam_role.slack_role[0].arn

  input_transformer {
    input_paths = {
      code   = "$.detail.containers[0].exitCode"
      reason = "$.detail.stoppedReason"
    }
    input_template = "{\"text\": \"logtally (${var.name}): the task failed with exit code <code>. The log is in ${aws_cloudwatch_log_group.log_group.name}.\", \"attachments\": [{\"text\": <reason>}]}"
  }
}

resource "aws_cloudwatch_event_rule" "alarm_to_slack" {
  count       = local.has_slack ? 1 : 0
  name        = "${var.name}-alarm-to-slack"
  description = "An alarm of this stack rings"
  event_pattern = jsonencode({
    source      = ["aws.cloudwatch"]
    detail-type = ["CloudWatch Alarm State Change"]
    resources   = [{ prefix = "arn:${local.partition}:cloudwatch:${local.region}:${local.account}:alarm:${var.name}-" }]
    detail      = { state = { value = ["ALARM"] } }
  })
}

resource "aws_cloudwatch_event_target" "alarm_to_slack" {
  count     = local.has_slack ? 1 : 0
  rule      = aws_cloudwatch_event_rule.alarm_to_slack[0].name
  target_id = "slack"
  arn       = aws_cloudwatch_event_api_destination.slack_destination[0].arn
  role_arn  = aws_iam_role.slack_role[0].arn

  input_transformer {
    input_paths = {
      name  = "$.detail.alarmName"
      about = "$.detail.configuration.description"
    }
    input_template = "{\"text\": <name>, \"attachments\": [{\"text\": <about>}]}"
  }
}

resource "aws_cloudwatch_metric_alarm" "not_started" {
  alarm_name          = "${var.name}-not-started"
  alarm_description   = "The schedule could not start the task; the request and the reason are in the dead-letter queue"
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.dead_letters.name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.topic.arn]
}

resource "aws_cloudwatch_log_metric_filter" "done_metric" {
  log_group_name = aws_cloudwatch_log_group.log_group.name
  name           = "done"
  pattern        = "{ $.event = \"run.done\" && ($.outcome = \"done\" || $.outcome = \"skipped\") }"

  metric_transformation {
    namespace = "logtally/${var.name}"
    name      = "WindowsDone"
    value     = "1"
    unit      = "Count"
  }
}

resource "aws_cloudwatch_metric_alarm" "no_success" {
  alarm_name          = "${var.name}-no-success"
  alarm_description   = "No window was done for 26 hours"
  namespace           = "logtally/${var.name}"
  metric_name         = "WindowsDone"
  statistic           = "Sum"
  period              = 3600
  evaluation_periods  = 26
  datapoints_to_alarm = 26
  threshold           = 1
  comparison_operator = "LessThanThreshold"
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.topic.arn]
}

resource "aws_cloudwatch_log_metric_filter" "settled_metric" {
  log_group_name = aws_cloudwatch_log_group.log_group.name
  name           = "settled"
  pattern        = "{ $.event = \"run.done\" && $.provisional IS FALSE && ($.outcome = \"done\" || $.outcome = \"skipped\") }"

  metric_transformation {
    namespace = "logtally/${var.name}"
    name      = "WindowsSettled"
    value     = "1"
    unit      = "Count"
  }
}

resource "aws_cloudwatch_metric_alarm" "still_provisional" {
  alarm_name          = "${var.name}-still-provisional"
  alarm_description   = "Every window that was done in three days is provisional, so no answer of that time is final"
  namespace           = "logtally/${var.name}"
  metric_name         = "WindowsSettled"
  statistic           = "Sum"
  period              = 3600
  evaluation_periods  = 72
  datapoints_to_alarm = 72
  threshold           = 1
  comparison_operator = "LessThanThreshold"
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.topic.arn]
}

resource "aws_cloudwatch_log_metric_filter" "halved_metric" {
  log_group_name = aws_cloudwatch_log_group.log_group.name
  name           = "halved"
  pattern        = "{ $.event = \"run.done\" && $.outcome = \"done\" && $.provisional IS FALSE && $.week_over_week < 0.5 }"

  metric_transformation {
    namespace = "logtally/${var.name}"
    name      = "WindowsHalved"
    value     = "1"
    unit      = "Count"
  }
}

resource "aws_cloudwatch_metric_alarm" "halved" {
  alarm_name          = "${var.name}-halved"
  alarm_description   = "A settled window has less than half the events of the same weekday a week before"
  namespace           = "logtally/${var.name}"
  metric_name         = "WindowsHalved"
  statistic           = "Sum"
  period              = 3600
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.topic.arn]
}
