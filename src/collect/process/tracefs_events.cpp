// SPDX-License-Identifier: MIT
#include "src/collect/process/tracefs_events.h"

#include <sys/stat.h>

#include <cctype>
#include <filesystem>
#include <map>
#include <optional>
#include <sstream>

#include "src/collect/machine/capabilities.h"
#include "src/collect/process/fast_nop.h"
#include "src/collect/process/library_instances.h"
#include "src/model/probes.h"

namespace waitprobe {
namespace {

// tracefs parts a line at blanks, and takes what follows a # for a comment.
bool is_takable(const std::string& path) { return path.find_first_of(" \t\n\v\f\r#") == std::string::npos; }

bool leads_to(const std::string& path, const FileId& file) {
  struct stat status;
  return stat(path.c_str(), &status) == 0 && status.st_dev == file.device && status.st_ino == file.inode;
}

// Errors: the argument is in no register.
Result<TracefsEvent> event_of(const Probe& probe, const UsdtSite& site, const std::string& path) {
  TracefsEvent event{site.name, path, attach_offset(site), site.semaphore_offset, {}};
  std::istringstream names(probe.arguments), arguments(site.arguments);
  for (std::string name, argument; names >> name;) {
    argument.clear();
    arguments >> argument;
    if (name == "trace_id") continue;  // an address, and most often 0, where an event would show a fault
    const std::string where = register_of(argument);
    if (where.empty()) {
      return Error{"define an event for", site.name + " of " + path, "an argument is in no register: " + site.arguments,
                   "link the program with the libwaitprobe of this version"};
    }
    const bool is_key = name == "key";
    event.fields.push_back({name, is_key ? "+0(" + where + ")" : where, is_key ? "ustring" : "u64"});
  }
  return event;
}

Result<void> add_events(const ProbeFile& probes, const std::string& path, std::vector<TracefsEvent>& to) {
  for (const Probe& probe : wait_probes) {
    const UsdtSite* site = probes.find(probe.name);
    if (site == nullptr || site->semaphore_offset == 0) continue;
    auto event = event_of(probe, *site, path);
    if (!event) return event.error();
    to.push_back(std::move(*event));
  }
  return {};
}

// The path of an instance's file, or where that has gone or is in a container, one below /proc that leads to it.
Result<std::string> path_of(const LibraryInstance& instance) {
  if (is_takable(instance.path) && leads_to(instance.path, instance.probes->on_disk)) return instance.path;
  const auto mappings = file_mappings(instance.pid);
  if (mappings) {
    for (const Mapping& mapping : *mappings) {
      if (mapping.file != instance.file) continue;
      for (const std::string& way : ways_to_open(instance.pid, mapping)) {
        if (is_takable(way) && leads_to(way, instance.probes->on_disk)) return way;
      }
    }
  }
  return Error{"find a path to", instance.path + " of " + describe_process(instance.pid),
               "the file was moved or deleted, and cannot be opened through /proc", opening_rights_fix()};
}

Result<TracefsEvents> events_of_file(const std::string& file) {
  const auto opened = open_probe_file(file);
  if (!opened) return opened.error();
  // Where the links lead; below /proc/PID/root they seem to lead elsewhere, and the path as it stands is what can be followed.
  std::error_code failed;
  std::string path = std::filesystem::canonical(file, failed);
  if (failed || !leads_to(path, opened->probes.on_disk)) path = std::filesystem::absolute(file, failed);
  if (!leads_to(path, opened->probes.on_disk)) {
    return Error{"find a path to", file, "the path now leads to another file", "try it again"};
  }
  if (!is_takable(path)) {
    return Error{"define events for", path, "tracefs takes no path with a blank or # in it",
                 "give the file another name (ln), or name a process that runs it: -p PID"};
  }
  TracefsEvents found;
  if (auto added = add_events(opened->probes, path, found.events); !added) return added.error();
  return found;
}

}  // namespace

std::string register_of(const std::string& argument) {
  const std::size_t at = argument.find('@');
  if (at == std::string::npos || (argument.substr(0, at) != "8" && argument.substr(0, at) != "-8")) return "";
  std::string name = argument.substr(at + 1);
  for (const char c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '%') return "";
  }
#if defined(__x86_64__)
  // %rdi and %r8; the kernel drops the r of those that are named by letters.
  if (!name.starts_with("%r") || name.size() < 3) return "";
  const bool is_numbered = std::isdigit(static_cast<unsigned char>(name[2])) != 0;
  return is_numbered ? name : "%" + name.substr(2);
#else
  if (!name.starts_with('x') || name.size() < 2) return "";
  return "%" + name;
#endif
}

Result<TracefsEvents> tracefs_events(const TargetChoice& targets) {
  if (!targets.file.empty()) return events_of_file(targets.file);
  const auto instances = InstanceFinder().find_all(targets.pids);
  if (!instances) return instances.error();
  TracefsEvents found;
  found.unseen = instances->unseen;
  std::map<FileId, std::optional<Error>> files;  // why there are no events of one yet
  for (const LibraryInstance& instance : instances->instances) {
    const auto [file, is_new] = files.try_emplace(instance.probes->on_disk);
    if (!is_new && !file->second) continue;
    const bool is_traceable = instance.probes->notes == Notes::whole;
    const auto path = is_traceable ? path_of(instance) : untraceable_error(*instance.probes, instance.path);
    if (!path) {
      // With -a processes come and go, and another one may show the same file.
      if (!targets.all) return path.error();
      file->second = path.error();
      continue;
    }
    file->second.reset();
    if (auto added = add_events(*instance.probes, *path, found.events); !added) return added.error();
  }
  for (const auto& [file, error] : files) {
    if (error) found.left_out.push_back(*error);
  }
  return found;
}

}  // namespace waitprobe
