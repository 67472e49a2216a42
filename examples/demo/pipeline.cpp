// SPDX-License-Identifier: MIT
#include "examples/demo/pipeline.h"

#include <zlib.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <waitprobe/wait_counter.h>

#include "examples/demo/bounded_queue.h"
#include "examples/demo/memory_budget.h"

namespace demo {
namespace {

namespace fs = std::filesystem;

// Large files go through the pipeline in pieces, so that memory stays bounded.
constexpr std::size_t piece_bytes = 256 << 10;

struct Piece {
  fs::path path;
  std::uint64_t offset = 0;
  std::string bytes;
  std::size_t budget = 0;
};

struct Result {
  fs::path path;
  std::uint64_t offset = 0;
  std::size_t bytes_in = 0;
  std::string compressed;
};

// Fewer bytes than `size` at the end of the file, and when it cannot be read.
std::string read_piece(std::ifstream& file, std::size_t size) {
  STATIC_SCOPED_WAIT_COUNTER(demo.disk.read);
  std::string bytes(size, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(size));
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
    for (unsigned i = 0; i < settings_.compressors; i++) compressors.emplace_back([this] { compress_pieces(); });
    std::thread writer([this] { write_results(); });

    walker.join();
    paths_.close();
    for (std::thread& reader : readers) reader.join();
    pieces_.close();
    for (std::thread& compressor : compressors) compressor.join();
    results_.close();
    writer.join();
    summary_.files = files_;
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
    while (const auto path = paths_.pop()) (read_file(*path) ? files_ : unreadable_)++;
  }

  bool read_file(const fs::path& path) {
    std::error_code error;
    const std::uint64_t size = fs::file_size(path, error);
    std::ifstream file(path, std::ios::binary);
    if (error || !file) return false;
    std::uint64_t offset = 0;
    do {
      const std::size_t length = static_cast<std::size_t>(std::min<std::uint64_t>(size - offset, piece_bytes));
      const std::size_t budget = budget_.acquire(length);
      std::string bytes = read_piece(file, length);
      const bool short_of = bytes.size() < length;
      offset += bytes.size();
      pieces_.push({path, offset - bytes.size(), std::move(bytes), budget});
      if (short_of) return !file.bad();
    } while (offset < size);
    return true;
  }

  void compress_pieces() {
    while (auto piece = pieces_.pop()) {
      Result result{std::move(piece->path), piece->offset, piece->bytes.size(), compress(piece->bytes)};
      budget_.release(piece->budget);
      {
        const std::unique_lock lock = lock_output();
        summary_.bytes_in += result.bytes_in;
      }
      results_.push(std::move(result));
    }
  }

  void write_results() {
    while (auto result = results_.pop()) {
      const std::unique_lock lock = lock_output();
      output_ << result->offset << ' ' << result->bytes_in << ' ' << result->compressed.size() << ' ' << result->path.string()
              << '\n'
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
  std::atomic<std::uint64_t> files_{0}, unreadable_{0};
  MemoryBudget budget_;
  BoundedQueue<fs::path> paths_{"paths", 64};
  BoundedQueue<Piece> pieces_{"pieces", 16};
  BoundedQueue<Result> results_{"results", 16};
};

}  // namespace

Summary compress_directory(const Settings& settings, std::ostream& output) { return Pipeline(settings, output).run(); }

}  // namespace demo
