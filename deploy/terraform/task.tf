# Image, cluster, task and schedule.

resource "aws_ecr_repository" "repository" {
  #checkov:skip=CKV_AWS_136:The image has nothing secret.
  name                 = var.name
  image_tag_mutability = "IMMUTABLE"

  image_scanning_configuration {
    scan_on_push = true
  }
}

resource "aws_ecr_lifecycle_policy" "repository" {
  repository = aws_ecr_repository.repository.name
  policy = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "the last ten images"
      selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = 10 }
      action       = { type = "expire" }
    }]
  })
}

resource "aws_ecs_cluster" "cluster" {
  #checkov:skip=CKV_AWS_65:Container Insights costs more than the task.
  name = var.name

  setting {
    name  = "containerInsights"
    value = "disabled"
  }
}

resource "aws_cloudwatch_log_group" "log_group" {
  #checkov:skip=CKV_AWS_158:The log has no message of the exported logs and no credentials.
  #checkov:skip=CKV_AWS_338:The receipts in the answers' bucket are the long record.
  name              = "/ecs/${var.name}"
  retention_in_days = var.log_retention_days
}

resource "aws_security_group" "security_group" {
  #checkov:skip=CKV2_AWS_5:The schedule gives it to the task.
  name_prefix = "${var.name}-"
  description = "logtally reaches AWS over HTTPS, and nothing reaches logtally"
  vpc_id      = var.vpc_id

  egress {
    description = "The interfaces of AWS"
    protocol    = "tcp"
    from_port   = 443
    to_port     = 443
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_ecs_task_definition" "task_definition" {
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  execution_role_arn       = aws_iam_role.execution_role.arn
  task_role_arn            = aws_iam_role.task_role.arn

  runtime_platform {
    cpu_architecture        = var.architecture
    operating_system_family = "LINUX"
  }

  ephemeral_storage {
    size_in_gib = var.disk_gib
  }

  volume {
    name = "tmp"
  }

  container_definitions = jsonencode([{
    name      = "logtally"
    image     = "${aws_ecr_repository.repository.repository_url}:${var.image_tag}"
    essential = true
    command   = ["run", local.job_location]
    environment = [
      { name = "AWS_REGION", value = local.region },
      { name = "LOGTALLY_EXPORTS", value = local.exports_location },
      { name = "LOGTALLY_ANSWERS", value = local.answers_location },
    ]
    secrets                = local.has_secret ? [{ name = var.secret_variable, valueFrom = var.secret_arn }] : []
    user                   = "65532:65532"
    readonlyRootFilesystem = true
    mountPoints            = [{ sourceVolume = "tmp", containerPath = "/tmp", readOnly = false }]
    linuxParameters        = { capabilities = { drop = ["ALL"] } }
    # A run ends within seconds of SIGTERM; this leaves time for a slow last request.
    stopTimeout = 120
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.log_group.name
        awslogs-region        = local.region
        awslogs-stream-prefix = "run"
      }
    }
  }])
}

resource "aws_sqs_queue" "dead_letters" {
  name                      = "${var.name}-not-started"
  sqs_managed_sse_enabled   = true
  message_retention_seconds = 1209600
}

resource "aws_scheduler_schedule" "schedule" {
  #checkov:skip=CKV_AWS_297:The schedule has nothing secret.
  name                         = var.name
  schedule_expression          = var.schedule_expression
  schedule_expression_timezone = var.schedule_timezone
  state                        = var.schedule_state

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_ecs_cluster.cluster.arn
    role_arn = aws_iam_role.schedule_role.arn

    ecs_parameters {
      task_definition_arn = aws_ecs_task_definition.task_definition.arn
      launch_type         = "FARGATE"
      task_count          = 1

      network_configuration {
        subnets          = var.subnet_ids
        security_groups  = [aws_security_group.security_group.id]
        assign_public_ip = var.assign_public_ip == "ENABLED"
      }
    }

    # Requests that fail are repeated. A run that fails is done again by the next one.
    retry_policy {
      maximum_retry_attempts       = 10
      maximum_event_age_in_seconds = 7200
    }

    dead_letter_config {
      arn = aws_sqs_queue.dead_letters.arn
    }
  }
}
