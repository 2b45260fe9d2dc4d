"""The peering protocol between two accounts: every state, who may do what in it, and what each sees."""

import contextlib

import pytest

A, B, C = "111111111111", "222222222222", "333333333333"
HOUR, DAY = 3600, 24 * 3600


def vpc(client, block):
    return client.create_vpc(CidrBlock=block)["Vpc"]["VpcId"]


def seen(client, pcx):
    """The peering as this client is shown it, or None."""
    every = client.describe_vpc_peering_connections()["VpcPeeringConnections"]
    found = [p for p in every if p["VpcPeeringConnectionId"] == pcx]
    assert len(found) <= 1
    return found[0] if found else None


def status(client, pcx):
    shown = seen(client, pcx)
    return shown and (shown["Status"]["Code"], shown["Status"]["Message"])


class Pair:
    """Two VPCs of two accounts (or of one), and what can be done between them."""

    def __init__(self, ec2, accepter=B, far_region="us-east-1"):
        self.r, self.a = ec2(A), ec2(accepter, far_region)
        self.accepter, self.far_region = accepter, far_region
        self.near, self.far = vpc(self.r, "10.0.0.0/16"), vpc(self.a, "10.1.0.0/16")

    def request(self, **more):
        if self.far_region != "us-east-1":
            more["PeerRegion"] = self.far_region
        answer = self.r.create_vpc_peering_connection(
            VpcId=self.near, PeerVpcId=self.far, PeerOwnerId=self.accepter, **more
        )
        return answer["VpcPeeringConnection"]["VpcPeeringConnectionId"]

    def to(self, state, advance=None):
        """A peering in this state."""
        if state == "failed":
            far = vpc(self.a, "10.0.0.0/16")
            answer = self.r.create_vpc_peering_connection(
                VpcId=self.near, PeerVpcId=far, PeerOwnerId=self.accepter
            )
            return answer["VpcPeeringConnection"]["VpcPeeringConnectionId"]
        pcx = self.request()
        match state:
            case "pending-acceptance":
                pass
            case "active":
                self.a.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
            case "rejected":
                self.a.reject_vpc_peering_connection(VpcPeeringConnectionId=pcx)
            case "deleted":
                self.a.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
                self.r.delete_vpc_peering_connection(VpcPeeringConnectionId=pcx)
            case "expired":
                advance("7d")
        assert status(self.r, pcx)[0] == state
        return pcx


@pytest.fixture
def pair(ec2):
    return Pair(ec2)


OPTIONS = {
    "AllowDnsResolutionFromRemoteVpc": False,
    "AllowEgressFromLocalClassicLinkToRemoteVpc": False,
    "AllowEgressFromLocalVpcToRemoteClassicLink": False,
}


def bare(account, vpc_id, region="us-east-1"):
    return {"OwnerId": account, "VpcId": vpc_id, "Region": region}


def full(account, vpc_id, block, region="us-east-1"):
    blocks = {"CidrBlock": block, "CidrBlockSet": [{"CidrBlock": block}], "PeeringOptions": OPTIONS}
    return bare(account, vpc_id, region) | blocks


