// SPDX-License-Identifier: MIT
#include "src/collect/stacks/symbolizer.h"

#include <elfutils/libdwfl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <unordered_map>

#include "src/collect/machine/descriptor_limit.h"
#include "src/collect/process/library_instances.h"
#include "src/collect/process/elf_file.h"
#include "src/collect/stacks/frame_names.h"

namespace waitprobe {
namespace {

constexpr std::size_t most_frames = 128;
// What is kept of processes: of more, those that have ended are forgotten; and debug information of so many, the last that
// were asked for.
constexpr std::size_t most_processes = 1024, most_sessions = 32, most_names = 1 << 16;

struct EndSession {
  void operator()(Dwfl* dwfl) const { dwfl_end(dwfl); }
};
using Session = std::unique_ptr<Dwfl, EndSession>;

// A file as it lies in memory: all of it is at address + bias.
struct Module {
  Mapping mapping;  // one that holds code
  std::shared_ptr<const FileDescriptor> file;
};

struct Process {
  std::uint64_t start_ticks = 0;
  std::vector<Mapping> mappings;  // as they were when they were last looked at
  std::vector<Module> modules;
  Session session;
  std::unordered_map<Dwarf_Addr, Stack> names;  // what the session has said of an address
  const StackSample* sample = nullptr;          // in work
  std::uint64_t last_used = 0;
};

char* default_debuginfo_path = nullptr;

// Files are handed in open; nothing is searched for but separate debug information.
const Dwfl_Callbacks callbacks = {dwfl_build_id_find_elf, dwfl_standard_find_debuginfo, nullptr, &default_debuginfo_path};

Session open_session(const std::vector<Module>& modules) {
  Session session(dwfl_begin(&callbacks));
  if (session == nullptr) return session;
  dwfl_report_begin(session.get());
  for (const Module& module : modules) {
    const ElfHandle elf = open_elf(module.file->get());
    const auto bias = elf != nullptr ? load_segments(elf.get()).load_bias(module.mapping) : std::nullopt;
    if (!bias) continue;
    const int file = dup(module.file->get());  // which is the session's from here on
    if (file < 0) continue;
    const std::string& path = module.mapping.path;
    if (dwfl_report_elf(session.get(), path.c_str(), path.c_str(), file, *bias, true) == nullptr) close(file);
  }
  dwfl_report_end(session.get(), nullptr, nullptr);
  return session;
}

// ---- unwinding: what libdwfl asks of a thread is answered from a sample -----------------------------------------------------

constexpr pid_t the_thread = 1;

pid_t next_thread(Dwfl*, void* process, void** thread) {
  if (*thread != nullptr) return 0;
  *thread = process;
  return the_thread;
}

bool get_thread(Dwfl*, pid_t, void* process, void** thread) {
  *thread = process;
  return true;
}

bool read_memory(Dwfl*, Dwarf_Addr address, Dwarf_Word* result, void* process) {
  const StackSample& sample = *static_cast<const Process*>(process)->sample;
  const std::uint64_t at = address - sample.stack_address;
  if (address < sample.stack_address || at > sample.stack.size() || sample.stack.size() - at < sizeof *result) return false;
  std::memcpy(result, sample.stack.data() + at, sizeof *result);
  return true;
}

bool set_registers(Dwfl_Thread* thread, void* process) {
  const auto& reg = static_cast<const Process*>(process)->sample->registers.reg;
#if defined(__aarch64__)
  dwfl_thread_state_register_pc(thread, reg[32]);
  Dwarf_Word registers[32];  // in the order of DWARF: x0 ... x30 sp
  std::copy_n(std::begin(reg), std::size(registers), registers);
#else
  // In the order of DWARF: ax dx cx bx si di bp sp r8 ... r15 ip.
  constexpr int order[] = {10, 12, 11, 5, 13, 14, 4, 19, 9, 8, 7, 6, 3, 2, 1, 0, 16};
  Dwarf_Word registers[std::size(order)];
  std::transform(std::begin(order), std::end(order), registers, [&](int index) { return reg[index]; });
#endif
  return dwfl_thread_state_registers(thread, 0, std::size(registers), registers);
}

constexpr Dwfl_Thread_Callbacks thread_callbacks = {next_thread, get_thread, read_memory, set_registers, nullptr, nullptr};

int take_frame(Dwfl_Frame* frame, void* addresses) {
  auto& all = *static_cast<std::vector<Dwarf_Addr>*>(addresses);
  Dwarf_Addr pc = 0;
  bool is_activation = false;
  if (!dwfl_frame_pc(frame, &pc, &is_activation) || pc == 0) return DWARF_CB_ABORT;
  // A return address may already belong to the next line, or function.
  all.push_back(is_activation ? pc : pc - 1);
  return all.size() < most_frames ? DWARF_CB_OK : DWARF_CB_ABORT;
}

bool is_same(const Mapping& a, const Mapping& b) {
  return a.start == b.start && a.end == b.end && a.offset == b.offset && a.file == b.file && a.executable == b.executable;
}

}  // namespace

struct Symbolizer::State {
  using Open = std::function<FileDescriptor(const Mapping&)>;

  std::map<std::uint32_t, Process> processes;
  std::map<FileId, std::weak_ptr<const FileDescriptor>> files;
  std::uint64_t use_cnt = 0;

