// SPDX-License-Identifier: MIT
#include "src/collect/trace/verification.h"

#include <time.h>

#include <algorithm>
#include <cstddef>
#include <iterator>

#include "src/collect/machine/clock.h"
#include "src/collect/process/process_memory.h"
#include "src/collect/process/root_head.h"

namespace waitprobe {
namespace {

// More are dropped: that there are such processes is known by then.
constexpr std::size_t most_others = 10'000;

// What was armed, or is new, and seems not to be is read so often, with a pause: a loader may have mapped the file while the
// kernel is about to raise the word, or exec is giving the process other memory.
constexpr int reads_of_doubt = 5;
constexpr timespec pause_between_reads = {0, 500'000};

bool are_raised(const Memory& memory, const std::vector<std::uint64_t>& words) {
  return std::all_of(words.begin(), words.end(), [&](std::uint64_t address) {
    std::uint16_t word = 0;
    return memory.read(address, &word, sizeof word) && word != 0;
  });
}

}  // namespace

Verification::Verification(const std::vector<ProbeProgram>& programs) {
  for (const ProbeProgram& program : programs) probes_.emplace_back(program.probe);
}

std::vector<std::uint64_t> Verification::words_of(const LibraryInstance& instance) const {
  std::vector<std::uint64_t> words;
  for (const std::string& probe : probes_) {
    const UsdtSite* site = instance.probes->find(probe);
    if (site != nullptr) words.push_back(instance.root_address + (site->semaphore_offset - instance.probes->root_offset()));
  }
  return words;
}

// Null: its memory says that it is armed.
const UnverifiedReason* Verification::doubt_of(const LibraryInstance& instance, const std::vector<std::uint64_t>& words) {
  const ProcessMemory memory(instance.pid);
  RootHead root;
  if (!memory.read(instance.root_address, &root, sizeof root)) return &unverified::not_readable;
  if (root.magic != WP_ROOT_MAGIC || root.version != WP_ABI_VERSION || root.size != sizeof(wp_root)) {
    return &unverified::other_abi;
  }
  if (are_raised(memory, words)) return nullptr;
  return instance.probes->shares_semaphore_page ? &unverified::shared_page : &unverified::word_is_zero;
}

// Of one that has ended: the kernel arms what maps the file, but for the page of another segment, and of a file that is there
// several times.
const UnverifiedReason* Verification::doubt_unread(const LibraryInstance& instance,
                                                   const std::vector<LibraryInstance>& instances) {
  if (instance.probes->shares_semaphore_page) return &unverified::shared_page;
  const auto cnt = std::count_if(instances.begin(), instances.end(), [&](const LibraryInstance& other) {
    return other.probes->on_disk == instance.probes->on_disk;
  });
  return cnt > 1 ? &unverified::word_is_zero : nullptr;
}

const std::string* Verification::look(std::uint32_t pid, const std::string& comm, const std::vector<LibraryInstance>& instances,
                                      std::uint64_t now_ns) {
  for (auto entry = known_.lower_bound({pid, 0}); entry != known_.end() && entry->first.first == pid;) {
    const auto is_it = [&](const LibraryInstance& instance) { return instance.root_address == entry->first.second; };
    const auto next = std::next(entry);
    if (std::none_of(instances.begin(), instances.end(), is_it)) end(entry, now_ns);
    entry = next;
  }
  const std::string* late = nullptr;
  for (const LibraryInstance& instance : instances) {
    const auto [entry, is_new] = known_.try_emplace({pid, instance.root_address});
    Known& known = entry->second;
    const UnverifiedReason* const before = known.why;
    known.words = words_of(instance);
    if (known.found_ns == 0) known.found_ns = waitprobe::now_ns();
    known.why = doubt_of(instance, known.words);
    for (int i = 1; before == nullptr && known.why != nullptr && i < reads_of_doubt; i++) {
      nanosleep(&pause_between_reads, nullptr);
      known.why = doubt_of(instance, known.words);
    }
    // What was read is of nobody, or of another program: this one has ended as it was known before.
    if (known.why != nullptr && !is_still_there(instance)) {
      known.why = before;
      if (is_new) known = {doubt_unread(instance, instances), {}, 0, comm, instance.path};
      end(entry, now_ns);
      continue;
    }
    known.comm = comm;
    known.file = instance.path;
    if (before != nullptr && known.why == nullptr) late = &instance.path;
  }
  return late;
}

bool Verification::has_found(std::uint32_t pid, const std::string& file, std::uint64_t since_ns, std::uint64_t until_ns) const {
  for (auto entry = known_.lower_bound({pid, 0}); entry != known_.end() && entry->first.first == pid; ++entry) {
    const Known& known = entry->second;
    if (known.file == file && known.found_ns >= since_ns && known.found_ns < until_ns) return true;
  }
  return false;
}

void Verification::end(std::map<Place, Known>::iterator entry, std::uint64_t now_ns) {
  const Known& known = entry->second;
  if (known.why != nullptr) add({entry->first.first, known.comm, known.file, known.why->name, now_ns});
  known_.erase(entry);
}

void Verification::add(Unverified process) {
  if (others_.size() >= most_others) return;
  others_[{process.pid, std::move(process.comm), std::move(process.file), std::move(process.why)}] = process.until_ns;
}

void Verification::is_hidden(std::uint32_t pid, const std::string& comm, const std::string& file) {
  if (hidden_.size() < most_others) hidden_.insert_or_assign(pid, std::pair(comm, file));
}

void Verification::is_seen(std::uint32_t pid, std::uint64_t now_ns) {
  const auto known = hidden_.find(pid);
  if (known == hidden_.end()) return;
  add({pid, known->second.first, known->second.second, unverified::hidden.name, now_ns});
  hidden_.erase(known);
}

void Verification::end(std::uint32_t pid, std::uint64_t now_ns) {
  look(pid, "", {}, now_ns);
  is_seen(pid, now_ns);
}

std::vector<std::uint32_t> Verification::doubtful() const {
  std::vector<std::uint32_t> pids;
  for (const auto& [place, known] : known_) {
    if (!pids.empty() && pids.back() == place.first) continue;
    if (known.why != nullptr || !are_raised(ProcessMemory(place.first), known.words)) pids.push_back(place.first);
  }
  for (const auto& [pid, names] : hidden_) pids.push_back(pid);
  return pids;
}

std::vector<Unverified> Verification::unverified() const {
  std::vector<Unverified> all;
  for (const auto& [process, until_ns] : others_) {
    const auto& [pid, comm, file, why] = process;
    all.push_back({pid, comm, file, why, until_ns});
  }
  for (const auto& [pid, names] : hidden_) all.push_back({pid, names.first, names.second, unverified::hidden.name});
  for (const auto& [place, known] : known_) {
    if (known.why != nullptr) all.push_back({place.first, known.comm, known.file, known.why->name});
  }
  return all;
}

}  // namespace waitprobe