def test_from_request_to_the_end_as_both_parties_see_it(pair):
    r, a = pair.r, pair.a
    near, far = full(A, pair.near, "10.0.0.0/16"), full(B, pair.far, "10.1.0.0/16")
    bare_near, bare_far = bare(A, pair.near), bare(B, pair.far)

    answer = r.create_vpc_peering_connection(
        VpcId=pair.near, PeerVpcId=pair.far, PeerOwnerId=B
    )["VpcPeeringConnection"]
    pcx = answer["VpcPeeringConnectionId"]
    assert answer["Status"] == {
        "Code": "initiating-request",
        "Message": f"Initiating Request to {B}",
    }
    assert answer["RequesterVpcInfo"] == near
    assert answer["AccepterVpcInfo"] == bare_far
    assert answer["Tags"] == []

    expires = set()
    for client in (r, a):
        shown = seen(client, pcx)
        assert shown["Status"] == {
            "Code": "pending-acceptance",
            "Message": f"Pending Acceptance by {B}",
        }
        assert shown["RequesterVpcInfo"] == near
        assert shown["AccepterVpcInfo"] == bare_far, "no block of the accepter before it accepts"
        expires.add(shown["ExpirationTime"])
    assert len(expires) == 1

    answer = a.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)["VpcPeeringConnection"]
    assert answer["Status"] == {"Code": "provisioning", "Message": "Provisioning"}
    assert answer["VpcPeeringConnectionId"] == pcx
    assert "ExpirationTime" not in answer

    for client in (r, a):
        shown = seen(client, pcx)
        assert shown["Status"] == {"Code": "active", "Message": "Active"}
        assert shown["RequesterVpcInfo"] == near
        assert shown["AccepterVpcInfo"] == far
        assert "ExpirationTime" not in shown

    assert a.delete_vpc_peering_connection(VpcPeeringConnectionId=pcx)["Return"] is True
    for client in (r, a):
        shown = seen(client, pcx)
        assert shown["Status"] == {"Code": "deleted", "Message": f"Deleted by {B}"}
        assert shown["RequesterVpcInfo"] == bare_near
        assert shown["AccepterVpcInfo"] == bare_far
        assert "ExpirationTime" not in shown


def test_a_rejected_request(pair):
    pcx = pair.request()
    assert pair.a.reject_vpc_peering_connection(VpcPeeringConnectionId=pcx)["Return"] is True
    for client in (pair.r, pair.a):
        shown = seen(client, pcx)
        assert shown["Status"] == {"Code": "rejected", "Message": "Inactive"}
        assert shown["RequesterVpcInfo"] == bare(A, pair.near)
        assert shown["AccepterVpcInfo"] == bare(B, pair.far)
    again = pair.request()
    assert again != pcx
    assert status(pair.a, again)[0] == "pending-acceptance"


def test_within_one_account_too_a_request_has_to_be_accepted(ec2):
    pair = Pair(ec2, accepter=A)
    pcx = pair.request()
    shown = seen(pair.r, pcx)
    assert shown["Status"] == {"Code": "pending-acceptance", "Message": f"Pending Acceptance by {A}"}
    assert shown["RequesterVpcInfo"] == full(A, pair.near, "10.0.0.0/16")
    assert shown["AccepterVpcInfo"] == bare(A, pair.far)
    pair.r.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    assert status(pair.r, pcx) == ("active", "Active")


# ---- requests that cannot become a peering -------------------------------------------------------

FAILED = ("failed", "Failed due to incorrect VPC-ID, Account ID, or overlapping CIDR range")


@pytest.mark.parametrize(
    "why",
    ["overlap", "equal", "no such vpc", "not that account's", "no account named", "other region"],
)
def test_a_request_that_cannot_be_is_created_and_fails(ec2, why):
    r, a = ec2(A), ec2(B)
    near = vpc(r, "10.0.0.0/16")
    more = {"PeerOwnerId": B}
    match why:
        case "overlap":
            far = vpc(a, "10.0.128.0/17")
        case "equal":
            far = vpc(a, "10.0.0.0/16")
        case "no such vpc":
            far = "vpc-0123456789abcdef0"
        case "not that account's":
            far = vpc(a, "10.1.0.0/16")
            more = {"PeerOwnerId": C}
        case "no account named":
            far = vpc(a, "10.1.0.0/16")
            more = {}
        case "other region":
            far = vpc(ec2(B, "eu-west-1"), "10.1.0.0/16")
    pcx = r.create_vpc_peering_connection(VpcId=near, PeerVpcId=far, **more)[
        "VpcPeeringConnection"
    ]["VpcPeeringConnectionId"]
    # All causes read the same, so that nobody learns what others have; and only the requester knows.
    assert status(r, pcx) == FAILED
    shown = seen(r, pcx)
    assert set(shown["AccepterVpcInfo"]) <= {"OwnerId", "VpcId", "Region"}
    assert status(a, pcx) is None


def test_a_vpc_is_no_peer_of_itself(ec2, refused):
    r = ec2(A)
    near = vpc(r, "10.0.0.0/16")
    with refused("InvalidParameterValue"):
        r.create_vpc_peering_connection(VpcId=near, PeerVpcId=near)
    assert r.describe_vpc_peering_connections()["VpcPeeringConnections"] == []


