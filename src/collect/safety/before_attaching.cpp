// SPDX-License-Identifier: MIT
#include "src/collect/safety/before_attaching.h"

#include <algorithm>

#include "src/collect/machine/clock.h"
#include "src/collect/safety/sandboxes.h"
#include "src/collect/safety/translators.h"
#include "src/model/rights.h"

namespace waitprobe {
namespace {

// All processes are looked at anew for each file, but where there are very many of both: a tenth of the time goes into it at
// the most.
constexpr std::uint64_t kept_for = 10;  // times what it took
// For the first files only those that may be the file are opened, since to open everything that the machine runs takes most of the
// time. Who attaches to more has to open everything anyway.
constexpr int most_narrow = 2;
constexpr std::size_t most_named = 3;

std::string and_more(std::size_t cnt, const char* things) {
  return cnt == 0 ? "" : " and " + std::to_string(cnt) + " more " + things;
}

}  // namespace

const BeforeAttaching::Survey& BeforeAttaching::survey(const ProbeFile& file) {
  const std::uint64_t now = now_ns();
  const bool is_kept = survey_.ended_ns != 0 && now - survey_.ended_ns < kept_for * (survey_.ended_ns - survey_.began_ns);
  if (is_kept && (survey_.of_inode == 0 || survey_.of_inode == file.on_disk.inode)) return survey_;
  survey_ = {};
  survey_.began_ns = now;
  survey_.of_inode = narrow_cnt_++ < most_narrow ? file.on_disk.inode : 0;
  for (const std::uint32_t pid : all_pids()) {
    std::set<std::string> unopened;
    auto instances = finder_->find(pid, unopened, survey_.of_inode);
    if (instances) {
      for (LibraryInstance& instance : *instances) survey_.instances[instance.probes->on_disk].push_back(std::move(instance));
    }
    if (!instances || !unopened.empty()) {
      if (sandbox_of(pid) != Sandbox::none || translator_of(comm_of(pid))) survey_.hidden.push_back(pid);
    }
  }
  if (survey_.of_inode == 0) finder_->forget_unseen();
  survey_.ended_ns = now_ns();
  return survey_;
}

BeforeAttaching::Hazards BeforeAttaching::examine(const ProbeFile& file) {
  Hazards hazards;
  const auto& all = survey(file).instances;
  const auto of_file = all.find(file.on_disk);
  if (of_file == all.end()) return hazards;
  for (const LibraryInstance& instance : of_file->second) {
    if (auto translated = translation_hazard(instance)) {
      hazards.deadly.push_back({instance.pid, *translated, "end it first"});
      continue;
    }
    if (instance.code == Code::moved) continue;  // no probe can be hit, and no guard is armed
    const SandboxVerdict verdict = examine_sandbox(instance);
    if (!verdict.kills.empty()) {
      hazards.deadly.push_back(
          {instance.pid, verdict.kills,
           "link it with the libwaitprobe of this version, which prepares what waits need, or end it first"});
    }
    if (!verdict.unknown.empty()) hazards.unknown.push_back({instance.pid, verdict.unknown, ""});
  }
  return hazards;
}

Error BeforeAttaching::refusal(const std::vector<Hazard>& deadly, const std::string& path) const {
  const Hazard& first = deadly.front();
  const std::string why =
      "it would kill " + describe_process(first.pid) + and_more(deadly.size() - 1, "that map it too") + ": " + first.why;
  if (is_forced_) return Error{"attach without harm to", path, why, ""};
  return Error{"attach to", path, why, first.hint + "; --force attaches anyway"};
}

Error BeforeAttaching::doubt(const std::vector<Hazard>& unknown, const std::string& path) {
  const Hazard& first = unknown.front();
  return Error{"check whether it is safe to attach to", path,
               describe_process(first.pid) + and_more(unknown.size() - 1, "like it") + ": " + first.why,
               "run it as root, and not inside of a container that filters its own system calls"};
}

Error BeforeAttaching::doubt(const std::vector<std::uint32_t>& hidden) {
  std::string named;
  for (std::size_t i = 0; i < std::min(hidden.size(), most_named); i++)
    named += (i != 0 ? ", " : "") + describe_process(hidden[i]);
  return Error{"check whether it is safe to attach", "",
               "sandboxed processes that may map the same files cannot be read: " + named +
                   and_more(hidden.size() - std::min(hidden.size(), most_named), ""),
               rights_fix};
}

Result<void> BeforeAttaching::check(const ProbeFile& file, const std::string& path, std::vector<Error>& warnings) {
  const Hazards hazards = examine(file);
  if (!hazards.deadly.empty() && !is_forced_) return refusal(hazards.deadly, path);
  if (!hazards.deadly.empty()) warnings.push_back(refusal(hazards.deadly, path));
  if (!hazards.unknown.empty()) warnings.push_back(doubt(hazards.unknown, path));
  if (!survey_.hidden.empty() && !std::exchange(has_told_hidden_, true)) warnings.push_back(doubt(survey_.hidden));
  return {};
}

Check BeforeAttaching::describe(const ProbeFile& file, const std::string& path) {
  const char* const name = "safe to attach";
  const Hazards hazards = examine(file);
  if (!hazards.deadly.empty()) {
    const Error error = refusal(hazards.deadly, path);
    return {name, CheckStatus::missing, true, path + ": " + error.why, error.hint};
  }
  const auto unknown = [&](const Error& error) { return Check{name, CheckStatus::unknown, true, error.why, error.hint}; };
  if (!hazards.unknown.empty()) return unknown(doubt(hazards.unknown, path));
  if (!survey_.hidden.empty()) return unknown(doubt(survey_.hidden));
  return {name, CheckStatus::ok, true, "no process that maps " + path + " would die of it", ""};
}

}  // namespace waitprobe
