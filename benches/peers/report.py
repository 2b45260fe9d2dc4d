#!/usr/bin/env python3
"""The table of one run of run.sh: report.py RUN_DIRECTORY writes table.md and table.json into it.

Ours is the median of its turns' medians, with the smallest and largest of all rounds; a peer's figures
are those that its script printed. Ratios are ours over the peer's.
"""
import glob
import json
import os
import statistics
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import figures

# What one packet of a peer includes, by the beginning of its case, and the case of ours beside it.
BESIDE = [
    ("testpmd io, null", "no packet bytes, no look-up: the framework's own loop", "IPv4 64 B plain"),
    ("testpmd mac, null", "writes the Ethernet addresses, no look-up", "IPv4 64 B plain"),
    ("testpmd io, ring", "descriptors through a lock-free ring, no look-up", "IPv4 64 B plain"),
    ("testpmd io, pcap port, 64", "copies the frame, no look-up", "IPv4 64 B plain"),
    ("testpmd io, pcap port, 512", "copies the frame, no look-up", "IPv4 512 B plain"),
    ("testpmd io, pcap port, 1500", "copies the frame, no look-up", "IPv4 1500 B plain"),
    ("testpmd io, the ports", "what l3fwd's ports cost without l3fwd", "IPv4 64 B plain"),
    ("l3fwd LPM", "copies the frame, one look-up, rewrites the header", "IPv4 64 B plain"),
    ("l3fwd FIB", "copies the frame, one look-up, rewrites the header", "IPv4 64 B plain"),
    ("l3fwd ACL", "copies the frame, one classification, stateless", "IPv4 64 B +ACL"),
    ("Open vSwitch, port", "copies the frame, one rule, a cache of flows", "IPv4 64 B plain"),
    ("Open vSwitch, stateful", "copies the frame, connection tracking, a cache of flows", "IPv4 64 B +groups"),
    ("Open vSwitch", "copies the frame, one look-up, rewrites the header, a cache of flows", "IPv4 64 B plain"),
    ("namespaces and veth, stateful", "sending, two hops, routing, connection tracking", "IPv4 64 B +groups"),
    ("namespaces", "sending, two hops, routing, in the kernel", "IPv4 64 B plain"),
    ("ns-3", "sending, sockets, links with virtual time, routing; a router's forwards", "IPv4 64 B plain"),
]
# Peers that are not measured, and why.
ELSEWHERE = [
    ("VPP", "not among the packages of Debian 12"),
    ("containerlab, Mininet, Kathara", "measured as what they rest on: namespaces and veth"),
]
HONEST = """\
What is compared is not the same work. Ours begins with a packet in memory whose checksums were verified
before and ends with a descriptor in the receiver's ring and its counters: it owns no device and no wire, and a
packet's bytes are never copied. It judges more on the way: interface state, source and destination check, groups
and lists in both directions, a route table, the peering's own state, the owner of the address. DPDK's examples
copy each frame into a buffer (with the pcap port), rewrite it, and are ready for real cards; they know no tenants,
and a look-up is all they judge. Open vSwitch runs any
program of rules, and remembers what it has decided for each flow. `testpmd` on null ports does not even have packet bytes. The kernel's figure
includes making the packet and two virtual cables, and any program can be put behind it. ns-3 models links, queues
and sockets in virtual time: its peer is `vpclab run`, of which the first table of docs/performance.md speaks, and
not the forwarder alone. The crates answer a look-up and nothing else."""


def number(value):
    return "" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def ours(run):
    cases = {}
    for path in sorted(glob.glob(os.path.join(run, "ours-*.json"))):
        with open(path, encoding="utf-8") as file:
            for topic in json.load(file)["topics"]:
                for row in topic["rows"]:
                    if row["mpps"]:
                        cases.setdefault(row["case"], []).append((row["mpps"], row["of_floor"]))
    return {
        case: {
            "median": statistics.median(m["median"] for m, _ in turns),
            "min": min(m["min"] for m, _ in turns),
            "max": max(m["max"] for m, _ in turns),
            "of_floor": statistics.median(f for _, f in turns),
            "turns": len(turns),
        }
        for case, turns in cases.items()
    }


