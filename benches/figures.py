#!/usr/bin/env python3
"""Puts measured figures into a text, and curves beside it: figures.py RUN_DIRECTORY TEXT.md

RUN_DIRECTORY has what figures.sh and api.sh have measured: bench-*.json (`vpclab bench --json`), scale.json, api.json
and replay.json (the benches of these names). Whatever stands in TEXT.md between `<!-- figures: NAME -->` and `<!-- end -->` is
replaced by the table NAME: `aims`, `machine`, `scale`, `bytes`, `api-start`, `api-one`, `api-rush`, `api-replay`, a question of `vpclab bench`, or
`peers`, which is the newest table of benches/peers/runs. Curves go into TEXT/NAME.csv and .svg.
Needs nothing but Python.
"""
import glob
import json
import os
import re
import sys

import plot

HERE = os.path.dirname(os.path.abspath(__file__))


def number(value):
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}" if value >= 100 else f"{value:.2f}"


def spread(value):
    return f'{number(value["median"])} ({number(value["min"])}..{number(value["max"])})'


def rows(head, body):
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(cells) + " |" for cells in body])


def topic_table(topic):
    timed = any(row["of_floor"] for row in topic["rows"])
    head = ["case", "median", "min..max", "unit"] + (["Mpps a core", "of the floor"] if timed else [])
    body = []
    for row in topic["rows"]:
        value = row["value"]
        cells = [row["case"], number(value["median"]), f'{number(value["min"])}..{number(value["max"])}', row["unit"]]
        if timed:
            cells += [number((row["mpps"] or {}).get("median")), f'{row["of_floor"]:.3f}' if row["of_floor"] else ""]
        body.append(cells)
    return topic["note"] + "\n\n" + rows(head, body)


def scale_table(scale):
    body = []
    for n in scale["networks"]:
        body.append([f'{n["vpcs"]:,}', f'{n["instances"]:,}', f'{n["routes"]:,}', spread(n["compiled_ms"]),
                     number(n["grown_mib"]), number(n["tables_mib"]), spread(n["uniform_ns"]),
                     f'{n["uniform_of_chain"]:.3f}', spread(n["skewed_ns"]), spread(n["change_us"])])
    return rows(["VPCs", "instances", "routes", "compiled, ms", "memory, MiB", "rows and tables, MiB",
                 "uniform, ns", "of the chain", "skewed, ns", "one route, us"], body)


def bytes_table(scale):
    of = scale["bytes"]
    names = [("an instance", "instance"), ("a route", "route"), ("a VPC, its subnets, a peering, two routes", "vpc")]
    body = [[name, number(of["grown"][key]), number(of["tables"][key])] for name, key in names]
    return rows(["bytes of", "resident", "of these rows, addresses and routes"], body)


class Api:
    """What the bench `api` has measured."""

    def __init__(self, report):
        self.report = report
        self.values = {(r["topic"], r["case"], r["subject"], r["key"]): r["value"] for r in report["rows"]}

    def get(self, topic, case, subject, key):
        return self.values.get((topic, case, subject, key))

    def cases(self, topic):
        """The cases of a topic, each once, in their order."""
        return list(dict.fromkeys(r["case"] for r in self.report["rows"] if r["topic"] == topic))

    def cell(self, *name):
        value = self.get(*name)
        return spread(value) if value else ""

    def moto(self):
        return f'moto_server {self.report["moto"]}' if self.report["moto"] else "moto_server"

    def start(self):
        body = [[r["subject"] if r["subject"] != "moto_server" else self.moto(), r["case"], spread(r["value"])]
                for r in self.report["rows"] if r["topic"] == "start"]
        return rows(["server", "world", "first answer, ms"], body)

    def one(self):
        head = ["call", "server", "50 %", "99 %", "99 %, undisturbed", "disturbed calls, %", "moto over it"]
        keys = ("p50, us", "p99, us", "p99 undisturbed, us", "disturbed, %")
        body = []
        for case in self.cases("one"):
            moto = self.get("one", case, "moto_server", "p50, us")
            for subject in ("floor", "vpclab", "vpclab --data", "moto_server"):
                own = self.get("one", case, subject, "p50, us")
                if own:
                    over = number(moto["median"] / own["median"]) if moto and subject != "moto_server" else ""
                    name = self.moto() if subject == "moto_server" else subject
                    body.append([case, name, *(self.cell("one", case, subject, key) for key in keys), over])
        return "Microseconds; the floor is `/_vpclab/health`.\n\n" + rows(head, body)

    def rush(self):
        moto = next((r["value"] for r in self.report["rows"]
                     if (r["topic"], r["subject"], r["key"]) == ("rush", "moto_server", "calls/s")), None)
        floor = self.get("rush", "health", "floor", "calls/s")
        body = []
        for r in self.report["rows"]:
            if r["topic"] != "rush" or r["key"] != "calls/s":
                continue
            rate = r["value"]["median"]
            cost = self.cell("rush", r["case"], r["subject"], "CPU us")
            subject = self.moto() if r["subject"] == "moto_server" else r["subject"]
            body.append([f'{subject}, {r["case"]}', spread(r["value"]), cost, f'{rate / floor["median"]:.3f}',
                         number(rate / moto["median"]) if moto else ""])
        return rows(["server and world", "calls/s", "its processor time a call, us", "of the floor", "over moto"], body)


