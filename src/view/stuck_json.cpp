// SPDX-License-Identifier: MIT
#include <string>
#include <vector>

#include "src/model/key_class.h"
#include "src/view/escape.h"
#include "src/view/json.h"
#include "src/view/json_parts.h"

namespace waitprobe {
namespace {

Json state_or_null(char state) { return text_or_null(state != 0 ? std::string(1, state) : ""); }

Json holders_json(const std::vector<LockHolder>& holders) {
  Json array = Json::array();
  for (const LockHolder& holder : holders) {
    Json json = {{"tid", holder.tid}};
    if (holder.has_ended) json["ended"] = true;
    json["thread"] = text_or_null(holder.thread);
    json["key"] = text_or_null(holder.key);
    if (holder.key_len > holder.key.size()) json["key_len"] = holder.key_len;
    json["state"] = state_or_null(holder.state);
    json["wchan"] = text_or_null(holder.wchan);
    json["syscall"] = text_or_null(holder.system_call);
    if (!holder.stack.empty()) json["stack"] = stack_json(holder.stack);
    if (!holder.no_stack_reason.empty()) json["no_stack"] = repair_utf8(holder.no_stack_reason);
    array.push_back(std::move(json));
  }
  return array;
}

Json deadlocks_json(const std::vector<OpenWaits::Deadlock>& deadlocks) {
  Json array = Json::array();
  for (const OpenWaits::Deadlock& deadlock : deadlocks) {
    Json threads = Json::array();
    for (const LockHolder& holder : deadlock.threads) {
      threads.push_back({{"tid", holder.tid}, {"thread", text_or_null(holder.thread)}, {"key", text_or_null(holder.key)}});
    }
    Json json = {{"pid", deadlock.process.pid}, {"comm", repair_utf8(deadlock.process.comm)}, {"threads", threads}};
    if (deadlock.is_timed) json["timed"] = true;
    array.push_back(std::move(json));
  }
  return array;
}

Json sleepers_json(const std::vector<OpenWaits::Sleeper>& sleepers) {
  Json array = Json::array();
  for (const OpenWaits::Sleeper& one : sleepers) {
    array.push_back({{"pid", one.process.pid},
                     {"comm", repair_utf8(one.process.comm)},
                     {"tid", one.tid},
                     {"thread", text_or_null(one.thread)},
                     {"wchan", text_or_null(one.wchan)},
                     {"syscall", text_or_null(one.system_call)},
                     {"seen_ns", one.seen_ns}});
  }
  return array;
}

Json to_json(const OpenWait& wait) {
  Json json = {{"pid", wait.pid},
               {"tid", wait.tid != 0 ? Json(wait.tid) : Json(nullptr)},
               {"comm", repair_utf8(wait.comm)},
               {"thread", text_or_null(wait.thread)},
               {"key", repair_utf8(wait.key)}};
  if (wait.key_len > wait.key.size()) json["key_len"] = wait.key_len;
  json["class"] = name_of(wait.key_class);
  if (wait.group) put_bytes(json, "group", *wait.group);
  json["age_ns"] = wait.age_ns ? Json(*wait.age_ns) : Json(nullptr);
  json["wait_id"] = wait.wait_id;
  if (!wait.trace_id.empty()) json["trace_id"] = wait.trace_id;
  json["state"] = state_or_null(wait.state);
  json["wchan"] = text_or_null(wait.wchan);
  json["syscall"] = text_or_null(wait.system_call);
  if (wait.lasting != Lasting::no) {
    constexpr const char* reasons[] = {"", "class", "ignored", "evidence"};  // by Lasting
    json["meant_to_last"] = reasons[static_cast<std::size_t>(wait.lasting)];
  }
  if (!wait.holders.empty()) json["held_by"] = holders_json(wait.holders);
  json["stack"] = stack_json(wait.stack);
  if (!wait.no_stack_reason.empty()) json["no_stack"] = repair_utf8(wait.no_stack_reason);
  return json;
}

}  // namespace

void print_json(std::ostream& out, const OpenWaits& found) {
  Json json = {{"waitprobe", 1}, {"time_unix_ns", found.time_unix_ns}, {"older_ns", found.older_ns}};
  json["open"] = Json::array();
  for (const OpenWait& wait : found.waits) json["open"].push_back(to_json(wait));
  json["younger"] = found.younger_cnt;
  if (!found.deadlocks.empty()) json["deadlocks"] = deadlocks_json(found.deadlocks);
  if (!found.sleepers.empty()) json["sleepers"] = sleepers_json(found.sleepers);
  json["untracked"] = Json::array();
  for (const OpenWaits::Process& process : found.untracked) json["untracked"].push_back(process.pid);
  add_unseen(json, found.unseen);
  for (const OpenWaits::Process& process : found.other_abi) json["other_abi"].push_back(process.pid);
  for (const OpenWaits::Process& process : found.crowded) json["crowded"].push_back(process.pid);
  if (found.has_pytorch) json["pytorch"] = true;
  if (found.stopped_cnt != 0) json["stopped"] = {{"threads", found.stopped_cnt}, {"longest_ns", found.stopped_ns}};
  if (!found.core_file.empty()) json["core"] = repair_utf8(found.core_file);
  if (!found.group_by.empty()) {
    put_bytes(json, "group_by", found.group_by);
    json["groups_without"] = Json::array();
    json["processes_without"] = Json::array();
    for (const OpenWaits::GroupWithout& without : found.groups_without) {
      json["groups_without"].push_back(repair_utf8(without.group));
      for (const OpenWaits::Process& process : without.processes) {
        json["processes_without"].push_back(
            {{"group", repair_utf8(without.group)}, {"pid", process.pid}, {"comm", repair_utf8(process.comm)}});
      }
    }
  }
  print_line(out, json);
}

}  // namespace waitprobe