  std::shared_ptr<const FileDescriptor> open_once(const Mapping& mapping, const Open& open);
  std::vector<Module> open_modules(const std::vector<Mapping>& mappings, const Open& open);
  // `is_whole` says, afterwards, whether the mappings were all that there are.
  void learn(std::uint32_t pid, std::uint64_t start_ticks, std::vector<Mapping> mappings, const Open& open,
             const std::function<bool()>& is_whole);
  Dwfl* session_of(Process& process);
  void forget_ended();
  static const Stack& name(Process& process, Dwarf_Addr address);
};

std::shared_ptr<const FileDescriptor> Symbolizer::State::open_once(const Mapping& mapping, const Open& open) {
  auto& known = files[mapping.file];
  if (auto file = known.lock()) return file;
  FileDescriptor opened = open(mapping);
  if (!opened.ok()) return nullptr;
  auto file = std::make_shared<const FileDescriptor>(std::move(opened));
  known = file;
  return file;
}

std::vector<Module> Symbolizer::State::open_modules(const std::vector<Mapping>& mappings, const Open& open) {
  std::vector<Module> modules;
  for (const Mapping& mapping : mappings) {
    // A file with several parts that hold code lies in memory as a whole.
    const bool is_further = std::any_of(modules.begin(), modules.end(), [&](const Module& module) {
      return module.mapping.file == mapping.file &&
             mapping.start - module.mapping.start == mapping.offset - module.mapping.offset;
    });
    if (is_further) continue;
    auto file = open_once(mapping, open);
    if (file != nullptr) modules.push_back({mapping, std::move(file)});
  }
  std::erase_if(files, [](const auto& entry) { return entry.second.expired(); });
  return modules;
}

void Symbolizer::State::learn(std::uint32_t pid, std::uint64_t start_ticks, std::vector<Mapping> mappings, const Open& open,
                              const std::function<bool()>& is_whole) {
  std::erase_if(mappings, [](const Mapping& mapping) { return !mapping.executable; });
  const auto known = processes.find(pid);
  const bool is_known = known != processes.end() && known->second.start_ticks == start_ticks;
  if (is_known &&
      std::equal(mappings.begin(), mappings.end(), known->second.mappings.begin(), known->second.mappings.end(), is_same))
    return;
  auto modules = open_modules(mappings, open);
  if (is_known && !is_whole()) return;
  Process& process = processes[pid];
  process = Process();
  process.start_ticks = start_ticks;
  process.mappings = std::move(mappings);
  process.modules = std::move(modules);
}

void Symbolizer::State::forget_ended() {
  if (processes.size() < most_processes) return;
  std::erase_if(processes, [](const auto& entry) { return start_ticks_of(entry.first) != entry.second.start_ticks; });
}

// To find a name takes milliseconds, and threads wait in few places.
const Stack& Symbolizer::State::name(Process& process, Dwarf_Addr address) {
  if (process.names.size() >= most_names) process.names.clear();
  const auto [entry, is_new] = process.names.try_emplace(address);
  if (is_new) name_address(process.session.get(), address, entry->second);
  return entry->second;
}

// Null when nothing can be told of any of its files.
Dwfl* Symbolizer::State::session_of(Process& process) {
  process.last_used = ++use_cnt;
  if (process.session != nullptr) return process.session.get();
  std::vector<Process*> open;
  for (auto& [pid, other] : processes) {
    if (other.session != nullptr) open.push_back(&other);
  }
  if (open.size() >= most_sessions) {
    const auto oldest = [](const Process* a, const Process* b) { return a->last_used < b->last_used; };
    Process& closed = **std::min_element(open.begin(), open.end(), oldest);
    closed.session.reset();
    closed.names.clear();
  }
  process.session = open_session(process.modules);
  if (process.session != nullptr) dwfl_attach_state(process.session.get(), nullptr, the_thread, &thread_callbacks, &process);
  return process.session.get();
}

Symbolizer::Symbolizer() : state_(std::make_unique<State>()) {
  elf_version(EV_CURRENT);
  allow_many_files();
}
Symbolizer::~Symbolizer() = default;
Symbolizer::Symbolizer(Symbolizer&&) noexcept = default;

void Symbolizer::look_at(std::uint32_t pid) {
  const std::uint64_t start_ticks = start_ticks_of(pid);
  auto mappings = file_mappings(pid);
  if (start_ticks == 0 || !mappings || mappings->empty()) return;
  state_->forget_ended();
  state_->learn(
      pid, start_ticks, std::move(*mappings),
      [pid](const Mapping& mapping) { return InstanceFinder::open_mapped(pid, mapping); }, [pid] { return has_memory(pid); });
}

void Symbolizer::learn(std::uint32_t pid, const std::vector<Mapping>& mappings,
                       const std::function<FileDescriptor(const Mapping&)>& open) {
  state_->learn(pid, 0, mappings, open, [] { return true; });
}

Stack Symbolizer::stack_of(std::uint32_t pid, const StackSample& sample) {
  const auto known = state_->processes.find(pid);
  if (known == state_->processes.end()) return {};
  Process& process = known->second;
  Dwfl* const session = state_->session_of(process);
  if (session == nullptr) return {};
  process.sample = &sample;
  std::vector<Dwarf_Addr> addresses;
  dwfl_getthread_frames(session, the_thread, take_frame, &addresses);
  process.sample = nullptr;
  if (addresses.empty()) addresses.push_back(instruction_pointer(sample.registers));

  Stack stack;
  for (const Dwarf_Addr address : addresses) {
    const Stack& functions = State::name(process, address);
    stack.insert(stack.end(), functions.begin(), functions.end());
  }
  const auto first =
      std::find_if(stack.begin(), stack.end(), [](const Frame& frame) { return !is_of_library(frame.function); });
  if (first != stack.end()) stack.erase(stack.begin(), first);
  return stack;
}

}  // namespace waitprobe
