// SPDX-License-Identifier: MIT
#include "src/collect/trace/slow_program.h"

#include <bpf/libbpf.h>

#include <cerrno>

#include "slow.skel.h"
#include "src/collect/machine/tracefs_folder.h"
#include "src/collect/machine/tracepoints.h"
#include "src/collect/machine/tracing_rights.h"
#include "src/collect/machine/uprobe_multi.h"
#include "src/collect/trace/loss_fields.h"
#include "src/model/probes.h"

namespace waitprobe {
namespace {

// Room for 500 stacks, or 11,000 waits without.
constexpr std::uint32_t ring_bytes = 4 << 20, ring_bytes_of_stacks = 16 << 20;
constexpr std::size_t most_at_once = 256;

}  // namespace

void SlowProgram::DestroySkeleton::operator()(slow_bpf* skeleton) const { slow_bpf__destroy(skeleton); }
void SlowProgram::FreeRing::operator()(ring_buffer* ring) const { ring_buffer__free(ring); }

Result<SlowProgram> SlowProgram::load(const wp_config& config, std::uint64_t min_ns, bool stacks) {
  if (auto rights = check_tracing_rights(); !rights) return rights.error();
  LibbpfLog log;
  SlowProgram program;
  program.min_ns_ = min_ns;
  program.skeleton_.reset(slow_bpf__open());
  if (program.skeleton_ == nullptr) return load_error(errno, log.text());
  slow_bpf* skeleton = program.skeleton_.get();
  skeleton->rodata->config = config;
  skeleton->rodata->slow_config = {min_ns, static_cast<__u8>(stacks), {}};
  bpf_map__set_max_entries(skeleton->maps.waits, stacks ? ring_bytes_of_stacks : ring_bytes);
  bpf_program__set_autoattach(skeleton->progs.on_slow_wait, false);
  prefer_uprobe_multi(skeleton->progs.on_slow_wait);
  if (const int failed = slow_bpf__load(skeleton); failed != 0) return load_error(-failed, log.text());
  auto links = attach_to_kernel(*skeleton->skeleton, {{skeleton->progs.on_thread_exit, "sched/sched_process_exit", 0}},
                                TracefsFolder::open(), log);
  if (!links) return links.error();
  program.links_ = std::move(*links);

  auto processes = ProcessFilter::open(skeleton->maps.targets, nullptr, config.filter_targets != 0);
  if (!processes) return processes.error();
  program.processes_ = std::move(*processes);
  program.waits_.reset(ring_buffer__new(bpf_map__fd(skeleton->maps.waits), on_wait, program.taker_.get(), nullptr));
  if (program.waits_ == nullptr) return load_error(errno, log.text());
  return program;
}

std::vector<ProbeProgram> SlowProgram::probe_programs() const {
  const char* name = "wait_stop";
  for (const Probe& probe : slow_probes) {
    if (probe.min_ns <= min_ns_) name = probe.name;
  }
  return {{skeleton_->progs.on_slow_wait, name}};
}

int SlowProgram::fd() const { return ring_buffer__epoll_fd(waits_.get()); }

// A negative answer ends ring_buffer__consume(), which has put the wait behind it by then.
int SlowProgram::on_wait(void* context, void* data, std::size_t size) {
  auto& taker = *static_cast<Taker*>(context);
  const auto& wait = *static_cast<const wp_slow_wait*>(data);
  if (size < sizeof wait || size - sizeof wait < wait.stack_bytes) return 0;
  taker.show(wait, reinterpret_cast<const std::uint8_t*>(&wait + 1));
  return ++taker.taken_cnt < most_at_once ? 0 : -1;
}

bool SlowProgram::take(const std::function<void(const wp_slow_wait&, const std::uint8_t*)>& show) {
  *taker_ = {show, 0};
  ring_buffer__consume(waits_.get());
  return taker_->taken_cnt != 0;
}

Losses SlowProgram::losses() const {
  Losses losses = losses_of(skeleton_->bss->losses, slow_losses);
  losses.unfollowed = skeleton_->bss->unfollowed_cnt;
  losses.missed = missed_runs(skeleton_->obj);
  return losses;
}

}  // namespace waitprobe
