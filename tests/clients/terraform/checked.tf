# The least configuration: the provider finds out by itself who it is and what there is.

terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

variable "endpoint" {
  type = string
}

provider "aws" {
  region     = "us-east-1"
  access_key = "111111111111"
  secret_key = "secret"
  endpoints {
    ec2 = var.endpoint
    sts = var.endpoint
  }
}

data "aws_caller_identity" "me" {}

resource "aws_vpc" "only" {
  cidr_block = "10.0.0.0/16"
}

output "account" {
  value = data.aws_caller_identity.me.account_id
}
