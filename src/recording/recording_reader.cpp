// SPDX-License-Identifier: MIT
#include "src/recording/recording_reader.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "src/collect/machine/file_descriptor.h"

namespace waitprobe {
namespace {

using Json = nlohmann::json;

// What is no recording may have no lines at all, or never end.
constexpr std::size_t longest_first_line = 1 << 20;
constexpr std::size_t longest_line = 256 << 20;

class LineReader {
 public:
  explicit LineReader(FileDescriptor file) : file_(std::move(file)) {}

  struct Line {
    std::string text;
    bool whole = false;  // it ended in a newline
  };

  // Nothing at the end of the file. A line that is longer than `most` is cut off, and so not whole.
  Result<std::optional<Line>> next(std::size_t most) {
    Line line;
    for (;;) {
      const auto newline = std::find(ahead_.begin() + static_cast<std::ptrdiff_t>(at_), ahead_.end(), '\n');
      line.text.append(ahead_.begin() + static_cast<std::ptrdiff_t>(at_), newline);
      line.whole = newline != ahead_.end();
      at_ = static_cast<std::size_t>(newline - ahead_.begin()) + (line.whole ? 1 : 0);
      if (line.whole || line.text.size() > most) return std::optional(std::move(line));
      if (auto more = read_ahead(); !more) return more.error();
      if (ahead_.empty()) return line.text.empty() ? std::optional<Line>() : std::optional(std::move(line));
    }
  }

 private:
  Result<void> read_ahead() {
    at_ = 0;
    ahead_.resize(1 << 16);
    ssize_t got;
    do {
      got = read(file_.get(), ahead_.data(), ahead_.size());
    } while (got < 0 && errno == EINTR);
    ahead_.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    return got < 0 ? Result<void>(Error{"read", "", errno_text(errno), ""}) : Result<void>();
  }

  FileDescriptor file_;
  std::string ahead_;
  std::size_t at_ = 0;
};

// The members of a JSON object, each of which must be there and of its kind.
class Members {
 public:
  explicit Members(const Json& json) : json_(json), ok_(json.is_object()) {}

  bool ok() const { return ok_; }
  void refuse() { ok_ = false; }

  const Json* find(const char* name) const {
    const auto member = ok_ ? json_.find(name) : json_.end();
    return ok_ && member != json_.end() ? &*member : nullptr;
  }

  std::uint64_t number(const char* name) {
    const Json* member = find(name);
    if (member != nullptr && member->is_number_unsigned()) return member->get<std::uint64_t>();
    ok_ = false;
    return 0;
  }
  std::string bytes_or_none(const std::string& name) { return find(name.c_str()) ? bytes(name) : ""; }
  std::uint64_t number_or(const char* name, std::uint64_t otherwise) { return find(name) ? number(name) : otherwise; }

  std::uint32_t pid(const char* name) {
    const std::uint64_t value = number(name);
    ok_ &= value <= UINT32_MAX;
    return static_cast<std::uint32_t>(value);
  }

  bool flag(const char* name) {
    const Json* member = find(name);
    ok_ &= member == nullptr || member->is_boolean();
    return ok_ && member != nullptr && member->get<bool>();
  }

  std::string text(const char* name) {
    const Json* member = find(name);
    if (member != nullptr && member->is_string()) return member->get<std::string>();
    ok_ = false;
    return "";
  }

  // Earlier versions told of none, and later ones may know others.
  KeyClass class_or_wait(const char* name) {
    return find(name) == nullptr ? KeyClass::wait : class_named(text(name)).value_or(KeyClass::wait);
  }

  // What view/json.cpp tells of bytes.
  std::string bytes(const std::string& name) {
    const std::string plain = text(name.c_str());
    return find((name + "_hex").c_str()) == nullptr ? plain : from_hex(text((name + "_hex").c_str()));
  }

  std::vector<std::string> texts(const char* name) {
    std::vector<std::string> all;
    for (const Json& one : array(name)) {
      ok_ &= one.is_string();
      if (ok_) all.push_back(one.get<std::string>());
    }
    return all;
  }

  const Json& array(const char* name) {
    static const Json none = Json::array();
    const Json* member = find(name);
    if (member != nullptr && member->is_array()) return *member;
    ok_ = false;
    return none;
  }

 private:
  std::string from_hex(const std::string& digits) {
    const auto value = [this](char c) -> unsigned {
      if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
      ok_ &= c >= 'a' && c <= 'f';
      return static_cast<unsigned>(c - 'a' + 10) & 15;
    };
    ok_ &= digits.size() % 2 == 0;
    std::string bytes;
    for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
      bytes += static_cast<char>(value(digits[i]) << 4 | value(digits[i + 1]));
    }
    return bytes;
  }