def test_what_a_request_must_have(ec2, refused):
    r, a = ec2(A), ec2(B)
    near, far = vpc(r, "10.0.0.0/16"), vpc(a, "10.1.0.0/16")
    unknown = "vpc-0123456789abcdef0"
    with refused("MissingParameter"):
        r.create_vpc_peering_connection(VpcId=near)
    with refused("InvalidVpcID.Malformed"):
        r.create_vpc_peering_connection(VpcId="vpc-xyz", PeerVpcId=far)
    with refused("InvalidVpcID.NotFound", f"The vpc ID '{unknown}' does not exist"):
        r.create_vpc_peering_connection(VpcId=unknown, PeerVpcId=far)
    with refused("InvalidVpcID.NotFound", f"The vpc ID '{far}' does not exist"):
        r.create_vpc_peering_connection(VpcId=far, PeerVpcId=near)
    with refused("InvalidVpcID.NotFound", f"The vpc ID '{near}' does not exist"):
        ec2(A, "eu-west-1").create_vpc_peering_connection(VpcId=near, PeerVpcId=far)
    with refused("UnknownParameter"):
        r.create_vpc_peering_connection(VpcId=near, PeerVpcId=far, PeerRegion="eu-west-1")
    assert r.describe_vpc_peering_connections()["VpcPeeringConnections"] == []


def test_a_repeated_request_is_the_one_that_exists(pair):
    pcx = pair.request()
    assert pair.request() == pcx
    pair.a.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    assert pair.request() == pcx
    pair.r.delete_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    again = pair.request()
    assert again != pcx
    codes = {
        p["VpcPeeringConnectionId"]: p["Status"]["Code"]
        for p in pair.r.describe_vpc_peering_connections()["VpcPeeringConnections"]
    }
    assert codes == {pcx: "deleted", again: "pending-acceptance"}


@pytest.mark.parametrize("state", ["pending-acceptance", "active"])
def test_in_the_seed_profile_a_reversed_request_is_refused(pair, refused, state):
    pcx = pair.to(state)
    with refused(
        "VpcPeeringConnectionAlreadyExists",
        f"The vpc peering connection identified by {pcx} already exists.",
    ):
        pair.a.create_vpc_peering_connection(VpcId=pair.far, PeerVpcId=pair.near, PeerOwnerId=A)


