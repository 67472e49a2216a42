// SPDX-License-Identifier: MIT
#include "src/view/json.h"

#include "src/model/groups.h"
#include "src/view/columns.h"
#include "src/view/comparison_lines.h"
#include "src/view/doctor_lines.h"
#include "src/view/escape.h"
#include "src/view/json_parts.h"

namespace waitprobe {
namespace {

Json buckets_of(const Histogram& histogram) {
  Json buckets = Json::array();
  for (std::uint32_t i = 0; i < WP_BUCKETS; i++) {
    if (histogram.bucket(i) == 0) continue;
    buckets.push_back({{"lo_ns", wp_bucket_lo(i)}, {"hi_ns", wp_bucket_hi(i)}, {"count", histogram.bucket(i)}});
  }
  return buckets;
}

Json to_json(const Series& series) {
  Json json = Json::object();
  if (!series.host.empty()) put_bytes(json, "host", series.host);
  json["pid"] = series.pid;
  json["start_ticks"] = series.process_start_ticks;
  if (series.is_of_program()) json["processes"] = series.process_cnt;
  put_bytes(json, "comm", series.comm);
  put_bytes(json, "key", series.key);
  if (series.key_len > series.key.size()) {
    json["key_len"] = series.key_len;
    json["distinct"] = series.distinct;
  }
  json["class"] = name_of(series.key_class);
  if (series.group) put_bytes(json, "group", *series.group);
  for (const Figure& figure : figures()) json[figure.json_name] = figure.value(series);
  if (series.histogram.min_max_are_bounds()) json["min_max_are_bounds"] = true;
  json["buckets"] = buckets_of(series.histogram);
  return json;
}

// One end of a spread.
Json end_to_json(const Series& group) {
  Json json = Json::object();
  put_bytes(json, "group", *group.group);
  json["count"] = group.histogram.count();
  json["total_ns"] = group.histogram.total_ns();
  return json;
}

Json spreads_of(const std::vector<Series>& series) {
  Json array = Json::array();
  for (const KeyInGroups& key : by_key_and_group(series)) {
    const auto spread = spread_of(key);
    if (!spread) continue;
    Json json = Json::object();
    put_bytes(json, "key", key.all.key);
    if (key.all.key_len > key.all.key.size()) json["key_len"] = key.all.key_len;
    json["class"] = name_of(key.all.key_class);
    json["least"] = end_to_json(*spread->least);
    json["most"] = end_to_json(*spread->most);
    array.push_back(std::move(json));
  }
  return array;
}

Json to_json(const AttachedLate& late) {
  Json json = {{"pid", late.pid}};
  put_bytes(json, "comm", late.comm);
  put_bytes(json, "file", late.file);
  json["elapsed_ns"] = late.elapsed_ns;
  return json;
}

Json to_json(const Unverified& process) {
  Json json = {{"pid", process.pid}};
  put_bytes(json, "comm", process.comm);
  put_bytes(json, "file", process.file);
  json["why"] = repair_utf8(process.why);
  return json;
}

Json to_json(const ProcessGroup& one) {
  Json json = Json::object();
  if (!one.process.host.empty()) put_bytes(json, "host", one.process.host);
  json["pid"] = one.process.pid;
  json["start_ticks"] = one.process.start_ticks;
  if (one.group) put_bytes(json, "group", *one.group);
  return json;
}

Json to_json(const Carrier& carrier) {
  Json json = {{"pid", carrier.pid},
               {"comm", repair_utf8(carrier.comm)},
               {"file", repair_utf8(carrier.file)},
               {"armed", nullptr},
               {"clock", nullptr},
               {"keys", nullptr}};
  if (carrier.armed) json["armed"] = *carrier.armed;
  if (carrier.clock && *carrier.clock != WP_CLOCK_UNDECIDED) {
    constexpr const char* names[] = {"", "monotonic", "cycles", "disagreed"};
    json["clock"] = names[*carrier.clock];
  }
  if (carrier.keys) {
    json["keys"] = Json::array();
    for (const std::string& key : *carrier.keys) json["keys"].push_back(repair_utf8(key));
  }
  if (!carrier.untraceable.empty()) json["untraceable"] = carrier.untraceable;
  return json;
}

Json to_json(const Check& check) {
  Json json = {
      {"name", check.name}, {"status", name_of(check.status)}, {"needed", check.needed}, {"found", repair_utf8(check.found)}};
  if (!check.fix.empty()) json["fix"] = repair_utf8(check.fix);
  return json;
}

Json to_json(const Findings& findings);

Json to_json(const Change& change) {
  Json json = {{"a", change.a}, {"b", change.b}};
  if (change.is_known) {
    json["ratio"] = change.ratio;
    json["ratio_least"] = change.least_ratio;
    json["ratio_greatest"] = change.greatest_ratio;
  }
  json["verdict"] = name_of(change.verdict);
  return json;
}

Json to_json(const ComparedKey& key) {
  Json json = Json::object();
  put_bytes(json, "key", key.key);
  if (key.key_len > key.key.size()) json["key_len"] = key.key_len;
  json["class"] = name_of(key.key_class);
  json["verdict"] = name_of(key.verdict);
  json["a"] = {{"count", key.count_a}, {"total_ns", key.total_a_ns}};
  json["b"] = {{"count", key.count_b}, {"total_ns", key.total_b_ns}};
  constexpr const char* names[compared_figures] = {"count_per_s", "total_ns_per_s", "mean_ns", "p50_ns", "p99_ns"};
  for (std::size_t i = 0; i < compared_figures; i++) json[names[i]] = to_json(key.changes[i]);
  for (const Verdict verdict : {Verdict::worse, Verdict::better}) {
    json[name_of(verdict)] = Json::array();
    for (const ComparedFigure figure : key.figures_with(verdict)) {
      json[name_of(verdict)].push_back(names[static_cast<std::size_t>(figure)]);
    }
  }
  return json;
}

template <class T>
Json array_of(const std::vector<T>& values) {
  Json array = Json::array();
  for (const T& value : values) array.push_back(to_json(value));
  return array;
}

Json to_json(const Findings& findings) {
  return {{"subject", repair_utf8(findings.subject)}, {"checks", array_of(findings.checks)}};
}

// What takes "none was lost" away although nothing was.
void add_caveats(Json& json, const Caveats& of) {
  if (!of.attached_late.empty()) json["attached_late"] = array_of(of.attached_late);
  if (!of.unverified.empty()) json["unverified"] = array_of(of.unverified);
}

Json to_json(const ComparedSide& side) {
  Json json = {{"batches", side.batches},
               {"elapsed_ns", side.elapsed_ns},
               {"coverage", {{"observed", side.coverage.observed}, {"lost", side.coverage.lost}}}};
  if (side.never_ended_cnt != 0) json["abandoned"] = side.never_ended_cnt;
  add_caveats(json, side.caveats);
  if (side.has_too_few()) json["too_few"] = true;
  return json;
}

Json to_json(const Losses& losses) {
  Json json = Json::object();
  for (const LossRow& loss : all_losses) json[loss.name] = losses.*loss.count;
  return json;
}

Json texts(const std::vector<std::string>& all) {
  Json array = Json::array();
  for (const std::string& text : all) array.push_back(repair_utf8(text));
  return array;
}

}  // namespace

void print_json(std::ostream& out, const Snapshot& snapshot) {
  const Coverage coverage = snapshot.coverage();
  Json json = {{"waitprobe", 1}, {"time_unix_ns", snapshot.time_unix_ns}, {"elapsed_ns", snapshot.elapsed_ns}};
  json["series"] = Json::array();
  if (!snapshot.group_by.empty()) {
    put_bytes(json, "group_by", snapshot.group_by);
    json["spread"] = spreads_of(snapshot.series);
    if (!snapshot.regrouped.empty()) json["regrouped"] = array_of(snapshot.regrouped);
  }
  json["coverage"] = {{"observed", coverage.observed}, {"lost", coverage.lost}};
  json["losses"] = to_json(snapshot.losses);
  if (snapshot.clamped_cnt != 0) json["clamped"] = snapshot.clamped_cnt;
  if (snapshot.abandoned_cnt != 0) json["abandoned"] = snapshot.abandoned_cnt;
  add_caveats(json, snapshot.caveats);
  if (snapshot.added_up_cnt != 0) json["added_up"] = snapshot.added_up_cnt;
  if (snapshot.has_pytorch) json["pytorch"] = true;
  // One series at a time: there may be very many.
  const std::string text = ascii_text(json);
  constexpr std::string_view before = "\"series\":[";
  const std::size_t at = text.find(before) + before.size();
  out << std::string_view(text).substr(0, at);
  for (std::size_t i = 0; i < snapshot.series.size(); i++)
    out << (i != 0 ? "," : "") << ascii_text(to_json(snapshot.series[i]));
  out << std::string_view(text).substr(at) << '\n';
}

void print_json(std::ostream& out, const RecordingHeader& header) {
  Json json = {{"waitprobe_recording", recording_format}, {"version", header.version}, {"time_unix_ns", header.time_unix_ns}};
  put_bytes(json, "host", header.host);
  json["boot"] = repair_utf8(header.boot);
  json["kernel"] = repair_utf8(header.kernel);
  json["machine"] = repair_utf8(header.machine);
  json["targets"] = texts(header.targets);
  json["keys"] = texts(header.key_globs);
  if (!header.group_by.empty()) put_bytes(json, "group_by", header.group_by);
  print_line(out, json);
}

void print_json(std::ostream& out, const RecordingEnd& end) {
  print_line(out, {{"waitprobe_end", end_names[static_cast<std::size_t>(end)]}});
}

void print_json(std::ostream& out, const Comparison& comparison) {
  Json json = {{"waitprobe_diff", 1}, {"confidence", comparison_confidence}};
  json["a"] = to_json(comparison.a);
  json["b"] = to_json(comparison.b);
  json["keys"] = array_of(comparison.keys);
  print_line(out, json);
}

void print_json(std::ostream& out, const Diagnosis& diagnosis) {
  print_line(out, {{"waitprobe", 1}, {"will_work", diagnosis.will_work()}, {"findings", array_of(diagnosis.findings)}});
}

void print_json(std::ostream& out, const Inventory& inventory) {
  Json json = {{"waitprobe", 1}};
  json["carriers"] = array_of(inventory.carriers);
  add_unseen(json, inventory.unseen);
  print_line(out, json);
}

void print_json(std::ostream& out, const SlowWait& wait) {
  Json json = {{"time_unix_ns", wait.time_unix_ns},
               {"pid", wait.pid},
               {"tid", wait.tid},
               {"comm", repair_utf8(wait.comm)},
               {"thread", repair_utf8(wait.thread)},
               {"key", repair_utf8(wait.key)}};
  if (wait.key_len > wait.key.size()) json["key_len"] = wait.key_len;
  json["class"] = name_of(wait.key_class);
  json["duration_ns"] = wait.duration_ns;
  json["wait_id"] = wait.wait_id;
  if (!wait.trace_id.empty()) json["trace_id"] = wait.trace_id;
  json["stack"] = stack_json(wait.stack);
  print_line(out, json);
}

void print_json(std::ostream& out, const SlowSummary& summary) {
  const std::uint64_t observed = summary.shown_cnt + summary.left_out_cnt;
  Json json = {{"waitprobe", 1}, {"time_unix_ns", summary.time_unix_ns}, {"elapsed_ns", summary.elapsed_ns}};
  json["coverage"] = {{"observed", observed}, {"lost", summary.losses.sum()}};
  json["losses"] = to_json(summary.losses);
  add_caveats(json, summary.caveats);
  print_line(out, json);
}

}  // namespace waitprobe
