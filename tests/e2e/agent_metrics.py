# SPDX-License-Identifier: MIT
"""The metrics of the agent: as docs/metrics.md lists them, and as `waitprobe serve` really shows them; and which of them an expression uses."""

import os
import re
import socket
import urllib.error
import urllib.request

import harness

DOCUMENT = os.path.join(harness.SOURCE, "docs/metrics.md")


def documented():
    """{family: (type, its labels)} of the tables in the document, without labels on request."""
    with open(DOCUMENT, encoding="utf-8") as file:
        rows = re.findall(r"^\| `((?:waitprobe|process)_\w+)` \| (\w+) \|([^|]*)\|", file.read(), re.M)
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def exposed(text):
    """The same of an exposition in Prometheus' text format."""
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M))
    found = {name: (kind, set()) for name, kind in kinds.items()}
    for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? \S+", text, re.M):
        family = name if name in kinds else re.sub(r"_(bucket|sum|count)$", "", name)
        found[family][1].update(label for label in re.findall(r'(\w+)="(?:[^"\\]|\\.)*"', labels) if label != "le")
    return found


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def fetch(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def answers(url):
    try:
        fetch(url)
    except (urllib.error.URLError, OSError):
        return False
    return True


def used(expression):
    """The names of metrics in an expression, and the labels that it selects or groups by: ({name}, {label})."""
    plain = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expression)
    selected = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"\"", plain)
    groups = re.findall(r"\b(?:by|on|without|ignoring|group_left)\s*\(([^)]*)\)", plain)
    labels = {label for group in groups for label in re.split(r"[\s,]+", group) if label} | set(selected)
    bare = re.sub(r"\b(?:by|on|without|ignoring|group_left)\s*\([^)]*\)|\{[^}]*\}|\[[^]]*\]", " ", plain)
    return set(re.findall(r"(?<![\w:])[a-z_]+:\w+:\w+|(?<![\w:])(?:waitprobe_\w+|process_\w+|up)(?![\w:])", bare)), labels
