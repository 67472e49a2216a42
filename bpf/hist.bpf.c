/* SPDX-License-Identifier: (MIT OR GPL-2.0)
 *
 * Histograms of waits. By batches: wait_batch brings a full ring, the tool what is left in rings, a dying thread its last
 * records. Or by events: one hit of wait_stop for each wait. The tool loads the programs of one way. */
#include "kernel.h"

#include "tool_abi.h"
#include "arenas.h"
#include "batches.h"
#include "ends.h"
#include "owners.h"
#include "series.h"
#include "targets.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* ---- one wait ------------------------------------------------------------------------------------------------- */

static __noinline int count_stop(struct pt_regs *ctx) {
  if (!is_target()) return 0;
  __u64 key_address = PT_REGS_PARM1(ctx), stop_ns = PT_REGS_PARM2(ctx), duration_ns = PT_REGS_PARM3(ctx);
  if (stop_ns - monotonic_offset_ns() - windows[WP_WINDOW_NS].since >= windows[WP_WINDOW_NS].span) return 0;
  /* What stands in front of the key that a probe was given. */
  struct wp_counter counter;
  __u64 address = key_address - sizeof(counter);
  if (bpf_probe_read_user(&counter, sizeof(counter), (void *)address)) goto unreadable;
  struct wp_arena arena;
  if (bpf_probe_read_user(&arena, sizeof(arena), (void *)counter.arena)) goto unreadable;
  remember_arena(arena.incarnation, counter.arena);
  add_wait_at(slot_of(arena.incarnation, address, bpf_get_smp_processor_id(), FROM_THREAD), duration_ns);
  return 0;
unreadable:
  lose_now(&losses.unreadable, 1);
  return 0;
}

WP_PROBE(on_wait_stop, count_stop)

/* ---- batches -------------------------------------------------------------------------------------------------- */

/* The block says itself what its thread flushes: one read instead of three arguments more. */
static __noinline int count_batch(struct pt_regs *ctx) {
  __u64 block = PT_REGS_PARM1(ctx);
  struct wp_block_head head;
  if (!is_target()) return 0;
  if (read_head(block, &head)) {
    lose_now(&losses.unreadable, 1); /* at least: nobody knows how many records there were */
    return 0;
  }
  take_handed(block, &head);
  return 0;
}

WP_PROBE(on_wait_batch, count_batch)

/* A thread has taken a block, perhaps one that others had before. Where that cannot be read, nobody will bring what the block
 * holds when its thread dies. */
static __noinline int meet_block(struct pt_regs *ctx) {
  __u64 block = PT_REGS_PARM1(ctx);
  struct wp_block_head head;
  if (!is_target()) return 0;
  if (read_head(block, &head)) {
    lose_now(&losses.unreadable, 1);
    return 0;
  }
  struct wp_block_key key = {.incarnation = head.incarnation, .block = block};
  struct wp_block_state *state = state_of(&key, WP_BY_THREAD);
  if (state) {
    __sync_val_compare_and_swap(&state->next, WP_NEXT_UNKNOWN, head.flushed);
    state->offset_ns = monotonic_offset_ns();
  }
  remember_owner(block, &head, state);
  remember_arena(head.incarnation, head.arena);
  return 0;
}

WP_PROBE(on_wait_block, meet_block)

/* Run by the tool: records that it has put into its ring, and a series that it has put into `introduction`. */
SEC("syscall")
int claim(void *ctx) {
  struct wp_block_key key = claimed.key;
  return take_of_tool(&key, claimed.first, claimed.cnt);
}

SEC("syscall")
int introduce(void *ctx) {
  struct wp_series_key *key = &introduction.series;
  return slot_of(key->incarnation, key->counter, key->shard, FROM_TOOL) < WP_POOL_SIZE_MAX;
}

/* Of an instance of the library that has been closed, while the process goes on. */
struct wp_forgotten forgotten;

SEC("syscall")
int forget(void *ctx) {
  struct wp_owned_block *owned = bpf_map_lookup_elem(&threads, &forgotten.thread);
  if (owned) __sync_val_compare_and_swap(&owned->key.incarnation, forgotten.incarnation, 0);
  struct wp_known_arena *known = bpf_map_lookup_elem(&arenas, &forgotten.arena);
  if (known) __sync_val_compare_and_swap(&known->incarnation, forgotten.incarnation, 0);
  return 0;
}

/* ---- threads that die ----------------------------------------------------------------------------------------- */

/* Of the signals that do not kill there are too many. */
static __always_inline int is_survived(struct trace_event_raw_signal_deliver *event) {
  return bpf_get_attach_cookie(event) == WP_END_BY_SIGNAL && BPF_CORE_READ(event, sa_handler) != 0;
}

/* At several tracepoints: to verify it once for each would take half of the time that the tool needs to begin. So the cookie is asked
 * for again where it matters: with what it was before, the verifier would go through all this for each tracepoint all the same.
 *
 * By way of perf, and not tp_btf: from 7.0 or so on a program on a tracepoint can be preempted there, and what another thread would run
 * meanwhile is passed over. Perf keeps it from being preempted. */
static __always_inline void take_last(void *event) {
  if (is_survived(event)) return;
  flush_current_thread();
  int dies = bpf_get_attach_cookie(event) == WP_END_OF_THREAD;
  if (dies) forget_own(bpf_get_current_pid_tgid());
  keep_all_counts(bpf_get_current_pid_tgid() >> 32, dies && is_last_thread());
  if (dies) forget_ended();
}

SEC("tracepoint")
int on_end(void *event) {
  WP_MEASURED(take_last(event));
  return 0;
}

/* ---- processes that come --------------------------------------------------------------------------------------- */

static __noinline int meet_child(struct task_struct *parent, struct task_struct *child) {
  if (BPF_CORE_READ(parent, mm) == BPF_CORE_READ(child, mm))
    transfer_blocks(BPF_CORE_READ(parent, pid), BPF_CORE_READ(child, pid));
  follow_child(BPF_CORE_READ(parent, tgid), BPF_CORE_READ(child, tgid));
  return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child) {
  if (parent->tgid != child->tgid) WP_UNDISTURBED(WP_MEASURED(meet_child(parent, child)));
  return 0;
}

/* Any thread may call exec, and then has the number of the first. */
static __noinline int meet_program(struct task_struct *task, __u32 old_tid) {
  if (!task) return 0; /* for the verifier */
  forget_own(old_tid);
  forget_own(BPF_CORE_READ(task, pid));
  keep_all_counts(BPF_CORE_READ(task, tgid), 1);
  return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_tid, struct linux_binprm *program) {
  WP_UNDISTURBED(WP_MEASURED(meet_program(task, old_tid)));
  return 0;
}
