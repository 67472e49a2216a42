// SPDX-License-Identifier: MIT
#include "src/collect/trace/process_events.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/perf_event.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

#include "src/collect/machine/clock.h"

namespace waitprobe {
namespace {

// The kernel tells of threads too, and wakes the tool for each: it looks so often at the most.
constexpr std::uint64_t pause_ns = 2'000'000;

// Of each CPU: about 1,700 records. More would have to be allowed first (kernel.perf_event_mlock_kb).
constexpr std::size_t pages = 64;

// What stands at the end of each record.
struct Trailer {
  std::uint32_t pid;
  std::uint32_t tid;
  std::uint64_t time_ns;
};

struct MappedRecord {
  perf_event_header header;
  std::uint32_t pid, tid;
  std::uint64_t address, bytes, offset;
  std::uint32_t major, minor;
  std::uint64_t inode, generation;
  std::uint32_t prot, flags;
  // its path follows, which ends with a 0
};

// Of a fork and of an end, of threads too. The parent is the process that has forked.
struct TaskRecord {
  perf_event_header header;
  std::uint32_t pid, parent_pid;
  std::uint32_t tid, parent_tid;
  std::uint64_t time_ns;
};

struct CommRecord {
  perf_event_header header;
  std::uint32_t pid, tid;
  // its name follows, which ends with a 0
};

perf_event_attr what_to_tell() {
  perf_event_attr attributes = {};
  attributes.size = sizeof attributes;
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.config = PERF_COUNT_SW_DUMMY;
  attributes.mmap = 1;
  attributes.mmap2 = 1;
  attributes.comm = 1;
  attributes.comm_exec = 1;
  attributes.sample_id_all = 1;
  attributes.sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME;
  attributes.use_clockid = 1;
  attributes.clockid = CLOCK_MONOTONIC;
  attributes.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_LOST;
  attributes.watermark = 1;
  attributes.wakeup_watermark = 1;
  return attributes;
}

Trailer trailer_of(const perf_event_header& record) {
  Trailer trailer;
  std::memcpy(&trailer, reinterpret_cast<const char*>(&record) + record.size - sizeof trailer, sizeof trailer);
  return trailer;
}

template <typename Record>
std::string text_behind(const Record& record) {
  return reinterpret_cast<const char*>(&record + 1);
}

// As the attributes ask for.
struct EventState {
  std::uint64_t value, enabled_ns, lost;
};

EventState read_state(int fd) {
  EventState state = {};
  if (read(fd, &state, sizeof state) != static_cast<ssize_t>(sizeof state)) return {};
  return state;
}

ProcessEvent event_of(ProcessEvent::Kind kind, const perf_event_header& header, std::uint32_t pid) {
  return {kind, pid, trailer_of(header).time_ns, {}, "", 0};
}

ProcessEvent mapped(const perf_event_header& header) {
  const auto& record = reinterpret_cast<const MappedRecord&>(header);
  ProcessEvent event = event_of(ProcessEvent::Kind::file, header, record.pid);
  event.mapping.start = record.address;
  event.mapping.end = record.address + record.bytes;
  event.mapping.offset = record.offset;
  event.mapping.executable = (record.prot & PROT_EXEC) != 0;
  event.mapping.shared = (record.flags & MAP_SHARED) != 0;
  event.mapping.file = {makedev(record.major, record.minor), record.inode};
  event.mapping.path = text_behind(record);
  return event;
}

}  // namespace

void ProcessEvents::Free::operator()(perf_buffer* buffer) const { perf_buffer__free(buffer); }

void ProcessEvents::on_record(Read& read, const perf_event_header* header) {
  using Kind = ProcessEvent::Kind;
  read.has_any = true;
  if (header->type == PERF_RECORD_MMAP2) {
    ProcessEvent event = mapped(*header);
    // Others are the kernel's own, or belong to no file.
    if (event.mapping.file.inode == 0) return;
    read.events.push_back(std::move(event));
  } else if (header->type == PERF_RECORD_COMM) {
    const auto& record = *reinterpret_cast<const CommRecord*>(header);
    const bool is_exec = (header->misc & PERF_RECORD_MISC_COMM_EXEC) != 0;
    if (!is_exec && record.pid != record.tid) return;
    read.events.push_back(event_of(is_exec ? Kind::program : Kind::name, *header, record.pid));
    read.events.back().comm = text_behind(record);
    if (!is_exec) return;
  } else if (header->type == PERF_RECORD_FORK) {
    const auto& record = *reinterpret_cast<const TaskRecord*>(header);
    if (record.pid == record.parent_pid) return;  // a thread
    read.events.push_back(event_of(Kind::fork, *header, record.pid));
    read.events.back().parent_pid = record.parent_pid;
    return;
  } else if (header->type == PERF_RECORD_EXIT) {
    read.events.push_back(event_of(Kind::end, *header, reinterpret_cast<const TaskRecord*>(header)->pid));
    return;
  }
  read.only_threads = false;
}

Result<ProcessEvents> ProcessEvents::open() {
  ProcessEvents events;
  // libbpf reads the rings by way of a map; nothing else uses that.
  const int cpus = libbpf_num_possible_cpus();
  events.map_ = FileDescriptor(bpf_map_create(BPF_MAP_TYPE_PERF_EVENT_ARRAY, "events", sizeof(std::uint32_t),
                                              sizeof(std::uint32_t), static_cast<std::uint32_t>(std::max(cpus, 1)), nullptr));
  if (!events.map_.ok()) return Error{"ask the kernel", "which files are mapped", errno_text(errno), ""};
  perf_event_attr attributes = what_to_tell();
  const auto on_any = [](void* read, int /*cpu*/, perf_event_header* record) {
    on_record(*static_cast<Read*>(read), record);
    return LIBBPF_PERF_EVENT_CONT;
  };
  events.buffer_.reset(perf_buffer__new_raw(events.map_.get(), pages, &attributes, on_any, events.read_.get(), nullptr));
  if (events.buffer_ == nullptr) return Error{"ask the kernel", "which files are mapped", errno_text(errno), ""};
  return events;
}

// What was lost is read rather than taken from PERF_RECORD_LOST, which comes with the next record that finds room on that CPU.
// The events of a CPU end when it is taken away, and do not begin again when it is back: their time stands still then.
bool ProcessEvents::missed_any() {
  const std::size_t heard = perf_buffer__buffer_cnt(buffer_.get());
  bool is_deaf = sysconf(_SC_NPROCESSORS_ONLN) > static_cast<long>(heard);
  std::uint64_t lost_cnt = 0;
  for (std::size_t i = 0; i < heard; i++) {
    const int fd = perf_buffer__buffer_fd(buffer_.get(), i);
    const std::uint64_t before_ns = read_state(fd).enabled_ns;
    const EventState state = read_state(fd);
    is_deaf |= state.enabled_ns == before_ns;
    lost_cnt += state.lost;
  }
  return std::exchange(lost_cnt_, lost_cnt) != lost_cnt || is_deaf;
}

int ProcessEvents::fd() const { return is_quiet_ ? -1 : perf_buffer__epoll_fd(buffer_.get()); }

// The rings of the CPUs are read one after the other: what is later than the first reading may follow something that another
// CPU told after its ring was read. It is kept for the next time.
std::vector<ProcessEvent> ProcessEvents::take() {
  const std::uint64_t until_ns = now_ns();
  read_->has_any = false;
  read_->only_threads = true;
  perf_buffer__consume(buffer_.get());
  std::vector<ProcessEvent>& kept = read_->events;
  std::stable_sort(kept.begin(), kept.end(),
                   [](const ProcessEvent& a, const ProcessEvent& b) { return a.time_ns < b.time_ns; });
  const auto later =
      std::find_if(kept.begin(), kept.end(), [&](const ProcessEvent& event) { return event.time_ns > until_ns; });
  std::vector<ProcessEvent> events(std::make_move_iterator(kept.begin()), std::make_move_iterator(later));
  kept.erase(kept.begin(), later);
  is_quiet_ = read_->has_any && read_->only_threads && kept.empty();
  next_ns_ = !kept.empty() ? until_ns : is_quiet_ ? until_ns + pause_ns : UINT64_MAX;
  return events;
}

}  // namespace waitprobe
