// SPDX-License-Identifier: MIT
#include "src/collect/copies.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <string_view>

namespace waitprobe {
namespace {

constexpr std::size_t most_known = 65'536;  // files that are remembered; then they are forgotten, and read again
constexpr std::size_t most_copies = 256;    // in a process; thread-local storage has room for about a hundred

}  // namespace

const Mapping* pytorch_in(const std::vector<Mapping>& mappings) {
  const auto found = std::find_if(mappings.begin(), mappings.end(), [](const Mapping& mapping) {
    return mapping.executable && std::string_view(mapping.path).substr(mapping.path.rfind('/') + 1).starts_with("libc10.so");
  });
  return found != mappings.end() ? &*found : nullptr;
}

Error no_probes_error(std::uint32_t pid) {
  return Error{"trace", describe_process(pid), "none of the files it has mapped carries the probes of waitprobe",
               "link the program with libwaitprobe and put guards around its waits (PyTorch has them: waitprobe run --torch)"};
}

FileDescriptor CopyFinder::open_mapped(std::uint32_t pid, const Mapping& mapping) {
  for (const std::string& way : ways_to_open(pid, mapping)) {
    FileDescriptor file(open(way.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat status;
    // The path may lead to another file by now. Only inodes compare: the device of an overlay differs from that of its layers.
    if (file.ok() && fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode) && status.st_ino == mapping.file.inode)
      return file;
  }
  return FileDescriptor();
}

FileDescriptor CopyFinder::open_copy(const Copy& copy) {
  const auto mappings = file_mappings(copy.pid);
  if (!mappings) return FileDescriptor();
  for (const Mapping& mapping : *mappings) {
    if (mapping.file == copy.file) return open_mapped(copy.pid, mapping);
  }
  return FileDescriptor();
}

std::shared_ptr<const ProbeFile> CopyFinder::probes_of(std::uint32_t pid, const Mapping& mapping) {
  const auto known = known_.find(mapping.file);
  if (known != known_.end()) {
    known->second.seen = true;
    return known->second.probes;
  }
  const FileDescriptor file = open_mapped(pid, mapping);
  if (!file.ok()) return nullptr;  // not remembered: another process may have the right
  std::shared_ptr<const ProbeFile> probes;
  auto notes = read_probe_notes(file.get(), mapping.path);
  if (notes && notes->has_value() && (*notes)->root_offset() != 0) probes = std::make_shared<ProbeFile>(std::move(**notes));
  if (known_.size() >= most_known) known_.clear();
  return known_[mapping.file].probes = std::move(probes);
}

Result<CopyFinder::Found> CopyFinder::find_all(const std::vector<std::uint32_t>& pids) {
  Found found;
  for (const std::uint32_t pid : pids.empty() ? all_pids() : pids) {
    if (!pids.empty()) {
      if (const auto exists = check_exists(pid); !exists) return exists.error();
    }
    auto copies = find(pid);
    if (!copies && !pids.empty()) return copies.error();
    if (!copies) {
      // Whoever has ended meanwhile is not missing.
      if (start_ticks_of(pid) != 0) found.unreadable_cnt++;
      continue;
    }
    if (copies->empty() && !pids.empty()) {
      const auto exists = check_exists(pid);
      return exists ? no_probes_error(pid) : exists.error();
    }
    std::move(copies->begin(), copies->end(), std::back_inserter(found.copies));
  }
  return found;
}

void CopyFinder::forget_unseen() {
  std::erase_if(known_, [](const auto& entry) { return !entry.second.seen; });
  for (auto& [file, known] : known_) known.seen = false;
}

// Two segments may show the same page of the file, both writable; the root lives where the code looks for it. A file that a
// process has mapped several times (dlmopen) is several copies.
Result<std::vector<Copy>> CopyFinder::find(std::uint32_t pid) {
  auto mappings = file_mappings(pid);
  if (!mappings) return mappings.error();
  std::vector<Copy> copies;
  std::set<std::uint64_t> roots;
  for (const Mapping& code : *mappings) {
    const auto probes = code.executable ? probes_of(pid, code) : nullptr;
    const auto bias = probes != nullptr ? probes->segments.bias_of_code(code) : std::nullopt;
    if (!bias || probes->root_address() == 0) continue;
    const std::uint64_t root = *bias + probes->root_address();
    const auto holds_root = [&](const Mapping& mapping) {
      return mapping.file == code.file && mapping.writable && mapping.holds(root) &&
             mapping.offset + (root - mapping.start) == probes->root_offset();
    };
    if (copies.size() < most_copies && std::any_of(mappings->begin(), mappings->end(), holds_root) &&
        roots.insert(root).second) {
      copies.push_back({pid, code.file, code.path, probes, root});
    }
  }
  has_seen_pytorch_ |= !copies.empty() && pytorch_in(*mappings) != nullptr;
  std::sort(copies.begin(), copies.end(), [](const Copy& a, const Copy& b) { return a.root_address < b.root_address; });
  return copies;
}

}  // namespace waitprobe
