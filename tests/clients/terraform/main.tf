# Two accounts, each with a VPC, peered, and everything that a VPC usually has around it.

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

# As people write it who work against a local endpoint; `checked.tf` skips nothing. Who skips the
# question for the account too (`skip_requesting_account_id`) has a provider that takes every group
# for another account's.
provider "aws" {
  region                      = "us-east-1"
  access_key                  = "111111111111"
  secret_key                  = "secret"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  endpoints {
    ec2 = var.endpoint
    sts = var.endpoint
  }
  default_tags {
    tags = {
      Owner = "requester"
    }
  }
}

provider "aws" {
  alias                       = "accepter"
  region                      = "us-east-1"
  access_key                  = "222222222222"
  secret_key                  = "secret"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  endpoints {
    ec2 = var.endpoint
    sts = var.endpoint
  }
}

# ---- networks ------------------------------------------------------------------------------------

data "aws_availability_zones" "here" {
  state = "available"
}

data "aws_caller_identity" "accepter" {
  provider = aws.accepter
}

resource "aws_vpc" "near" {
  cidr_block           = "10.0.0.0/16"
  enable_dns_hostnames = true
  tags = {
    Name = "near"
  }
}

resource "aws_vpc" "far" {
  provider   = aws.accepter
  cidr_block = "10.1.0.0/16"
  tags = {
    Name = "far <&> \"away\""
  }
}

resource "aws_subnet" "near" {
  count             = 2
  vpc_id            = aws_vpc.near.id
  cidr_block        = cidrsubnet(aws_vpc.near.cidr_block, 8, count.index)
  availability_zone = data.aws_availability_zones.here.names[count.index]
  tags = {
    Name = "near-${count.index}"
  }
}

resource "aws_subnet" "far" {
  provider   = aws.accepter
  vpc_id     = aws_vpc.far.id
  cidr_block = "10.1.0.0/24"
}

# ---- the peering ---------------------------------------------------------------------------------

resource "aws_vpc_peering_connection" "it" {
  vpc_id        = aws_vpc.near.id
  peer_vpc_id   = aws_vpc.far.id
  peer_owner_id = data.aws_caller_identity.accepter.account_id
  tags = {
    Side = "requester"
  }
}

resource "aws_vpc_peering_connection_accepter" "it" {
  provider                  = aws.accepter
  vpc_peering_connection_id = aws_vpc_peering_connection.it.id
  auto_accept               = true
  tags = {
    Side = "accepter"
  }
}

# ---- routes --------------------------------------------------------------------------------------

resource "aws_route_table" "near" {
  vpc_id = aws_vpc.near.id
  route {
    cidr_block                = aws_vpc.far.cidr_block
    vpc_peering_connection_id = aws_vpc_peering_connection_accepter.it.id
  }
  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.near.id
  }
}

resource "aws_route_table_association" "near" {
  count          = 2
  subnet_id      = aws_subnet.near[count.index].id
  route_table_id = aws_route_table.near.id
}

resource "aws_route" "far" {
  provider                  = aws.accepter
  route_table_id            = aws_vpc.far.main_route_table_id
  destination_cidr_block    = aws_vpc.near.cidr_block
  vpc_peering_connection_id = aws_vpc_peering_connection_accepter.it.id
}

resource "aws_internet_gateway" "near" {
  vpc_id = aws_vpc.near.id
}

resource "aws_egress_only_internet_gateway" "near" {
  vpc_id = aws_vpc.near.id
  tags = {
    Name = "out"
  }
}

resource "aws_eip" "nat" {
  domain = "vpc"
}

resource "aws_nat_gateway" "near" {
  allocation_id = aws_eip.nat.id
  subnet_id     = aws_subnet.near[0].id
  depends_on    = [aws_internet_gateway.near]
}

# ---- filters -------------------------------------------------------------------------------------

resource "aws_security_group" "web" {
  name        = "web"
  description = "Answers on 443"
  vpc_id      = aws_vpc.near.id
  ingress {
    description = "from the peer"
    from_port   = 443
    to_port     = 443
    protocol    = "tcp"
    cidr_blocks = [aws_vpc.far.cidr_block]
  }
  ingress {
    from_port = 0
    to_port   = 0
    protocol  = "-1"
    self      = true
  }
  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_security_group" "apart" {
  name_prefix = "apart-"
  vpc_id      = aws_vpc.near.id
}

resource "aws_vpc_security_group_ingress_rule" "ping" {
  security_group_id = aws_security_group.apart.id
  cidr_ipv4         = "10.0.0.0/8"
  from_port         = -1
  to_port           = -1
  ip_protocol       = "icmp"
  description       = "echo"
  tags = {
    Name = "ping"
  }
}

resource "aws_vpc_security_group_ingress_rule" "web" {
  security_group_id            = aws_security_group.apart.id
  referenced_security_group_id = aws_security_group.web.id
  from_port                    = 80
  to_port                      = 81
  ip_protocol                  = "tcp"
}

resource "aws_vpc_security_group_egress_rule" "all" {
  security_group_id = aws_security_group.apart.id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "-1"
}

resource "aws_security_group_rule" "old" {
  type              = "ingress"
  security_group_id = aws_security_group.apart.id
  protocol          = "udp"
  from_port         = 53
  to_port           = 53
  cidr_blocks       = ["10.0.0.0/16", "10.1.0.0/16"]
}

resource "aws_network_acl" "near" {
  vpc_id     = aws_vpc.near.id
  subnet_ids = [aws_subnet.near[1].id]
  ingress {
    rule_no    = 100
    protocol   = "tcp"
    action     = "allow"
    cidr_block = "10.1.0.0/16"
    from_port  = 443
    to_port    = 443
  }
  egress {
    rule_no    = 100
    protocol   = "-1"
    action     = "allow"
    cidr_block = "0.0.0.0/0"
    from_port  = 0
    to_port    = 0
  }
}

resource "aws_network_acl" "spare" {
  vpc_id = aws_vpc.near.id
}

resource "aws_network_acl_rule" "ping" {
  network_acl_id = aws_network_acl.spare.id
  rule_number    = 200
  egress         = true
  protocol       = "icmp"
  rule_action    = "deny"
  cidr_block     = "10.2.0.0/16"
  icmp_type      = 8
  icmp_code      = -1
}

# ---- hosts ---------------------------------------------------------------------------------------

resource "aws_instance" "near" {
  ami                    = "ami-0123456789abcdef0"
  instance_type          = "t3.micro"
  subnet_id              = aws_subnet.near[0].id
  private_ip             = "10.0.0.10"
  vpc_security_group_ids = [aws_security_group.web.id, aws_security_group.apart.id]
  tags = {
    Name = "near"
  }
}

resource "aws_instance" "far" {
  provider      = aws.accepter
  ami           = "ami-0123456789abcdef0"
  instance_type = "t3.micro"
  subnet_id     = aws_subnet.far.id
}

resource "aws_network_interface" "more" {
  subnet_id         = aws_subnet.near[0].id
  private_ips       = ["10.0.0.20"]
  security_groups   = [aws_security_group.apart.id]
  source_dest_check = false
  attachment {
    instance     = aws_instance.near.id
    device_index = 1
  }
}

output "far_subnet" {
  value = aws_subnet.far.id
}

output "hosts" {
  value = [aws_instance.near.id, aws_instance.far.id]
}