  const Json& json_;
  bool ok_;
};

std::optional<SparseHistogram> histogram_of(Members& members) {
  SparseHistogram histogram;
  histogram.total_ns = members.number("total_ns");
  histogram.min_ns = members.number("min_ns");
  histogram.max_ns = members.number("max_ns");
  histogram.min_max_are_bounds = members.flag("min_max_are_bounds");
  for (const Json& json : members.array("buckets")) {
    Members bucket(json);
    const std::uint64_t lo_ns = bucket.number("lo_ns");
    if (!histogram.add_bucket(lo_ns, bucket.number("count")) || !bucket.ok()) return std::nullopt;
  }
  if (!members.ok()) return std::nullopt;
  return histogram;
}

std::optional<AttachedLate> attached_late_of(const Json& json) {
  Members members(json);
  AttachedLate late;
  late.pid = members.pid("pid");
  late.comm = members.bytes("comm");
  late.file = members.bytes("file");
  late.elapsed_ns = members.number("elapsed_ns");
  return members.ok() ? std::optional(std::move(late)) : std::nullopt;
}

std::optional<Unverified> unverified_of(const Json& json) {
  Members members(json);
  Unverified process;
  process.pid = members.pid("pid");
  process.comm = members.bytes("comm");
  process.file = members.bytes("file");
  process.why = members.text("why");
  return members.ok() ? std::optional(std::move(process)) : std::nullopt;
}

// What `one` makes of each element of an array that may be missing; false when it makes nothing of one.
template <class T>
bool take_all(Members& members, const char* name, std::vector<T>& to, std::optional<T> (*one)(const Json&)) {
  if (members.find(name) == nullptr) return true;
  for (const Json& json : members.array(name)) {
    auto taken = one(json);
    if (!taken) return false;
    to.push_back(std::move(*taken));
  }
  return true;
}

std::optional<RecordingEnd> end_of(const std::string& name) {
  for (std::size_t i = 1; i < std::size(end_names); i++) {
    if (name == end_names[i]) return static_cast<RecordingEnd>(i);
  }
  return std::nullopt;
}

// Line by line, from the second on.
class Reader {
 public:
  explicit Reader(Recording& recording) : recording_(recording) {}

  // False: it is not a line of a recording, and nothing has been taken of it.
  bool take(const std::string& line) {
    const Json json = Json::parse(line, nullptr, false);
    Members members(json);
    if (members.find("waitprobe_end") != nullptr) return take_end(members);
    auto interval = interval_of(members);
    if (!interval) return false;
    recording_.intervals.push_back(std::move(*interval));
    return true;
  }

 private:
  bool take_end(Members& members) {
    const auto end = end_of(members.text("waitprobe_end"));
    if (end) recording_.end = *end;
    return end.has_value();
  }

  std::optional<RecordedInterval> interval_of(Members& members) {
    RecordedInterval interval;
    if (members.number("waitprobe") != 1) return std::nullopt;
    interval.elapsed_ns = members.number("elapsed_ns");
    // The clock of the machine may have been set back.
    interval.end_unix_ns = std::max(members.number("time_unix_ns"), recording_.end_unix_ns() + interval.elapsed_ns);
    std::uint64_t shown_cnt = 0;
    for (const Json& json : members.array("series")) {
      auto waits = waits_of(json, interval.groups);
      if (!waits) return std::nullopt;
      for (const auto& [index, count] : waits->histogram.buckets) shown_cnt += count;
      interval.waits.push_back(std::move(*waits));
    }
    if (members.find("regrouped") != nullptr) {
      for (const Json& json : members.array("regrouped")) {
        if (!take_regrouped(json, interval.groups)) return std::nullopt;
      }
    }
    const Json* coverage = members.find("coverage");
    const Json* losses = members.find("losses");
    if (coverage == nullptr || losses == nullptr || !take_losses(*losses, interval.losses)) return std::nullopt;
    Members covered(*coverage);
    const std::uint64_t observed = covered.number("observed");
    interval.left_out_cnt = observed - std::min(observed, shown_cnt);
    interval.clamped_cnt = members.number_or("clamped", 0);
    interval.has_pytorch = members.find("pytorch") != nullptr;
    interval.abandoned_cnt = members.number_or("abandoned", 0);
    if (!take_all(members, "attached_late", interval.caveats.attached_late, attached_late_of) ||
        !take_all(members, "unverified", interval.caveats.unverified, unverified_of)) {
      return std::nullopt;
    }
    return members.ok() && covered.ok() ? std::optional(std::move(interval)) : std::nullopt;
  }

  std::optional<RecordedWaits> waits_of(const Json& json, std::vector<ProcessGroup>& changed) {
    Members members(json);
    SeriesId id;
    id.host = recording_.header.host;
    id.pid = members.pid("pid");
    id.process_start_ticks = members.number("start_ticks");
    id.comm = members.bytes("comm");
    id.key = members.bytes("key");
    id.key_len = members.number_or("key_len", id.key.size());
    id.distinct = members.number_or("distinct", 0);
    id.key_class = members.class_or_wait("class");
    take_group(id.process(), members, changed);
    auto histogram = histogram_of(members);
    if (!histogram) return std::nullopt;
    return RecordedWaits{index_of(std::move(id)), std::move(*histogram)};
  }