def replay_table(report):
    """What the bench `replay` has measured."""
    cases = list(dict.fromkeys(r["case"] for r in report["rows"]))
    values = {(r["case"], r["key"]): r["value"] for r in report["rows"]}
    body = [[key, unit, *(spread(values[case, key]) for case in cases)]
            for key, unit in dict.fromkeys((r["key"], r["unit"]) for r in report["rows"])]
    text = (f'{report["events"]:,} events in {report["entries"]:,} entries; behind the last snapshot '
            f'{report["entries_behind"]:,} entries. Files of {report["bytes"] / 1e6:.0f} and {report["bytes_kept"] / 1e6:.0f} MB.')
    return text + "\n\n" + rows(["", "unit", *cases], body)


class Found:
    """Figures by name, as aims.json names them."""

    def __init__(self, topics, scale, api):
        self.topics, self.scale, self.api = topics, scale, api

    def get(self, name):
        topic, case, key = name[0], name[1], name[-1]
        if topic == "api":
            value = self.api.get(*name[1:]) if self.api else None
            return value["median"] if value else None
        if topic == "bytes":
            return self.scale["bytes"][case][key] if self.scale else None
        if topic == "networks":
            of = [n for n in (self.scale or {"networks": []})["networks"] if n["routes"] >= int(case)]
            return of[-1][key]["median"] if of else None
        for row in self.topics.get(topic, {"rows": []})["rows"]:
            if row["case"] == case:
                figure = row[key]
                return figure["median"] if isinstance(figure, dict) else figure
        return None


def aims(found):
    """Each aim with its figure; `None` where nothing was measured."""
    with open(os.path.join(HERE, "aims.json"), encoding="utf-8") as file:
        for aim in json.load(file):
            value = found.get(aim["value"])
            if value is not None and "over" in aim:
                over = found.get(aim["over"])
                value = value / over if over else None
            least, most, best = (aim.get(key) for key in ("least", "most", "best"))
            met = None
            if value is not None and (least is not None or most is not None):
                met = value >= least if least is not None else value <= most
            yield {"aim": aim["aim"], "unit": aim["unit"], "figure": value, "least": least, "most": most, "best": best, "met": met}


def bounds(unit):
    """The least and the best of each case that an aim names directly, in this unit."""
    with open(os.path.join(HERE, "aims.json"), encoding="utf-8") as file:
        return {a["value"][1]: (a["least"], a.get("best")) for a in json.load(file)
                if a["unit"] == unit and "over" not in a and "least" in a}


def aims_table(found):
    body = []
    for a in aims(found):
        bound = f'at least {a["least"]}' if a["least"] is not None else f'at most {a["most"]}' if a["most"] is not None else "none set"
        met = {True: "yes", False: "no", None: ""}[a["met"]]
        body.append([a["aim"], number(a["figure"]) or "not measured", a["unit"], bound, str(a["best"] or ""), met])
    return rows(["what", "figure", "unit", "bound", "wished for", "met"], body)


def machine(reports):
    m = reports[0]["machine"]
    rounds = sorted({r["rounds"] for r in reports})
    return (f'{m["processor"]}, L2 {m["l2"]} each; vpclab {reports[0]["vpclab"]}, {m["build"]} build; medians of '
            f'{" and ".join(map(str, rounds))} rounds. Cycles: {m["cycles_note"]}.')


def load(run):
    reports = []
    for path in sorted(glob.glob(os.path.join(run, "bench-*.json"))):
        with open(path, encoding="utf-8") as file:
            reports.append(json.load(file))
    topics = {topic["key"]: topic for report in reports for topic in report["topics"]}
    path = os.path.join(run, "scale.json")
    scale = None
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            scale = json.load(file)
    path = os.path.join(run, "api.json")
    api = None
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            api = Api(json.load(file))
    return reports, topics, scale, api


def replay(run):
    path = os.path.join(run, "replay.json")
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def main():
    run, text_path = sys.argv[1:3]
    reports, topics, scale, api = load(run)
    found = Found(topics, scale, api)
    blocks = {"aims": lambda: aims_table(found)}
    if reports:
        blocks["machine"] = lambda: machine(reports)
    if scale:
        blocks["scale"], blocks["bytes"] = lambda: scale_table(scale), lambda: bytes_table(scale)
    if api:
        blocks["api-start"], blocks["api-one"], blocks["api-rush"] = api.start, api.one, api.rush
    replayed = replay(run)
    if replayed:
        blocks["api-replay"] = lambda: replay_table(replayed)
    for key, topic in topics.items():
        blocks[key] = lambda topic=topic: topic_table(topic)
    peers = sorted(glob.glob(os.path.join(HERE, "peers", "runs", "*", "table.md")))
    if peers:
        with open(peers[-1], encoding="utf-8") as file:
            blocks["peers"] = lambda text=file.read(): re.sub(r"^#", "##", text.split("\n", 2)[2], flags=re.M).strip()

    def block(match):
        name = match.group(1)
        if name not in blocks:
            print(f"not measured, left as it was: {name}", file=sys.stderr)
            return match.group(0)
        return f"<!-- figures: {name} -->\n{blocks[name]()}\n<!-- end -->"

    with open(text_path, encoding="utf-8") as file:
        text = file.read()
    text = re.sub(r"<!-- figures: (\S+) -->\n.*?<!-- end -->", block, text, flags=re.S)
    with open(text_path, "w", encoding="utf-8") as file:
        file.write(text)
    directory = os.path.splitext(text_path)[0]
    os.makedirs(directory, exist_ok=True)
    for topic in topics.values():
        plot.curve(topic, directory)


if __name__ == "__main__":
    main()
