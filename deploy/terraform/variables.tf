variable "name" {
  description = "The name of everything that is made; the name of the stack in CloudFormation"
  type        = string
  default     = "logtally"
}

variable "job_folder" {
  description = "The folder of the job file and its SQL files in the answers' bucket, without a slash at its ends"
  type        = string
  default     = "jobs"
}

variable "job_file" {
  description = "The name of the job file in that folder"
  type        = string
  default     = "nightly.toml"
}

variable "log_group_arns" {
  description = "The log groups that the job may export, as ARNs or patterns that end in an asterisk, such as arn:aws:logs:ap-northeast-2:123456789012:log-group:/aws/lambda/checkout-*"
  type        = list(string)
}

variable "schedule_expression" {
  description = "When the job runs, as EventBridge Scheduler writes it"
  type        = string
  default     = "cron(30 9 * * ? *)"
}

variable "schedule_timezone" {
  description = "The zone of the schedule, an IANA name such as Asia/Seoul"
  type        = string
  default     = "UTC"
}

variable "schedule_state" {
  description = "Whether the schedule starts tasks: ENABLED or DISABLED"
  type        = string
  default     = "ENABLED"
}

variable "existing_exports_bucket" {
  description = "A bucket in this Region for the exports; empty for a new one. The policy of an existing bucket is left alone and must let CloudWatch Logs write"
  type        = string
  default     = ""
}

variable "exports_prefix" {
  description = "The prefix of the exports, without a slash at its ends"
  type        = string
  default     = "exports"
}

variable "exports_days" {
  description = "After how many days the new exports' bucket deletes exports. The key keep of a job can delete them earlier"
  type        = number
  default     = 90
}

variable "existing_answers_bucket" {
  description = "A bucket for answers, charts, receipts and job files; empty for a new one"
  type        = string
  default     = ""
}

variable "answers_prefix" {
  description = "The prefix of the answers, without a slash at its ends"
  type        = string
  default     = "logtally"
}

variable "glue_database_name" {
  description = "The Glue database of the answers' tables"
  type        = string
  default     = "logtally"
}

variable "image_tag" {
  description = "The tag of the image in the repository"
  type        = string
  default     = "0.1.0"
}

variable "architecture" {
  description = "The processor that the image was built for: X86_64 or ARM64"
  type        = string
  default     = "X86_64"
}

variable "cpu" {
  description = "CPU units; 1024 are one vCPU"
  type        = string
  default     = "1024"
}

variable "memory" {
  description = "Memory in MiB, of a size that Fargate offers for this CPU"
  type        = string
  default     = "2048"
}

variable "disk_gib" {
  description = "Ephemeral storage in GiB, 21 to 200, for spilling and cached objects. Fargate bills what is above 20"
  type        = number
  default     = 21
}

variable "secret_arn" {
  description = "A secret of Secrets Manager, or one of its keys, for a variable of the job file; empty for none"
  type        = string
  default     = ""
}

variable "secret_variable" {
  description = "The name of the environment variable that has the secret"
  type        = string
  default     = "LOGTALLY_SECRET"
}

variable "log_retention_days" {
  description = "How long the log of the task is kept"
  type        = number
  default     = 90
}

variable "vpc_id" {
  description = "The network of the task"
  type        = string
}

variable "subnet_ids" {
  description = "Subnets from which AWS's services are reached, by a NAT gateway, endpoints or a public address"
  type        = list(string)
}

variable "assign_public_ip" {
  description = "Whether the task has a public address, as it needs in a public subnet: ENABLED or DISABLED"
  type        = string
  default     = "DISABLED"
}

variable "alarm_email" {
  description = "The address that alarms are sent to, which must confirm the subscription; empty for none"
  type        = string
  default     = ""
}

variable "slack_webhook" {
  description = "The URL of an incoming webhook of Slack that alarms are sent to; empty for none"
  type        = string
  default     = ""
  sensitive   = true
}
