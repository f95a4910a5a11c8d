# logtally as a scheduled Fargate task: the twin of ../cloudformation.yaml, with the same parameters, names and outputs.

terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.80"
    }
  }
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account = data.aws_caller_identity.current.account_id
  # The attribute `name` of version 5 is deprecated in version 6, whose `region` version 5 lacks. Both have `id`.
  region    = data.aws_region.current.id
  partition = data.aws_partition.current.partition
  suffix    = data.aws_partition.current.dns_suffix

  exports_bucket = var.existing_exports_bucket == "" ? aws_s3_bucket.exports_bucket[0].id : var.existing_exports_bucket
  answers_bucket = var.existing_answers_bucket == "" ? aws_s3_bucket.answers_bucket[0].id : var.existing_answers_bucket
  exports_arn    = "arn:${local.partition}:s3:::${local.exports_bucket}"
  answers_arn    = "arn:${local.partition}:s3:::${local.answers_bucket}"

  exports_location = "s3://${local.exports_bucket}/${var.exports_prefix}"
  answers_location = "s3://${local.answers_bucket}/${var.answers_prefix}"
  job_location     = "s3://${local.answers_bucket}/${var.job_folder}/${var.job_file}"

  has_secret = var.secret_arn != ""
  has_email  = var.alarm_email != ""
  has_slack  = nonsensitive(var.slack_webhook) != ""
}
