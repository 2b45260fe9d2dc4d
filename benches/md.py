#!/usr/bin/env python3
"""Tables of `vpclab bench --json` in markdown, for docs/performance.md: md.py REPORT.json [QUESTION...]"""
import json
import sys


def number(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}" if value >= 100 else f"{value:.2f}"


def table(topic):
    print(f'Packets {topic["title"]}. {topic["note"]}\n' if topic["rows"] else topic["note"])
    timed = any(row["of_floor"] for row in topic["rows"])
    print("| case | median | min..max | unit |" + (" Mpps a core | of the floor |" if timed else ""))
    print("|---|---:|---|---|" + ("---:|---:|" if timed else ""))
    for row in topic["rows"]:
        value = row["value"]
        ends = f'{number(value["min"])}..{number(value["max"])}'
        line = f'| {row["case"]} | {number(value["median"])} | {ends} | {row["unit"]} |'
        if timed:
            line += f' {number(row["mpps"]["median"])} | {row["of_floor"]:.3f} |'
        print(line)
    print()


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        topics = json.load(file)["topics"]
    for topic in topics:
        if topic["key"] in sys.argv[2:] or not sys.argv[2:]:
            table(topic)


main()
