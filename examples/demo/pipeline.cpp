// SPDX-License-Identifier: MIT
#include "examples/demo/pipeline.h"

#include <zlib.h>

#include <atomic>
#include <fstream>
#include <iostream>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <waitprobe/wait_counter.h>

#include "examples/demo/bounded_queue.h"
#include "examples/demo/memory_budget.h"

namespace demo {
namespace {

namespace fs = std::filesystem;

struct Contents {
  fs::path path;
  std::string bytes;
  std::size_t budget = 0;
};

struct Result {
  fs::path path;
  std::size_t bytes_in = 0;
  std::string compressed;
};

std::optional<std::string> read_file(const fs::path& path, std::size_t size) {
  STATIC_SCOPED_WAIT_COUNTER(demo.disk.read);
  std::ifstream file(path, std::ios::binary);
  std::string bytes(size, '\0');
  if (!file || (!file.read(bytes.data(), static_cast<std::streamsize>(size)) && !file.eof())) return std::nullopt;
  bytes.resize(static_cast<std::size_t>(file.gcount()));
  return bytes;
}

std::string compress(const std::string& bytes) {
  std::string out(compressBound(bytes.size()), '\0');
  uLongf length = out.size();
  compress2(reinterpret_cast<Bytef*>(out.data()), &length, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size(), 6);
  out.resize(length);
  return out;
}

class Pipeline {
 public:
  Pipeline(const Settings& settings, std::ostream& output)
      : settings_(settings), output_(output), budget_(settings.budget_bytes) {}

  Summary run() {
    std::thread walker([this] { walk(); });
    std::vector<std::thread> readers, compressors;
    for (unsigned i = 0; i < settings_.readers; i++) readers.emplace_back([this] { read_files(); });
    for (unsigned i = 0; i < settings_.compressors; i++) compressors.emplace_back([this] { compress_files(); });
    std::thread writer([this] { write_results(); });

    walker.join();
    paths_.close();
    for (std::thread& reader : readers) reader.join();
    contents_.close();
    for (std::thread& compressor : compressors) compressor.join();
    results_.close();
    writer.join();
    summary_.unreadable = unreadable_;
    return summary_;
  }

 private:
  void walk() {
    std::error_code error;
    fs::recursive_directory_iterator entry(settings_.directory, fs::directory_options::skip_permission_denied, error), end;
    while (!error && entry != end) {
      std::error_code ignored;
      if (entry->symlink_status(ignored).type() == fs::file_type::regular) paths_.push(entry->path());
      entry.increment(error);
    }
    if (error) unreadable_++;
  }

  void read_files() {
    while (auto path = paths_.pop()) {
      std::error_code error;
      const auto size = static_cast<std::size_t>(fs::file_size(*path, error));
      if (error) {
        unreadable_++;
        continue;
      }
      const std::size_t budget = budget_.acquire(size);
      auto bytes = read_file(*path, size);
      if (!bytes) {
        budget_.release(budget);
        unreadable_++;
        continue;
      }
      contents_.push({std::move(*path), std::move(*bytes), budget});
    }
  }

  void compress_files() {
    while (auto file = contents_.pop()) {
      Result result{std::move(file->path), file->bytes.size(), compress(file->bytes)};
      budget_.release(file->budget);
      {
        std::unique_lock lock = lock_output();
        summary_.files++;
        summary_.bytes_in += result.bytes_in;
      }
      results_.push(std::move(result));
    }
  }

  void write_results() {
    while (auto result = results_.pop()) {
      std::unique_lock lock = lock_output();
      output_ << result->path.string() << ' ' << result->bytes_in << ' ' << result->compressed.size() << '\n'
              << result->compressed;
      summary_.bytes_out += result->compressed.size();
    }
  }

  // The output and the summary belong together.
  std::unique_lock<std::mutex> lock_output() {
    STATIC_SCOPED_WAIT_COUNTER(demo.output.lock);
    return std::unique_lock(output_mutex_);
  }

  const Settings& settings_;
  std::ostream& output_;
  std::mutex output_mutex_;
  Summary summary_;
  std::atomic<std::uint64_t> unreadable_{0};
  MemoryBudget budget_;
  BoundedQueue<fs::path> paths_{"paths", 64};
  BoundedQueue<Contents> contents_{"contents", 16};
  BoundedQueue<Result> results_{"results", 16};
};

}  // namespace

Summary compress_directory(const Settings& settings, std::ostream& output) { return Pipeline(settings, output).run(); }

}  // namespace demo