@pytest.mark.server(profile="today")
def test_today_a_reversed_request_stands_beside_and_cannot_be_accepted(pair, refused):
    pcx = pair.to("active")
    back = pair.a.create_vpc_peering_connection(
        VpcId=pair.far, PeerVpcId=pair.near, PeerOwnerId=A
    )["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    assert back != pcx
    assert status(pair.r, back) == ("pending-acceptance", f"Pending Acceptance by {A}")
    with refused(
        "VpcPeeringConnectionAlreadyExists",
        f"The vpc peering connection identified by {back} already exists.",
    ):
        pair.r.accept_vpc_peering_connection(VpcPeeringConnectionId=back)
    pair.r.reject_vpc_peering_connection(VpcPeeringConnectionId=back)
    assert status(pair.r, pcx)[0] == "active"


@pytest.mark.server(profile="today")
def test_today_of_two_opposite_requests_the_first_accepted_wins(pair, refused):
    there = pair.request()
    back = pair.a.create_vpc_peering_connection(
        VpcId=pair.far, PeerVpcId=pair.near, PeerOwnerId=A
    )["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    pair.r.accept_vpc_peering_connection(VpcPeeringConnectionId=back)
    with refused(
        "VpcPeeringConnectionAlreadyExists",
        f"The vpc peering connection identified by {there} already exists.",
    ):
        pair.a.accept_vpc_peering_connection(VpcPeeringConnectionId=there)
    assert status(pair.r, there)[0] == "pending-acceptance"


# ---- who may do what, in which state (vpc-semantics 2.2) -------------------------------------------

ACTIONS = {
    "accept": ("accept_vpc_peering_connection", "provisioning"),
    "reject": ("reject_vpc_peering_connection", "rejected"),
    "delete": ("delete_vpc_peering_connection", "deleting"),
}
ALLOWED = {
    ("pending-acceptance", "accept", "accepter"),
    ("pending-acceptance", "reject", "accepter"),
    ("pending-acceptance", "delete", "requester"),
    ("active", "delete", "requester"),
    ("active", "delete", "accepter"),
}
STATES = ["pending-acceptance", "active", "failed", "rejected", "expired", "deleted"]


@pytest.mark.parametrize("who", ["requester", "accepter", "stranger"])
@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("state", STATES)
def test_who_may_do_what_in_which_state(pair, ec2, advance, refused, state, action, who):
    pcx = pair.to(state, advance)
    account = {"requester": A, "accepter": B, "stranger": C}[who]
    before = [seen(client, pcx) for client in (pair.r, pair.a)]
    method, towards = ACTIONS[action]
    call = getattr(ec2(account), method)
    if (state, action, who) in ALLOWED:
        call(VpcPeeringConnectionId=pcx)
        settled = {"accept": "active", "reject": "rejected", "delete": "deleted"}[action]
        assert [status(client, pcx)[0] for client in (pair.r, pair.a)] == [settled] * 2
        return
    if who == "stranger" or (who == "accepter" and state == "failed"):
        code = "InvalidVpcPeeringConnectionID.NotFound"
        message = f"The vpcPeeringConnection ID '{pcx}' does not exist"
    elif (who == "requester" and action != "delete") or (
        who == "accepter" and action == "delete" and state == "pending-acceptance"
    ):
        code = "OperationNotPermitted"
        message = f"User {account} cannot {action} peering {pcx}"
    else:
        code = "InvalidStateTransition"
        message = (
            f"Invalid state transition for {pcx}, attempted to transition from {state} to {towards}"
        )
    with refused(code, message):
        call(VpcPeeringConnectionId=pcx)
    assert [seen(client, pcx) for client in (pair.r, pair.a)] == before, "a refusal changes nothing"


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("state", STATES)
def test_the_owner_of_both_vpcs_is_both_parties(ec2, advance, refused, state, action):
    pair = Pair(ec2, accepter=A)
    pcx = pair.to(state, advance)
    method, towards = ACTIONS[action]
    call = getattr(pair.r, method)
    if any((state, action, who) in ALLOWED for who in ("requester", "accepter")):
        call(VpcPeeringConnectionId=pcx)
        return
    with refused(
        "InvalidStateTransition",
        f"Invalid state transition for {pcx}, attempted to transition from {state} to {towards}",
    ):
        call(VpcPeeringConnectionId=pcx)


@pytest.mark.parametrize("action", [*ACTIONS, "describe"])
def test_ids_that_are_none(ec2, refused, action):
    r = ec2(A)
    unknown = "pcx-0123456789abcdef0"
    if action == "describe":

        def call(VpcPeeringConnectionId):
            r.describe_vpc_peering_connections(VpcPeeringConnectionIds=[VpcPeeringConnectionId])

    else:
        call = getattr(r, ACTIONS[action][0])
    with refused(
        "InvalidVpcPeeringConnectionID.NotFound",
        f"The vpcPeeringConnection ID '{unknown}' does not exist",
    ):
        call(VpcPeeringConnectionId=unknown)
    for malformed in ("pcx-xyz", "vpc-0123456789abcdef0", "0123456789abcdef0"):
        with refused("InvalidVpcPeeringConnectionId.Malformed"):
            call(VpcPeeringConnectionId=malformed)


@pytest.mark.server(profile="today")
def test_answering_in_the_wrong_region(ec2, refused):
    pair = Pair(ec2, far_region="eu-west-1")
    pcx = pair.request()
    wrong = ec2(B, "us-east-1")
    with refused(
        "OperationNotPermitted",
        f"Incorrect region (us-east-1) specified for this request. VPC peering connection {pcx} "
        "must be accepted in region eu-west-1",
    ):
        wrong.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    with refused(
        "OperationNotPermitted",
        f"Incorrect region (us-east-1) specified for this request. VPC peering connection {pcx} "
        "must be accepted or rejected in region eu-west-1",
    ):
        wrong.reject_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    pair.a.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    shown = seen(pair.r, pcx)
    assert shown["Status"]["Code"] == "active"
    assert shown["RequesterVpcInfo"]["Region"] == "us-east-1"
    assert shown["AccepterVpcInfo"]["Region"] == "eu-west-1"
    assert seen(pair.a, pcx)["AccepterVpcInfo"] == full(B, pair.far, "10.1.0.0/16", "eu-west-1")


@pytest.mark.server(profile="today")
def test_today_deleting_shows_while_it_lasts(pair):
    # The transient state is the answer to nobody: Delete answers `true`, the next look finds it over.
    pcx = pair.to("active")
    pair.r.delete_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    assert status(pair.a, pcx) == ("deleted", f"Deleted by {A}")


# ---- time ------------------------------------------------------------------------------------------


def test_a_request_lives_seven_days_to_the_tick(pair, advance):
    pcx = pair.request()
    # A virtual clock moves a microsecond with each request, this page included: the first look is at
    # the last moment of the week, the second when it is over.
    advance(f"{7 * DAY * 1_000_000 - 3}us")
    assert status(pair.a, pcx) == ("pending-acceptance", f"Pending Acceptance by {B}")
    assert status(pair.a, pcx)[0] == "expired"
    assert status(pair.r, pcx)[0] == "expired"


def test_accepted_at_the_last_moment_and_a_moment_too_late(pair, advance, refused):
    pcx = pair.request()
    advance(f"{7 * DAY * 1_000_000 - 3}us")
    pair.a.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    advance("30d")
    assert status(pair.a, pcx) == ("active", "Active")
    pair.a.delete_vpc_peering_connection(VpcPeeringConnectionId=pcx)

    pcx = pair.request()
    advance(f"{7 * DAY * 1_000_000 - 2}us")
    with refused(
        "InvalidStateTransition",
        f"Invalid state transition for {pcx}, attempted to transition from expired to provisioning",
    ):
        pair.a.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)


def test_the_end_of_the_week_is_told_beforehand(pair, server):
    from datetime import datetime, timedelta

    begin = datetime.fromisoformat(server.own("clock")["now"])
    pcx = pair.request()
    end = datetime.fromisoformat(server.own("clock")["now"])
    expires = seen(pair.a, pcx)["ExpirationTime"]
    assert begin + timedelta(days=7) <= expires <= end + timedelta(days=7)


VISIBLE = [
    # (state, who ended it, how long the requester sees it, how long the accepter)
    ("failed", None, 2 * HOUR, 0),
    ("expired", None, 2 * DAY, 2 * DAY),
    ("rejected", "accepter", 2 * DAY, 2 * HOUR),
    ("deleted", "requester", 2 * HOUR, 2 * DAY),
    ("deleted", "accepter", 2 * DAY, 2 * HOUR),
]


@pytest.mark.parametrize("state, by, requester, accepter", VISIBLE)
def test_how_long_an_ended_peering_is_seen(
    pair, advance, refused, state, by, requester, accepter
):
    if state == "deleted":
        pcx = pair.to("active")
        client = pair.r if by == "requester" else pair.a
        client.delete_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    else:
        pcx = pair.to(state, advance)
    spans = {pair.r: requester, pair.a: accepter}
    passed = 0
    for moment in sorted({requester, accepter} - {0}):
        # A second before, and a second after.
        for at in (moment - 1, moment + 1):
            advance(f"{at - passed}s")
            passed = at
            for client, span in spans.items():
                if at < span:
                    assert status(client, pcx)[0] == state
                    continue
                assert status(client, pcx) is None
                with refused(
                    "InvalidVpcPeeringConnectionID.NotFound",
                    f"The vpcPeeringConnection ID '{pcx}' does not exist",
                ):
                    client.describe_vpc_peering_connections(VpcPeeringConnectionIds=[pcx])


@pytest.mark.parametrize("state", ["failed", "rejected", "deleted"])
def test_in_one_account_an_ended_peering_is_seen_for_two_hours(ec2, advance, state):
    pair = Pair(ec2, accepter=A)
    pcx = pair.to(state, advance)
    advance(f"{2 * HOUR - 1}s")
    assert status(pair.r, pcx)[0] == state
    advance("2s")
    assert status(pair.r, pcx) is None


# ---- routes to it ------------------------------------------------------------------------------------


def main_table(client, vpc_id):
    filters = [
        {"Name": "vpc-id", "Values": [vpc_id]},
        {"Name": "association.main", "Values": ["true"]},
    ]
    (table,) = client.describe_route_tables(Filters=filters)["RouteTables"]
    return table


def route_to(client, vpc_id, pcx):
    table = main_table(client, vpc_id)
    (route,) = [r for r in table["Routes"] if r.get("VpcPeeringConnectionId") == pcx]
    return route["DestinationCidrBlock"], route["State"], route["Origin"]


def add_route(client, vpc_id, block, pcx):
    client.create_route(
        RouteTableId=main_table(client, vpc_id)["RouteTableId"],
        DestinationCidrBlock=block,
        VpcPeeringConnectionId=pcx,
    )


def test_routes_are_black_holes_until_and_after_the_peering_is_active(pair):
    pcx = pair.request()
    add_route(pair.r, pair.near, "10.1.0.0/16", pcx)
    add_route(pair.a, pair.far, "10.0.0.0/16", pcx)
    sides = [(pair.r, pair.near, "10.1.0.0/16"), (pair.a, pair.far, "10.0.0.0/16")]

    def all_are(state):
        for client, vpc_id, block in sides:
            assert route_to(client, vpc_id, pcx) == (block, state, "CreateRoute")

    all_are("blackhole")
    pair.a.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    all_are("active")
    pair.r.delete_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    all_are("blackhole")

    # A new peering is another target: the routes have to be pointed at it.
    again = pair.to("active")
    all_are("blackhole")
    for client, vpc_id, block in sides:
        client.replace_route(
            RouteTableId=main_table(client, vpc_id)["RouteTableId"],
            DestinationCidrBlock=block,
            VpcPeeringConnectionId=again,
        )
        assert route_to(client, vpc_id, again) == (block, "active", "CreateRoute")


def test_routes_by_state_of_the_peering(pair, advance, refused):
    for state in ("failed", "rejected", "expired", "deleted"):
        pcx = pair.to(state, advance)
        with refused_any(refused, pcx):
            add_route(pair.r, pair.near, "10.1.0.0/16", pcx)


@contextlib.contextmanager
def refused_any(refused, pcx):
    """An ended peering is no target (vpc-semantics 2.2, last column)."""
    with refused("InvalidVpcPeeringConnectionID.NotFound"):
        yield


def test_a_route_to_anothers_peering(pair, ec2, refused):
    pcx = pair.to("active")
    third = ec2(C)
    own = vpc(third, "10.2.0.0/16")
    with refused(
        "InvalidVpcPeeringConnectionID.NotFound",
        f"The vpcPeeringConnection ID '{pcx}' does not exist",
    ):
        add_route(third, own, "10.0.0.0/16", pcx)
    # And a peering of another VPC of the same account leads nowhere from here.
    other = vpc(pair.r, "10.3.0.0/16")
    table = main_table(pair.r, other)["RouteTableId"]
    with refused(
        "InvalidParameterValue",
        f"route table {table} and network gateway {pcx} belong to different networks",
    ):
        add_route(pair.r, other, "10.1.0.0/16", pcx)


# ---- VPCs that go -------------------------------------------------------------------------------------


def test_a_vpc_that_goes_takes_its_own_request_along(pair):
    pcx = pair.request()
    pair.r.delete_vpc(VpcId=pair.near)
    assert status(pair.a, pcx)[0] == "deleted"


def test_a_vpc_with_a_request_from_elsewhere_stays(pair, refused):
    pcx = pair.request()
    with refused(
        "DependencyViolation", f"The vpc '{pair.far}' has dependencies and cannot be deleted."
    ):
        pair.a.delete_vpc(VpcId=pair.far)
    pair.a.reject_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    pair.a.delete_vpc(VpcId=pair.far)


def test_a_vpc_that_goes_ends_its_peering(pair):
    pcx = pair.to("active")
    pair.a.delete_vpc(VpcId=pair.far)
    assert status(pair.r, pcx) == ("deleted", f"Deleted by {B}")


# ---- blocks that come later (vpc-semantics 1.2) --------------------------------------------------------


@pytest.mark.server(profile="today")
def test_blocks_that_come_while_a_request_waits(pair, refused):
    pcx = pair.request()
    with refused("OperationNotPermitted"):
        pair.r.associate_vpc_cidr_block(VpcId=pair.near, CidrBlock="10.2.0.0/16")
    pair.a.associate_vpc_cidr_block(VpcId=pair.far, CidrBlock="10.3.0.0/16")
    assert status(pair.r, pcx)[0] == "pending-acceptance"


@pytest.mark.server(profile="today")
def test_an_overlapping_block_of_the_accepter_fails_the_request(ec2):
    r, a = ec2(A), ec2(B)
    near, far = vpc(r, "10.2.0.0/16"), vpc(a, "10.3.0.0/16")
    pcx = r.create_vpc_peering_connection(VpcId=near, PeerVpcId=far, PeerOwnerId=B)[
        "VpcPeeringConnection"
    ]["VpcPeeringConnectionId"]
    a.associate_vpc_cidr_block(VpcId=far, CidrBlock="10.2.128.0/17")
    assert status(r, pcx) == FAILED
    assert status(a, pcx) is None


@pytest.mark.server(profile="today")
def test_blocks_that_come_to_an_active_peering(ec2, refused):
    r, a = ec2(A), ec2(B)
    near, far = vpc(r, "10.2.0.0/16"), vpc(a, "10.3.0.0/16")
    pcx = r.create_vpc_peering_connection(VpcId=near, PeerVpcId=far, PeerOwnerId=B)[
        "VpcPeeringConnection"
    ]["VpcPeeringConnectionId"]
    a.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    with refused("OperationNotPermitted"):
        r.associate_vpc_cidr_block(VpcId=near, CidrBlock="10.3.0.0/17")
    with refused("OperationNotPermitted"):
        a.associate_vpc_cidr_block(VpcId=far, CidrBlock="10.2.0.0/17")
    a.associate_vpc_cidr_block(VpcId=far, CidrBlock="10.4.0.0/16")
    for client in (r, a):
        info = seen(client, pcx)["AccepterVpcInfo"]
        assert info["CidrBlock"] == "10.3.0.0/16"
        assert info["CidrBlockSet"] == [
            {"CidrBlock": "10.3.0.0/16"},
            {"CidrBlock": "10.4.0.0/16"},
        ]


# ---- options (vpc-semantics 2.6) ------------------------------------------------------------------------

DNS = {"AllowDnsResolutionFromRemoteVpc": True}


def with_hostnames(pair):
    for client, vpc_id in ((pair.r, pair.near), (pair.a, pair.far)):
        client.modify_vpc_attribute(VpcId=vpc_id, EnableDnsHostnames={"Value": True})


@pytest.mark.server(profile="today")
def test_each_side_sets_its_own_options(pair, refused):
    with_hostnames(pair)
    pcx = pair.to("active")
    answer = pair.r.modify_vpc_peering_connection_options(
        VpcPeeringConnectionId=pcx, RequesterPeeringConnectionOptions=DNS
    )
    assert answer["RequesterPeeringConnectionOptions"]["AllowDnsResolutionFromRemoteVpc"] is True
    assert "AccepterPeeringConnectionOptions" not in answer
    with refused("OperationNotPermitted"):
        pair.r.modify_vpc_peering_connection_options(
            VpcPeeringConnectionId=pcx, AccepterPeeringConnectionOptions=DNS
        )
    with refused("OperationNotPermitted"):
        pair.a.modify_vpc_peering_connection_options(
            VpcPeeringConnectionId=pcx, RequesterPeeringConnectionOptions=DNS
        )
    shown = seen(pair.r, pcx)
    assert shown["RequesterVpcInfo"]["PeeringOptions"] == OPTIONS | DNS
    assert shown["AccepterVpcInfo"]["PeeringOptions"] == OPTIONS


@pytest.mark.server(profile="today")
@pytest.mark.parametrize("state", ["pending-acceptance", "rejected", "deleted"])
def test_options_are_set_while_it_is_active(pair, refused, state):
    with_hostnames(pair)
    pcx = pair.to(state)
    with refused("OperationNotPermitted"):
        pair.r.modify_vpc_peering_connection_options(
            VpcPeeringConnectionId=pcx, RequesterPeeringConnectionOptions=DNS
        )


@pytest.mark.server(profile="today")
def test_options_need_dns_hostnames_in_both_vpcs(pair, refused):
    pcx = pair.to("active")
    with refused("InvalidVpcPeeringConnectionState.DnsHostnamesDisabled"):
        pair.r.modify_vpc_peering_connection_options(
            VpcPeeringConnectionId=pcx, RequesterPeeringConnectionOptions=DNS
        )


@pytest.mark.server(profile="today")
def test_one_owner_of_both_sets_both(ec2):
    pair = Pair(ec2, accepter=A)
    with_hostnames(pair)
    pcx = pair.to("active")
    answer = pair.r.modify_vpc_peering_connection_options(
        VpcPeeringConnectionId=pcx,
        RequesterPeeringConnectionOptions=DNS,
        AccepterPeeringConnectionOptions=DNS,
    )
    for side in ("RequesterPeeringConnectionOptions", "AccepterPeeringConnectionOptions"):
        assert answer[side]["AllowDnsResolutionFromRemoteVpc"] is True


@pytest.mark.server(profile="today")
def test_each_region_sets_its_own_options(ec2, refused):
    pair = Pair(ec2, accepter=A, far_region="eu-west-1")
    with_hostnames(pair)
    pcx = pair.request()
    pair.a.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    with refused("OperationNotPermitted"):
        pair.r.modify_vpc_peering_connection_options(
            VpcPeeringConnectionId=pcx, AccepterPeeringConnectionOptions=DNS
        )
    pair.a.modify_vpc_peering_connection_options(
        VpcPeeringConnectionId=pcx, AccepterPeeringConnectionOptions=DNS
    )
    assert seen(pair.a, pcx)["AccepterVpcInfo"]["PeeringOptions"] == OPTIONS | DNS


# ---- quotas ------------------------------------------------------------------------------------------------


def test_an_account_may_have_25_requests_unanswered(ec2, refused):
    r, a = ec2(A), ec2(B)
    near = vpc(r, "10.255.0.0/16")
    fars = [vpc(a, f"10.{n}.0.0/16") for n in range(26)]

    def ask(far):
        answer = r.create_vpc_peering_connection(VpcId=near, PeerVpcId=far, PeerOwnerId=B)
        return answer["VpcPeeringConnection"]["VpcPeeringConnectionId"]

    requests = [ask(far) for far in fars[:25]]
    with refused("OutstandingVpcPeeringConnectionLimitExceeded"):
        ask(fars[25])
    a.reject_vpc_peering_connection(VpcPeeringConnectionId=requests[0])
    ask(fars[25])


def test_a_vpc_may_have_50_active_peerings(ec2, refused):
    r, a = ec2(A), ec2(B)
    near = vpc(r, "10.255.0.0/16")
    fars = [vpc(a, f"10.{n}.0.0/16") for n in range(52)]

    def ask(far):
        answer = r.create_vpc_peering_connection(VpcId=near, PeerVpcId=far, PeerOwnerId=B)
        return answer["VpcPeeringConnection"]["VpcPeeringConnectionId"]

    for far in fars[:49]:
        a.accept_vpc_peering_connection(VpcPeeringConnectionId=ask(far))
    last, over = ask(fars[49]), ask(fars[50])
    a.accept_vpc_peering_connection(VpcPeeringConnectionId=last)
    # It is the requester's VPC that is full: its owner is told so, the other only that it is.
    with refused("ActiveVpcPeeringConnectionPerVpcLimitExceeded"):
        a.accept_vpc_peering_connection(VpcPeeringConnectionId=over)
    with refused("ActiveVpcPeeringConnectionPerVpcLimitExceeded"):
        ask(fars[51])
    r.delete_vpc_peering_connection(VpcPeeringConnectionId=last)
    a.accept_vpc_peering_connection(VpcPeeringConnectionId=over)
