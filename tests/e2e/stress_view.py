# SPDX-License-Identifier: MIT
"""What a tool says of a program, held against what the program has done."""

import collections

ROWS = 200
# What one program that the kernel passed over has left uncounted at the most: all records of a ring.
RING = 256


class View:
    """What one tool says, from its beginning to its end."""

    def __init__(self, tool, comm):
        self.counts = collections.defaultdict(collections.Counter)  # by process, then by key
        self.losses, self.not_vouched, self.doubts = collections.Counter(), [], []
        own = lambda one: one["comm"] == comm
        snapshots = tool.snapshots()
        for snapshot in snapshots:
            for series in filter(own, snapshot["series"]):
                self.counts[series["pid"], series["start_ticks"]][series["key"]] += series["count"]
            self.losses.update(snapshot["losses"])
            self.doubts += [*snapshot.get("unverified", []), *snapshot.get("attached_late", [])]
        self.not_vouched = list(filter(own, self.doubts))
        self.all_doubted = any(one["pid"] == 0 for one in self.doubts)  # events were lost, of whomever

    def may_lack(self):
        lost = sum(self.losses.values())
        return lost + RING * self.losses["missed"]

    def doubted(self, plugin, pid=None):
        """Kinds of keys, in the plug-in (True) or not, that are not vouched for, of one process or of any."""
        if self.all_doubted:
            return {True, False}
        return {bool(plugin) and one["file"].endswith(plugin) for one in self.not_vouched if pid in (None, one["pid"])}

    def of_process(self, pid):
        return totals(counts for (one, _), counts in self.counts.items() if one == pid)


def is_of_plugin(key):
    return key.startswith("plugin.")


def totals(processes):
    total = collections.Counter()
    for counts in processes:
        total.update(counts)
    return +total


def faults_by_process(view, by_pid, plugin):
    """The same, of each process for itself."""
    faults, unexplained = [], collections.Counter()
    for pid, truth in by_pid.items():
        has = view.of_process(pid)
        faults += [f"process {pid}: {has[key]} of {truth[key]} on {key}: more than have happened" for key in has if has[key] > truth[key]]
        doubted = view.doubted(plugin, pid)
        unexplained.update({f"{key} in {pid}": cnt for key, cnt in (truth - has).items() if is_of_plugin(key) not in doubted})
    if unexplained.total() > view.may_lack():
        faults.append(f"not counted, and nothing says so: {dict(unexplained)}, losses {dict(+view.losses)}, not vouched for {view.doubts}")
    return faults


def faults_of(view, expected, main_pid, plugin):
    """What is wrong with the counts by process: `expected` is that of the main process, then of each other."""
    counted = {process: +counts for process, counts in view.counts.items()}
    by_main = view.of_process(main_pid)
    pairs = [("all processes", totals(counted.values()), totals(expected))]
    if len(expected) == 1 or len(expected) == ROWS:
        pairs.append(("the main process", by_main, +expected[0]))
    faults, lacking = [], collections.Counter()
    for who, has, truth in pairs:
        for key in sorted(has.keys() | truth.keys()):
            if has[key] > truth[key]:
                faults.append(f"{who}: {has[key]} of {truth[key]} on {key}: more than have happened")
        lacking = truth - has if who == "all processes" else lacking
    unexplained = +collections.Counter({key: cnt for key, cnt in lacking.items() if is_of_plugin(key) not in view.doubted(plugin)})
    if unexplained.total() > view.may_lack():
        faults.append(f"not counted, and nothing says so: {dict(unexplained)}, losses {dict(+view.losses)}, not vouched for {view.doubts}")
    if not faults and not lacking and len(expected) == ROWS:
        rows = lambda processes: sorted(sorted(counts.items()) for counts in processes if counts)
        if rows(counted.values()) != rows(+row for row in expected):
            faults.append(f"sums are right, processes are not: {rows(counted.values())}\nand not {rows(+row for row in expected)}")
    return faults
