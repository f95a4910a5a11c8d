# Buckets and the Glue database.

resource "aws_s3_bucket" "exports_bucket" {
  #checkov:skip=CKV_AWS_18:The exports are copies of logs; who reads them is in CloudTrail where it is on.
  #checkov:skip=CKV_AWS_21:A rerun writes the same keys, and exports are made again: versions would only cost.
  #checkov:skip=CKV_AWS_144:Exports are made again from the logs.
  #checkov:skip=CKV_AWS_145:SSE-S3; a key of your own needs a key policy for CloudWatch Logs.
  #checkov:skip=CKV2_AWS_62:Nothing waits for an object.
  count         = var.existing_exports_bucket == "" ? 1 : 0
  bucket_prefix = "${var.name}-exports-"
}

resource "aws_s3_bucket_server_side_encryption_configuration" "exports_bucket" {
  count  = length(aws_s3_bucket.exports_bucket)
  bucket = aws_s3_bucket.exports_bucket[0].id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_ownership_controls" "exports_bucket" {
  count  = length(aws_s3_bucket.exports_bucket)
  bucket = aws_s3_bucket.exports_bucket[0].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "exports_bucket" {
  count                   = length(aws_s3_bucket.exports_bucket)
  bucket                  = aws_s3_bucket.exports_bucket[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_lifecycle_configuration" "exports_bucket" {
  count  = length(aws_s3_bucket.exports_bucket)
  bucket = aws_s3_bucket.exports_bucket[0].id

  rule {
    id     = "exports"
    status = "Enabled"

    filter {
      prefix = "${var.exports_prefix}/"
    }

    expiration {
      days = var.exports_days
    }
  }

  rule {
    id     = "aborted-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 2
    }
  }
}

data "aws_iam_policy_document" "exports_bucket" {
  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [local.exports_arn, "${local.exports_arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }

  statement {
    sid       = "LogtallyExportChecks"
    actions   = ["s3:GetBucketAcl"]
    resources = [local.exports_arn]

    principals {
      type        = "Service"
      identifiers = ["logs.${local.region}.${local.suffix}"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:${local.partition}:logs:${local.region}:${local.account}:log-group:*"]
    }
  }

  statement {
    sid       = "LogtallyExportWrites"
    actions   = ["s3:PutObject"]
    resources = ["${local.exports_arn}/${var.exports_prefix}/*"]

    principals {
      type        = "Service"
      identifiers = ["logs.${local.region}.${local.suffix}"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }

    condition {
      test     = "StringEquals"
      variable = "s3:x-amz-acl"
      values   = ["bucket-owner-full-control"]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:${local.partition}:logs:${local.region}:${local.account}:log-group:*"]
    }
  }
}

resource "aws_s3_bucket_policy" "exports_bucket_policy" {
  count  = length(aws_s3_bucket.exports_bucket)
  bucket = aws_s3_bucket.exports_bucket[0].id
  policy = data.aws_iam_policy_document.exports_bucket.json
}

resource "aws_s3_bucket" "answers_bucket" {
  #checkov:skip=CKV_AWS_18:Who reads the answers is in CloudTrail where it is on.
  #checkov:skip=CKV_AWS_21:A rerun writes the same keys, and answers are computed again: versions would only cost.
  #checkov:skip=CKV_AWS_144:Replicate the answers where you need them in another Region.
  #checkov:skip=CKV_AWS_145:SSE-S3, which every reader of the answers can decrypt.
  #checkov:skip=CKV2_AWS_62:Nothing waits for an object.
  count         = var.existing_answers_bucket == "" ? 1 : 0
  bucket_prefix = "${var.name}-answers-"
}

resource "aws_s3_bucket_server_side_encryption_configuration" "answers_bucket" {
  count  = length(aws_s3_bucket.answers_bucket)
  bucket = aws_s3_bucket.answers_bucket[0].id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_ownership_controls" "answers_bucket" {
  count  = length(aws_s3_bucket.answers_bucket)
  bucket = aws_s3_bucket.answers_bucket[0].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "answers_bucket" {
  count                   = length(aws_s3_bucket.answers_bucket)
  bucket                  = aws_s3_bucket.answers_bucket[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_lifecycle_configuration" "answers_bucket" {
  count  = length(aws_s3_bucket.answers_bucket)
  bucket = aws_s3_bucket.answers_bucket[0].id

  rule {
    id     = "aborted-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 2
    }
  }
}

data "aws_iam_policy_document" "answers_bucket" {
  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [local.answers_arn, "${local.answers_arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "answers_bucket_policy" {
  count  = length(aws_s3_bucket.answers_bucket)
  bucket = aws_s3_bucket.answers_bucket[0].id
  policy = data.aws_iam_policy_document.answers_bucket.json
}

resource "aws_glue_catalog_database" "glue_database" {
  name        = var.glue_database_name
  description = "The answers of logtally"
}
