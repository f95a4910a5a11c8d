output "job_location" {
  description = "Where the job file belongs"
  value       = local.job_location
}

output "exports_location" {
  description = "Where CloudWatch Logs writes its exports; LOGTALLY_EXPORTS in the task"
  value       = local.exports_location
}

output "answers_location" {
  description = "Where the answers go; LOGTALLY_ANSWERS in the task"
  value       = local.answers_location
}

output "repository_uri" {
  description = "Where the image is pushed"
  value       = aws_ecr_repository.repository.repository_url
}

output "cluster_name" {
  description = "The cluster that the task runs in"
  value       = aws_ecs_cluster.cluster.name
}

output "task_definition_arn" {
  description = "The task definition"
  value       = aws_ecs_task_definition.task_definition.arn
}

output "task_role_arn" {
  description = "The role of the task"
  value       = aws_iam_role.task_role.arn
}

output "execution_role_arn" {
  description = "The role with which ECS starts the task"
  value       = aws_iam_role.execution_role.arn
}

output "security_group_id" {
  description = "The security group of the task"
  value       = aws_security_group.security_group.id
}

output "log_group_name" {
  description = "The log of the task"
  value       = aws_cloudwatch_log_group.log_group.name
}

output "topic_arn" {
  description = "The topic of the alarms"
  value       = aws_sns_topic.topic.arn
}

output "glue_database_name" {
  description = "The database of the answers' tables"
  value       = aws_glue_catalog_database.glue_database.name
}