def peers(run):
    for name in ("dpdk", "ovs", "netns", "ns3"):
        path = os.path.join(run, name + ".tsv")
        if not os.path.exists(path):
            yield {"peer": name, "absent": "not asked for"}
            continue
        with open(path, encoding="utf-8") as file:
            for line in file:
                case, median, low, high, _, answers = line.rstrip("\n").split("\t")
                if answers.startswith("absent"):
                    yield {"peer": case, "absent": answers.partition(": ")[2]}
                else:
                    yield {
                        "peer": case,
                        "median": float(median), "min": float(low), "max": float(high),
                        "answers": answers,
                    }


def crates(run):
    path = os.path.join(run, "lpm.raw.tsv")
    if not os.path.exists(path):
        return
    with open(path, encoding="utf-8") as file:
        lines = [line.rstrip("\n").split("\t") for line in file]
    head = lines[0]
    for cells in lines[1:]:
        row = dict(zip(head, cells))
        yield {
            "crate": row["structure"], "routes": int(row["routes"]), "ns": float(row["inside ns"]),
            "best": row["best"], "bytes": row["B/route"], "agrees": row["agrees"],
        }


def main():
    run = sys.argv[1]
    mine, out = ours(run), []
    with open(os.path.join(run, "machine.txt"), encoding="utf-8") as file:
        machine = file.read().strip()
    out += ["# Beside others", "", "```text", machine, "```", ""]
    out += ["## Ours", "", "| case | Mpps | min..max | of the floor | aim |", "|---|---:|---|---:|---|"]
    aims = figures.bounds("Mpps")
    for case, row in mine.items():
        least, best = aims.get(case, (None, None))
        aim = f"at least {least}, wished for {best}" if least else ""
        ends = f'{number(row["min"])}..{number(row["max"])}'
        out.append(f'| {case} | {number(row["median"])} | {ends} | {row["of_floor"]:.3f} | {aim} |')
    out += ["", "## Peers", "", "| peer | Mpps | min..max | a packet includes | answers | ours over it |", "|---|---:|---|---|---|---:|"]
    table = []
    for row in peers(run):
        if "absent" in row:
            out.append(f'| {row["peer"]} | absent | | {row["absent"]} | | |')
            table.append(row)
            continue
        includes, beside = next((b[1:] for b in BESIDE if row["peer"].startswith(b[0])), ("", None))
        row["includes"], row["beside"] = includes, beside
        row["ratio"] = mine[beside]["median"] / row["median"] if beside in mine and row["median"] else None
        ratio = f'{number(row["ratio"])} ({beside})' if row["ratio"] else ""
        ends = f'{number(row["min"])}..{number(row["max"])}'
        out.append(f'| {row["peer"]} | {number(row["median"])} | {ends} | {includes} | {row["answers"]} | {ratio} |')
        table.append(row)
    for peer, why in ELSEWHERE:
        out.append(f"| {peer} | absent | | {why} | | |")
        table.append({"peer": peer, "absent": why})
    looked = list(crates(run))
    if looked:
        out += ["", "## Longest-prefix match crates", "", "ns a look-up, best in brackets; all of a packet of ours beside.", "",
                "| crate | routes | ns | bytes a route | answers agree |", "|---|---:|---:|---:|---|"]
        for row in looked:
            out.append(f'| {row["crate"]} | {row["routes"]:,} | {row["ns"]:.1f} ({row["best"]}) | {row["bytes"]} | {row["agrees"]} |')
        for routes in sorted({row["routes"] for row in looked}):
            case = f"{routes:,} routes"
            if case in mine:
                out.append(f'| a whole packet of ours | {routes:,} | {1e3 / mine[case]["median"]:.1f} | | |')
    out += ["", HONEST, ""]
    with open(os.path.join(run, "table.md"), "w", encoding="utf-8") as file:
        file.write("\n".join(out))
    with open(os.path.join(run, "table.json"), "w", encoding="utf-8") as file:
        json.dump({"machine": machine.splitlines(), "ours": mine, "peers": table, "crates": looked,
                   "aims": aims}, file, indent=1)
    print(os.path.join(run, "table.md"))


main()