  void take_group(const ProcessId& process, Members& members, std::vector<ProcessGroup>& changed) {
    if (recording_.header.group_by.empty()) return;
    std::optional<std::string> group;
    if (members.find("group") != nullptr) group = members.bytes("group");
    auto& known = groups_[process];
    if (group != known) changed.push_back({process, group});
    known = std::move(group);
  }

  // Of a process that has no waits in this interval.
  bool take_regrouped(const Json& json, std::vector<ProcessGroup>& changed) {
    Members members(json);
    const std::uint64_t start_ticks = members.number("start_ticks");
    take_group({recording_.header.host, start_ticks, members.pid("pid")}, members, changed);
    return members.ok();
  }

  std::size_t index_of(SeriesId id) {
    const KeyClass key_class = id.key_class;
    const auto [entry, fresh] = index_.try_emplace(std::move(id), recording_.series.size());
    if (fresh) recording_.series.push_back(entry->first);
    KeyClass& known = recording_.series[entry->second].key_class;
    known = common_class(known, key_class);
    return entry->second;
  }

  static bool take_losses(const Json& json, Losses& losses) {
    Members members(json);
    // An older version did not know all causes.
    for (const LossRow& loss : all_losses) losses.*loss.count = members.number_or(loss.name, 0);
    return members.ok();
  }

  struct ById {
    bool operator()(const SeriesId& a, const SeriesId& b) const { return is_before(a, b); }
  };

  Recording& recording_;
  std::map<SeriesId, std::size_t, ById> index_;
  std::map<ProcessId, std::optional<std::string>> groups_;
};

Error not_a_recording(const std::string& file, const std::string& why) {
  return {"read", file, why, "waitprobe record -o FILE writes recordings"};
}

Result<RecordingHeader> header_of(const std::string& file, const std::optional<LineReader::Line>& line) {
  if (!line) return not_a_recording(file, "it is empty");
  const Json json = Json::parse(line->text, nullptr, false);
  Members members(json);
  if (members.find("waitprobe_recording") == nullptr) return not_a_recording(file, "its first line is not that of a recording");
  const std::uint64_t format = members.number("waitprobe_recording");
  if (members.ok() && format > recording_format) {
    return Error{"read", file,
                 "it has format " + std::to_string(format) + ", and this waitprobe knows " + std::to_string(recording_format),
                 "read it with a newer waitprobe"};
  }
  if (members.ok() && format < recording_format) {
    const std::string writer = members.find("version") != nullptr ? members.text("version") : "";
    return Error{"read", file,
                 "it has format " + std::to_string(format) + ", whose buckets cannot be converted to those of format " +
                     std::to_string(recording_format),
                 "read it with the waitprobe that wrote it" + (writer.empty() ? "" : ", version " + writer)};
  }
  RecordingHeader header;
  header.version = members.text("version");
  header.time_unix_ns = members.number("time_unix_ns");
  header.host = members.bytes("host");
  header.boot = members.text("boot");
  header.kernel = members.text("kernel");
  header.machine = members.text("machine");
  header.targets = members.texts("targets");
  header.key_globs = members.texts("keys");
  header.group_by = members.bytes_or_none("group_by");
  if (!members.ok()) return not_a_recording(file, "its first line has a missing or invalid member");
  return header;
}

}  // namespace

Result<Recording> read_recording(const std::string& file) {
  const bool is_stdin = file == "-";
  FileDescriptor opened(is_stdin ? dup(STDIN_FILENO) : open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!opened.ok()) return Error{"open", file, errno_text(errno), ""};
  LineReader lines(std::move(opened));
  auto line = lines.next(longest_first_line);
  if (!line) return Error{"read", file, line.error().why, ""};
  auto header = header_of(file, *line);
  if (!header) return header.error();
  Recording recording;
  recording.file = is_stdin ? "the standard input" : file;
  recording.header = std::move(*header);
  recording.read_bytes = (*line)->text.size() + 1;
  Reader reader(recording);
  for (std::uint64_t number = 2;; number++) {
    line = lines.next(longest_line);
    if (!line) {
      recording.stopped_why = line.error().why;
    } else if (line->has_value() && !(*line)->whole) {
      recording.stopped_why = "line " + std::to_string(number) + " breaks off";
    } else if (line->has_value() && !reader.take((*line)->text)) {
      recording.stopped_why = "line " + std::to_string(number) + " is not that of a recording";
    }
    if (!recording.stopped_why.empty() || !line->has_value()) return recording;
    recording.read_bytes += (*line)->text.size() + 1;
  }
}

}  // namespace waitprobe
