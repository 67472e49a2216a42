// SPDX-License-Identifier: MIT
#include "src/collect/process/control_group.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

#include "src/collect/machine/proc_file.h"
#include "src/collect/process/process.h"

namespace waitprobe {
namespace {

constexpr std::size_t number_length = 64, shown_length = 12;

bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0 || (c >= 'a' && c <= 'f'); });
}

std::string_view without_suffix(std::string_view text, std::string_view suffix) {
  if (text.ends_with(suffix)) text.remove_suffix(suffix.size());
  return text;
}

std::optional<std::string_view> behind(std::string_view text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return std::nullopt;
  return text.substr(prefix.size());
}

// "\x2d" is how systemd writes a dash within a name.
std::string unescaped(std::string_view name) {
  std::string text;
  while (!name.empty()) {
    const bool is_escape = name.size() >= 4 && name.starts_with("\\x") && is_hex(name.substr(2, 2));
    text += is_escape ? static_cast<char>(std::stoi(std::string(name.substr(2, 2)), nullptr, 16)) : name.front();
    name.remove_prefix(is_escape ? 4 : 1);
  }
  return text;
}

// "docker-NUMBER.scope", "cri-containerd-NUMBER.scope", "crio-NUMBER", or the number alone.
std::string container_number(std::string_view name) {
  name = without_suffix(name, ".scope");
  if (name.size() < number_length) return "";
  const std::string_view number = name.substr(name.size() - number_length);
  const std::string_view before = name.substr(0, name.size() - number_length);
  if (!is_hex(number) || !(before.empty() || before.ends_with('-')) || before.ends_with("conmon-")) return "";
  return std::string(number.substr(0, shown_length));
}

// Of a container that has a name.
std::string container_name(std::string_view name, std::string_view above) {
  for (const std::string_view prefix : {"lxc.payload.", "systemd-nspawn@"}) {
    if (const auto rest = behind(name, prefix)) return unescaped(without_suffix(*rest, ".service"));
  }
  const auto rest = behind(name, "machine-");
  if (rest && above == "machine.slice" && rest->ends_with(".scope")) return unescaped(without_suffix(*rest, ".scope"));
  return "";
}

// "kubepods-burstable-podUID.slice", where the uid has _ for -, or "podUID".
std::string pod_of(std::string_view name) {
  constexpr std::size_t short_uid = 32, long_uid = 36;
  name = without_suffix(name, ".slice");
  const std::size_t at = name.rfind("pod");
  if (at == std::string_view::npos || !(at == 0 || name[at - 1] == '-')) return "";
  std::string uid(name.substr(at + 3));
  std::replace(uid.begin(), uid.end(), '_', '-');
  std::string digits = uid;
  std::erase(digits, '-');
  const bool is_uid = digits.size() == short_uid && is_hex(digits) && (uid.size() == short_uid || uid.size() == long_uid);
  return is_uid ? uid : "";
}

// The path of a line "NUMBER:CONTROLLERS:PATH" that says most: that of version 2, or of systemd in version 1, or of whoever knows
// of a group at all.
std::string_view telling_path(std::string_view text) {
  std::string_view best;
  int best_rank = 0;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const std::size_t first = line.find(':'), second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1), path = line.substr(second + 1);
    const int rank = path == "/" ? 0 : controllers.empty() ? 3 : controllers == "name=systemd" ? 2 : 1;
    if (rank <= best_rank) continue;
    best_rank = rank;
    best = path;
  }
  return best;
}

}  // namespace

ProcessPlace parse_control_group(std::string_view text) {
  ProcessPlace group;
  std::string_view path = telling_path(text), above;
  while (!path.empty()) {
    path.remove_prefix(1);  // a slash
    const std::string_view name = path.substr(0, path.find('/'));
    path.remove_prefix(name.size());
    std::string container = container_number(name);
    if (container.empty()) container = container_name(name, above);
    const bool is_unit = name.ends_with(".service") || name.ends_with(".scope");
    if (is_unit && container.empty()) group.unit = name;
    if (!container.empty()) group.container = std::move(container);
    if (std::string pod = pod_of(name); !pod.empty()) group.pod = std::move(pod);
    above = name;
  }
  return group;
}

ProcessPlace control_group_of(std::uint32_t pid) {
  return parse_control_group(read_proc_file("/proc/" + std::to_string(pid) + "/cgroup").value_or(""));
}

void ControlGroups::add(std::uint32_t pid) {
  const auto stat = stat_of(pid);
  if (!stat || known_.find({pid, stat->start_ticks}) != nullptr) return;
  remember(pid, stat->start_ticks, control_group_of(pid));
}

ProcessPlace ControlGroups::of(const Series& series) const {
  const auto* known = known_.find({series.pid, series.process_start_ticks});
  if (known == nullptr) known = known_.find_at(series.parent_pid, series.process_start_ticks);
  return known != nullptr ? known->second : ProcessPlace{};
}

}  // namespace waitprobe
