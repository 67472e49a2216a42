// SPDX-License-Identifier: MIT
#include "src/collect/doctor/target_checks.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <sstream>

#include "bpf/abi.h"
#include "src/collect/machine/capabilities.h"
#include "src/collect/process/fast_nop.h"
#include "src/collect/process/library_instances.h"
#include "src/collect/process/process_memory.h"
#include "src/collect/process/root_head.h"
#include "src/collect/doctor/torch_check.h"
#include "src/collect/safety/translators.h"
#include "src/model/probes.h"

namespace waitprobe {
namespace {

constexpr std::size_t most_named = 5;  // of what is listed; how many more there are is told

// "a, b and 3 more": the first of so many.
std::string listed(const std::vector<std::string>& names, std::size_t count) {
  const std::size_t shown = std::min(names.size(), most_named);
  std::string text;
  for (std::size_t i = 0; i < shown; i++) text += (i != 0 ? ", " : "") + names[i];
  if (count > shown) text += " and " + std::to_string(count - shown) + " more";
  return text;
}

std::string listed(const std::vector<std::string>& names) { return listed(names, names.size()); }

Check check_probes(const std::string& file, const ProbeFile& probes) {
  if (probes.notes != Notes::whole) {
    const Error error = untraceable_error(probes, file);
    return {"probes", CheckStatus::missing, true, file + ": " + error.why, error.hint};
  }
  std::vector<std::string> missing;
  for (const Probe& probe : all_probes) {
    if (probes.find(probe.name) == nullptr) missing.emplace_back(probe.name);
  }
  if (missing.empty()) return {"probes", CheckStatus::ok, true, file + ": all " + std::to_string(probes.sites.size()), ""};
  return {"probes", CheckStatus::missing, true, file + " lacks " + listed(missing),
          "link it with the libwaitprobe of this version"};
}

Check check_version(const std::string& file, const std::optional<RootHead>& root) {
  if (!root) return {"library version", CheckStatus::unknown, true, file + " cannot be read there", ""};
  if (root->magic != WP_ROOT_MAGIC)
    return {"library version", CheckStatus::missing, true, file + " has no valid library root", "relink it with libwaitprobe"};
  const std::string found = file + ": ABI " + std::to_string(root->version);
  if (root->version == WP_ABI_VERSION) return {"library version", CheckStatus::ok, true, found, ""};
  return {"library version", CheckStatus::missing, true, found + "; this tool supports " + std::to_string(WP_ABI_VERSION),
          "use a matching waitprobe, or relink the program"};
}

std::optional<RootHead> root_of_file(int fd, const ProbeFile& probes) {
  RootHead root;
  const auto offset = static_cast<off_t>(probes.root_offset());
  if (offset == 0 || pread(fd, &root, sizeof root, offset) != static_cast<ssize_t>(sizeof root)) return std::nullopt;
  return root;
}

// Who may be in the way: those that bring no semaphore, those of which that cannot be told, and whether all could be seen.
struct InTheWay {
  std::vector<std::string> without_semaphore, perhaps;
  bool are_all_seen = true;
};

// `armed`: the semaphores in the process; nothing where there is only a file. A program that sits on a probe while its
// semaphore is down has brought none.
InTheWay look_for_foreign(const std::string& file, const ProbeFile& probes, const std::optional<wp_armed>& armed,
                          const UprobePrograms& programs) {
  InTheWay found;
  const auto add = [&](const UsdtSite& site, const ForeignUprobes& foreign, std::vector<std::string>& to) {
    for (const std::string& one : foreign.names) to.push_back(one + " on " + site.name);
    found.are_all_seen = found.are_all_seen && foreign.are_all_seen;
  };
  for (const UsdtSite& site : probes.sites) {
    add(site, programs.of_tracefs.on(file, site), found.without_semaphore);
    const bool is_of_batch = site.name == "wait_block" || site.name == "wait_batch";
    if (armed && (is_of_batch ? armed->batch : armed->events) != 0) continue;
    add(site, programs.on(file, site), armed ? found.without_semaphore : found.perhaps);
  }
  return found;
}

Check check_foreign(const std::string& file, const ProbeFile& probes, const std::optional<wp_armed>& armed,
                    const UprobePrograms& programs) {
  const char* const name = "foreign uprobes";
  const InTheWay found = look_for_foreign(file, probes, armed, programs);
  if (!found.without_semaphore.empty()) {
    return {name, CheckStatus::missing, true,
            listed(found.without_semaphore) + ": no semaphore; the kernel then refuses uprobes that have one",
            "end them, or remove those of tracefs: echo '-:GROUP/NAME' >> /sys/kernel/tracing/uprobe_events"};
  }
  if (!found.perhaps.empty()) {
    return {name, CheckStatus::unknown, true, listed(found.perhaps) + ": perhaps without the probe's semaphore",
            "run waitprobe doctor -p PID on a process of this file"};
  }
  if (!found.are_all_seen) return {name, CheckStatus::unknown, true, "this user may not see all of them", reading_rights_fix()};
  return {name, CheckStatus::ok, true, "no uprobe without a semaphore", ""};
}

Check check_armed(const std::optional<RootHead>& root) {
  if (!root) return {"armed", CheckStatus::unknown, false, "its memory cannot be read", reading_rights_fix()};
  const wp_armed& armed = root->armed;
  std::vector<std::string> by;
  if (armed.events != 0) by.emplace_back("a tracer of single waits");
  if (armed.batch != 0) by.emplace_back("a tracer of batches");
  if (armed.backends != 0) by.emplace_back("its own backends");
  if (armed.self != 0) by.emplace_back("itself (WAITPROBE_TRACK)");
  return {"armed", CheckStatus::ok, false, by.empty() ? "no tracer is attached" : "by " + listed(by), ""};
}

// Sites that a kernel may turn into calls: the first few by name, since a file may have as many, and as long ones, as it likes.
struct Endangered {
  std::vector<std::string> named;
  std::size_t site_cnt = 0;
  std::size_t unread_cnt = 0;  // files that could not be opened
};

std::string described(const UsdtSite& site, const std::string& file) {
  constexpr std::size_t most_bytes = 256;
  std::string name = site.provider + ":" + site.name;
  if (name.size() > most_bytes) name.replace(most_bytes, std::string::npos, "...");
  char offset[32];
  std::snprintf(offset, sizeof offset, "0x%llx", static_cast<unsigned long long>(site.offset));
  return name + " at " + offset + " of " + file;
}

void add_endangered(int fd, const std::string& file, Endangered& found) {
  const auto sites = read_usdt_sites(fd, file);
  if (!sites || !sites->has_value()) return;
  for (const UsdtSite& site : **sites) {
    if (site.has_long_nops) continue;  // ours: its function keeps nothing below the stack pointer
    char code[6];
    const ssize_t got = site.offset != 0 ? pread(fd, code, sizeof code, static_cast<off_t>(site.offset)) : 0;
    if (got <= 0 || !may_become_call({code, static_cast<std::size_t>(got)})) continue;
    if (found.site_cnt++ < most_named) found.named.push_back(described(site, file));
  }
}

bool children_die() {
  const auto found = try_nops();
  return found && found->children_die;
}

Check check_red_zone(const Endangered& endangered) {
  const char* const name = "red zone";
  if (endangered.site_cnt == 0 && endangered.unread_cnt != 0) {
    return {name, CheckStatus::unknown, false, std::to_string(endangered.unread_cnt) + " of its files could not be opened",
            reading_rights_fix()};
  }
  if (endangered.site_cnt == 0) return {name, CheckStatus::ok, false, "no USDT probe is a five-byte nop", ""};
  const auto does = makes_calls_of_nops();
  if (does == std::optional(false))
    return {name, CheckStatus::ok, false, "this kernel does not turn five-byte nops into calls", ""};
  return {name, does ? CheckStatus::warning : CheckStatus::unknown, false,
          listed(endangered.named, endangered.site_cnt) + ": traced, " + (does ? "this kernel turns" : "a kernel may turn") +
              " the nop into a call, which overwrites variables of functions that use the red zone" +
              (does && children_die() ? ", and of which children die that the process forks" : ""),
          "do not trace these; build that file with -mno-red-zone, or with the one-byte nop of sys/sdt.h"};
}

struct Namespace {
  const char* name;
  const char* meaning;  // of being in another one
};
constexpr Namespace namespaces[] = {
    {"pid", "shown with its pid here"},
    {"mnt", "files are opened in its mount namespace"},
    {"user", "its root is not root here"},
    {"time", "ages of open waits may be wrong"},
};

Check check_namespaces(std::uint32_t pid) {
  std::vector<std::string> others;
  const std::string folder = "/proc/" + std::to_string(living_thread_of(pid)) + "/ns/";
  for (const auto& [name, meaning] : namespaces) {
    std::error_code error, own_error;
    const auto its = std::filesystem::read_symlink(folder + name, error);
    const auto ours = std::filesystem::read_symlink(std::string("/proc/self/ns/") + name, own_error);
    if (error) return {"namespaces", CheckStatus::unknown, false, "they cannot be read", reading_rights_fix()};
    if (!own_error && its != ours) others.push_back(std::string(name) + " of its own (" + meaning + ")");
  }
  return {"namespaces", CheckStatus::ok, false, others.empty() ? "ours" : listed(others), ""};
}

// Not a folder, which may be entered ("executed") as well.
bool is_program(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error) && access(path.c_str(), X_OK) == 0;
}

// As execvp() does.
std::string find_in_path(const std::string& name) {
  if (name.find('/') != std::string::npos) return is_program(name) ? name : "";
  const char* const folders = std::getenv("PATH");
  std::istringstream all(folders != nullptr ? folders : "/bin:/usr/bin");
  for (std::string folder; std::getline(all, folder, ':');) {
    const std::string path = (folder.empty() ? "." : folder) + "/" + name;
    if (is_program(path)) return path;
  }
  return "";
}

void check_instance(const LibraryInstance& instance, const UprobePrograms& programs, BeforeAttaching& before,
                    std::vector<Check>& checks) {
  const ProcessMemory memory(instance.pid);
  RootHead head;
  const auto root = memory.read(instance.root_address, &head, sizeof head) ? std::optional(head) : std::nullopt;
  checks.push_back(check_probes(instance.path, *instance.probes));
  checks.push_back(check_version(instance.path, root));
  checks.push_back(check_armed(root));
  if (instance.probes->notes != Notes::whole) return;
  if (instance.code == Code::moved) {
    const Error moved = moved_code_error(instance);
    checks.push_back({"code", CheckStatus::missing, true, moved.on + ": " + moved.why, moved.hint});
  }
  checks.push_back(before.describe(*instance.probes, instance.path));
  const FileDescriptor file = InstanceFinder::open_instance(instance);
  const std::string path = "/proc/self/fd/" + std::to_string(file.get());
  checks.push_back(check_foreign(file.ok() ? path : instance.path, *instance.probes,
                                 root ? std::optional(root->armed) : std::nullopt, programs));
}

Endangered endangered_sites(std::uint32_t pid, const std::vector<Mapping>& mappings) {
  std::map<FileId, const Mapping*> files;
  for (const Mapping& mapping : mappings) {
    if (mapping.executable) files.emplace(mapping.file, &mapping);
  }
  Endangered found;
  for (const auto& [id, mapping] : files) {
    const FileDescriptor file = InstanceFinder::open_mapped(pid, *mapping);
    if (file.ok()) {
      add_endangered(file.get(), mapping->path, found);
    } else {
      found.unread_cnt++;
    }
  }
  return found;
}

// `without_probes` is what to say of a file that carries none.
Result<Findings> check_file(const std::string& path, const UprobePrograms& programs, BeforeAttaching& before,
                            const Check& without_probes) {
  const FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.ok()) return Error{"open", path, errno_text(errno), ""};
  const auto probes = read_probe_notes(file.get(), path);
  if (!probes) return probes.error();
  Findings findings{path, {}};
  if (probes->has_value() && (*probes)->notes != Notes::whole) {
    findings.checks.push_back(check_probes(path, **probes));
  } else if (probes->has_value()) {
    findings.checks.push_back(check_probes(path, **probes));
    findings.checks.push_back(check_version(path, root_of_file(file.get(), **probes)));
    findings.checks.push_back(before.describe(**probes, path));
    findings.checks.push_back(check_foreign(path, **probes, std::nullopt, programs));
  } else {
    findings.checks.push_back(without_probes);
  }
  Endangered endangered;
  add_endangered(file.get(), path, endangered);
  findings.checks.push_back(check_red_zone(endangered));
  return findings;
}

}  // namespace

