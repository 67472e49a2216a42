/* SPDX-License-Identifier: MIT
 *
 * Why program `on_end` takes what a thread has not flushed. */
#ifndef WAITPROBE_BPF_ENDS_H
#define WAITPROBE_BPF_ENDS_H

/* The cookie of its link. */
enum wp_end {
  WP_END_BY_SIGNAL, /* if it is one that kills */
  WP_END_OF_MEMORY, /* by exec, or at the end of the thread before the tracepoint below */
  WP_END_OF_THREAD,
};

#endif
