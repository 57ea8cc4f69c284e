#!/usr/bin/env python3
"""Draws a trace of a pool (PoolOptions::trace) as SVG: a row for each worker, a box for each item.

    tools/draw_trace.py trace.json > docs/images/trace.svg
"""
import json
import sys
from html import escape

WIDTH, ROW, BAR, LEFT = 960, 34, 22, 110
COLOURS = {"item": "#3b7dd8", "failed": "#e08a1e", "lost": "#c8322b"}


def main(path):
    events = json.load(open(path, encoding="utf-8"))["traceEvents"]
    names = {e["pid"]: e["args"]["name"] for e in events if e["ph"] == "M" and e["name"] == "process_name"}
    items = [e for e in events if e["ph"] == "X"]
    pids = sorted({e["pid"] for e in items}, key=lambda pid: names.get(pid, str(pid)))
    begin = min(e["ts"] for e in items)
    end = max(e["ts"] + e["dur"] for e in items)
    scale = (WIDTH - LEFT - 10) / (end - begin)
    height = ROW * len(pids) + 40
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">')
    print(f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>')
    for row, pid in enumerate(pids):
        y = 10 + row * ROW
        print(f'<text x="8" y="{y + 15}">{escape(names.get(pid, str(pid)))}</text>')
        for event in (e for e in items if e["pid"] == pid):
            x = LEFT + (event["ts"] - begin) * scale
            width = max(0.6, event["dur"] * scale - 0.4)
            print(
                f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{COLOURS.get(event["cat"], "#888888")}">'
                f'<title>{escape(event["name"])}: {event["dur"] / 1000:.2f} ms</title></rect>'
            )
    y = height - 12
    for part in range(5):
        x = LEFT + (end - begin) * scale * part / 4
        anchor = "end" if part == 4 else "middle" if part else "start"
        print(f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" fill="#555555">{(end - begin) * part / 4000:.0f} ms</text>')
    print("</svg>")


if __name__ == "__main__":
    main(sys.argv[1])
