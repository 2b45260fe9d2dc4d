#!/usr/bin/env python3
"""Packets a second of a running DPDK process, by its telemetry socket.

pps.py RUNTIME_DIR PORT[,PORT] SECONDS SAMPLES [SILENT_PORT]

Prints median, min and max in Mpps of what was handed to the transmit side of the ports, the unit, and
whether a port that must send nothing has sent nothing.
"""
import json
import socket
import statistics
import sys
import time


def main():
    directory, ports, seconds, samples = sys.argv[1:5]
    silent = sys.argv[5] if len(sys.argv) > 5 else ""
    telemetry = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    telemetry.connect(directory + "/dpdk_telemetry.v2")
    telemetry.recv(1024)

    def sent(port):
        telemetry.send(f"/ethdev/stats,{port}".encode())
        stats = json.loads(telemetry.recv(65536))["/ethdev/stats"]
        return stats["opackets"] + stats["oerrors"]

    def read():
        return time.monotonic(), sum(sent(port) for port in ports.split(","))

    rates = []
    began, before = read()
    for _ in range(int(samples)):
        time.sleep(float(seconds))
        now, after = read()
        rates.append((after - before) / (now - began) / 1e6)
        began, before = now, after
    if not any(rates):
        sys.exit("nothing was sent")
    answers = "not checked"
    if silent:
        stray = sent(silent)
        answers = "every packet took the right port" if stray == 0 else f"{stray} took a wrong port"
    print(f"{statistics.median(rates):.2f}\t{min(rates):.2f}\t{max(rates):.2f}\tMpps\t{answers}")


main()