Result<Findings> check_process(std::uint32_t pid, const UprobePrograms& programs, BeforeAttaching& before) {
  if (auto exists = check_exists(pid); !exists) return exists.error();
  Findings findings{describe_process(pid), {}};
  InstanceFinder finder;
  const auto mappings = file_mappings(pid);
  std::set<std::string> unopened;
  const auto instances = finder.find(pid, unopened);
  if (!mappings || !instances) {
    if (auto exists = check_exists(pid); !exists) return exists.error();  // it has ended meanwhile
    const Error& why = !mappings ? mappings.error() : instances.error();
    findings.checks.push_back(
        {"memory map", CheckStatus::missing, true, "it cannot be read: " + why.why, reading_rights_fix()});
    return findings;
  }
  if (!unopened.empty()) {
    const Error why = unopened_error(pid, *unopened.begin());
    findings.checks.push_back({"files", CheckStatus::unknown, true, why.why, why.hint});
  } else if (instances->empty()) {
    const Error none = no_probes_error(pid);
    findings.checks.push_back({"probes", CheckStatus::missing, true, none.why, none.hint});
  }
  for (const LibraryInstance& instance : *instances) check_instance(instance, programs, before, findings.checks);
  if (auto torch = check_torch(pid, *mappings, *instances)) findings.checks.push_back(std::move(*torch));
  findings.checks.push_back(check_namespaces(pid));
  findings.checks.push_back(check_red_zone(endangered_sites(pid, *mappings)));
  return findings;
}

Result<Findings> check_file(const std::string& path, const UprobePrograms& programs, BeforeAttaching& before) {
  return check_file(path, programs, before,
                    {"probes", CheckStatus::missing, true, "no waitprobe probes in it",
                     "link it with libwaitprobe, or give the library with -f"});
}

Result<Findings> check_command(const std::string& name, const UprobePrograms& programs, BeforeAttaching& before) {
  const std::string path = find_in_path(name);
  if (path.empty()) return Error{"start", name, "there is no such command in PATH", ""};
  // A script, or a program that loads a library with probes: it will tell when it runs.
  Check none{"probes", CheckStatus::unknown, true,
             "no probes in this file; programs and libraries that it starts or loads may have some", ""};
  auto findings = check_file(path, programs, before, none);
  return findings ? findings : Findings{path, {none}};
}

}  // namespace waitprobe
