# SPDX-License-Identifier: MIT
"""A workload that stands still between its steps, so that the truth at those moments is known."""

import os

from harness import Workload, wait_for_byte
from truth import Truth


class Stepped(Workload):
    def __init__(self, *options):
        self.truth_now = Truth()
        step_child, self._step = os.pipe()
        self._stepped, stepped_child = os.pipe()
        super().__init__(*options, *self.truth_now.options, "--step-fd", step_child, "--stepped-fd", stepped_child,
                         pass_fds=(step_child, stepped_child))
        os.close(step_child)
        os.close(stepped_child)

    def begin_step(self):
        os.write(self._step, b"s")

    def end_step(self):
        wait_for_byte(self._stepped, f"a step of {self}")

    def step(self):
        self.begin_step()
        self.end_step()

    def finish(self):
        """There is no further step. Returns the status of the workload."""
        os.close(self._step)
        self._step = None
        return self.wait()

    def kill(self):
        super().kill()
        for fd in (self._step, self._stepped):
            if fd is not None:
                os.close(fd)
        self._step = self._stepped = None
