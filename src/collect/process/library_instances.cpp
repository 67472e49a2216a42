// SPDX-License-Identifier: MIT
#include "src/collect/process/library_instances.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <string_view>

#include "src/collect/machine/capabilities.h"

namespace waitprobe {
namespace {

constexpr std::size_t most_known = 65'536;   // files that are remembered; then they are forgotten, and read again
constexpr std::size_t most_instances = 256;  // in a process; thread-local storage has room for about a hundred

// By the place of any one probe: they stand side by side. Nothing where the file is only looked at: its code and its data are
// one mapping, or none may be executed and it is not known where the probes are.
std::optional<Code> code_of(const std::vector<Mapping>& mappings, const Mapping& data, const ProbeFile& probes) {
  const auto is_there = [&](const auto& condition) {
    return std::any_of(mappings.begin(), mappings.end(),
                       [&](const Mapping& mapping) { return mapping.file == data.file && condition(mapping); });
  };
  if (probes.sites.empty()) {
    const bool may_run = is_there([](const Mapping& mapping) { return mapping.executable; });
    return may_run ? std::optional(Code::mapped) : std::nullopt;
  }
  const auto holds_probe = [&](const Mapping& mapping) { return mapping.holds_offset(probes.sites.front().offset); };
  if (is_there([&](const Mapping& mapping) { return mapping.executable && holds_probe(mapping); })) return Code::mapped;
  if (holds_probe(data)) return std::nullopt;
  return is_there([&](const Mapping& mapping) { return !mapping.shared && holds_probe(mapping); }) ? Code::not_to_run
                                                                                                   : Code::moved;
}

std::uint64_t code_address_of(const ProbeFile& probes, const std::optional<std::uint64_t>& root_in_file, std::uint64_t root) {
  if (probes.sites.empty() || !root_in_file) return 0;
  const auto code = probes.segments.to_address(probes.sites.front().offset, PF_X);
  return code ? root - *root_in_file + *code : 0;
}

// Where a process has the file, by its code: once for each time that the loader has opened it (dlmopen). None where the code
// was moved.
std::set<std::uint64_t> biases_of(const std::vector<Mapping>& mappings, const FileId& file, const ProbeFile& probes) {
  std::set<std::uint64_t> biases;
  for (const Mapping& mapping : mappings) {
    const bool is_code = mapping.executable && mapping.file == file;
    if (const auto bias = is_code ? probes.segments.load_bias(mapping, PF_X) : std::nullopt) biases.insert(*bias);
  }
  return biases;
}

// Whether it is a device, say: such a mapping has no probes, and opening it might do something.
bool is_special(std::uint32_t pid, const Mapping& mapping) {
  const std::vector<std::string> ways = ways_to_open(pid, mapping);
  return std::any_of(ways.begin(), ways.end(), [&](const std::string& way) {
    struct stat status;
    return stat(way.c_str(), &status) == 0 && status.st_ino == mapping.file.inode && !S_ISREG(status.st_mode);
  });
}

}  // namespace

bool is_still_there(const LibraryInstance& instance) {
  const auto mappings = file_mappings(instance.pid);
  return mappings && std::any_of(mappings->begin(), mappings->end(), [&](const Mapping& mapping) {
           return mapping.file == instance.file && mapping.holds(instance.root_address);
         });
}

const Mapping* pytorch_in(const std::vector<Mapping>& mappings) {
  const auto found = std::find_if(mappings.begin(), mappings.end(), [](const Mapping& mapping) {
    return mapping.executable && file_name_of(mapping.path).starts_with("libc10.so");
  });
  return found != mappings.end() ? &*found : nullptr;
}

Error no_probes_error(std::uint32_t pid) {
  return Error{"trace", describe_process(pid), "none of its mapped files contains waitprobe's probes",
               "link the program with libwaitprobe and put guards around its waits (PyTorch has them: waitprobe run --torch)\n"
               "if it loads such a library later, use -f LIBRARY or -a"};
}

Error unopened_error(std::uint32_t pid, const std::string& path) {
  return Error{"trace", describe_process(pid), "it runs code of " + path + ", which cannot be opened", opening_rights_fix()};
}

Error nothing_found_error(std::uint32_t pid, const std::set<std::string>& unopened) {
  if (const auto exists = check_exists(pid); !exists) return exists.error();
  return unopened.empty() ? no_probes_error(pid) : unopened_error(pid, *unopened.begin());
}

FileDescriptor InstanceFinder::open_mapped(std::uint32_t pid, const Mapping& mapping, std::uint32_t parent_pid) {
  std::vector<std::string> ways = ways_to_open(pid, mapping);
  if (parent_pid != 0) ways.push_back("/proc/" + std::to_string(parent_pid) + "/root" + mapping.path);
  if (!has_memory(pid)) ways.push_back(mapping.path);
  for (const std::string& way : ways) {
    // The path may lead to another file by now, such as a device that must not be opened. Only inodes compare: the device
    // number of an overlay differs from that of its layers.
    const FileDescriptor place(open(way.c_str(), O_PATH | O_CLOEXEC));
    struct stat status;
    if (!place.ok() || fstat(place.get(), &status) != 0) continue;
    if (!S_ISREG(status.st_mode) || status.st_ino != mapping.file.inode) continue;
    FileDescriptor file(open(("/proc/self/fd/" + std::to_string(place.get())).c_str(), O_RDONLY | O_CLOEXEC));
    if (file.ok()) return file;
  }
  return FileDescriptor();
}

FileDescriptor InstanceFinder::open_instance(const LibraryInstance& instance) {
  const auto mappings = file_mappings(instance.pid);
  if (!mappings) return FileDescriptor();
  for (const Mapping& mapping : *mappings) {
    if (mapping.file == instance.file) return open_mapped(instance.pid, mapping);
  }
  return FileDescriptor();
}

std::optional<std::shared_ptr<const ProbeFile>> InstanceFinder::look_up(std::uint32_t pid, const Mapping& mapping,
                                                                        std::uint32_t parent_pid) {
  const auto known = known_.find(mapping.file);
  if (known != known_.end()) {
    known->second.seen = true;
    return known->second.probes;
  }
  const FileDescriptor file = open_mapped(pid, mapping, parent_pid);
  if (!file.ok() && is_special(pid, mapping)) return nullptr;
  if (!file.ok()) return std::nullopt;  // not remembered: another process may have the right
  std::shared_ptr<const ProbeFile> probes;
  auto notes = read_probe_notes(file.get(), mapping.path);
  if (notes && notes->has_value() && (*notes)->has_root()) probes = std::make_shared<ProbeFile>(std::move(**notes));
  if (known_.size() >= most_known) known_.clear();
  return known_[mapping.file].probes = std::move(probes);
}

Result<InstanceFinder::Found> InstanceFinder::find_all(const std::vector<std::uint32_t>& pids) {
  Found found;
  found.unseen.may_be_more = pids.empty() && hides_processes();
  found.unseen.has_all_rights = has_reading_rights();
  for (const std::uint32_t pid : pids.empty() ? all_pids() : pids) {
    if (!pids.empty()) {
      if (const auto exists = check_exists(pid); !exists) return exists.error();
    }
    std::set<std::string> unopened;
    auto instances = find(pid, unopened);
    if (!instances && !pids.empty()) return instances.error();
    // Whoever has ended meanwhile is not missing, nor is what is left of it until its parent notices.
    if ((!instances || !unopened.empty()) && check_exists(pid)) found.unseen.process_cnt++;
    if (!instances) continue;
    if (instances->empty() && !pids.empty()) return nothing_found_error(pid, unopened);
    std::move(instances->begin(), instances->end(), std::back_inserter(found.instances));
  }
  return found;
}

Result<std::vector<std::uint32_t>> carriers_named(const std::string& glob) {
  constexpr std::size_t most_bytes = 15;
  const std::vector<std::uint32_t> named = pids_named(glob);
  if (named.empty()) {
    return Error{
        "find a process named", glob, "none that runs now has such a name",
        glob.size() > most_bytes ? "the kernel keeps 15 bytes of a name: try '" + glob.substr(0, most_bytes) + "*'" : ""};
  }
  InstanceFinder finder;
  std::vector<std::uint32_t> carriers;
  for (const std::uint32_t pid : named) {
    std::set<std::string> unopened;
    const auto instances = finder.find(pid, unopened);
    const bool may_carry = instances ? !instances->empty() || !unopened.empty() : bool(check_exists(pid));
    if (may_carry) carriers.push_back(pid);
  }
  if (carriers.empty()) return nothing_found_error(named.front(), {});
  return carriers;
}

std::optional<std::set<FileId>> InstanceFinder::mapped_files() {
  std::set<FileId> files;
  for (const std::uint32_t pid : all_pids()) {
    std::set<std::string> unopened;
    const auto instances = find(pid, unopened);
    if ((!instances && check_exists(pid)) || !unopened.empty()) return std::nullopt;
    if (!instances) continue;
    for (const LibraryInstance& instance : *instances) files.insert(instance.probes->on_disk);
  }
  return files;
}

void InstanceFinder::forget_unseen() {
  std::erase_if(known_, [](const auto& entry) { return !entry.second.seen; });
  for (auto& [file, known] : known_) known.seen = false;
}

// Two segments may show the same page of the file, both writable; the root lives where the code looks for it. A file that a
// process has mapped several times (dlmopen) is several instances.
// Files that a process has still mapped.
std::set<std::string> InstanceFinder::still_mapped(std::uint32_t pid, const std::map<FileId, std::string>& files) {
  std::set<std::string> paths;
  if (files.empty()) return paths;
  const auto mappings = file_mappings(pid);
  if (!mappings) return paths;
  for (const Mapping& mapping : *mappings) {
    if (files.contains(mapping.file)) paths.insert(mapping.path);
  }
  return paths;
}

Result<std::vector<LibraryInstance>> InstanceFinder::find(std::uint32_t pid, std::set<std::string>& unopened,
                                                          std::uint64_t of_inode) {
  auto mappings = file_mappings(pid);
  if (!mappings) return mappings.error();
  // Code may have been moved away; its data stays.
  std::set<FileId> with_code;
  for (const Mapping& mapping : *mappings) {
    if (mapping.executable || (mapping.writable && !mapping.shared)) with_code.insert(mapping.file);
  }
  std::vector<LibraryInstance> instances;
  std::set<std::uint64_t> roots;
  std::map<FileId, std::string> not_opened;
  for (const Mapping& mapping : *mappings) {
    if (!with_code.contains(mapping.file) || (of_inode != 0 && mapping.file.inode != of_inode)) continue;
    const auto found = look_up(pid, mapping, 0);
    if (!found && mapping.executable) not_opened[mapping.file] = mapping.path;
    const auto probes = found.value_or(nullptr);
    // Two segments may show the same page of the file, both writable; the root lives where the code looks for it.
    if (probes == nullptr || !mapping.writable || mapping.shared) continue;
    const auto biases = biases_of(*mappings, mapping.file, *probes);
    for (const std::uint64_t offset : probes->root_offsets) {
      if (!mapping.holds_offset(offset)) continue;
      const auto code = code_of(*mappings, mapping, *probes);
      if (!code) continue;
      const std::uint64_t root = mapping.start + (offset - mapping.offset);
      const auto address = probes->segments.to_address(offset, PF_W);
      if (!biases.empty() && (!address || !biases.contains(root - *address))) continue;
      if (instances.size() < most_instances && roots.insert(root).second) {
        instances.push_back({pid, mapping.file, mapping.path, probes, root, *code, code_address_of(*probes, address, root)});
      }
    }
  }
  unopened = still_mapped(pid, not_opened);  // the others have gone with their process, or were closed
  has_seen_pytorch_ |= !instances.empty() && pytorch_in(*mappings) != nullptr;
  std::sort(instances.begin(), instances.end(),
            [](const LibraryInstance& a, const LibraryInstance& b) { return a.root_address < b.root_address; });
  return instances;
}

}  // namespace waitprobe
