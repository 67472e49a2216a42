// SPDX-License-Identifier: MIT
#include "src/serve/otlp_push.h"

#include <curl/curl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

#include <nlohmann/json.hpp>

#include "src/serve/worker_threads.h"

namespace waitprobe {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t most_answer_bytes = 65'536;           // one that is longer is not read to its end
constexpr std::size_t most_told_bytes = 300;                // of it, in the error
constexpr std::chrono::seconds longest_told_wait{10 * 60};  // whatever Retry-After says

Error wrong(const std::string& what, const std::string& on, std::string why, std::string hint) {
  return {what, "'" + on + "'", std::move(why), std::move(hint)};
}

// curl_global_init() may not run beside itself in older versions.
void init_curl_once() {
  static const CURLcode done = curl_global_init(CURL_GLOBAL_DEFAULT);
  static_cast<void>(done);
}

std::size_t keep_answer(char* data, std::size_t size, std::size_t cnt, void* cls) {
  std::string& answer = *static_cast<std::string*>(cls);
  if (answer.size() + size * cnt > most_answer_bytes) return 0;
  answer.append(data, size * cnt);
  return size * cnt;
}

// What a receiver says that has taken some of the points only; empty: it has taken all.
std::string rejection(const std::string& answer) {
  const auto json = nlohmann::json::parse(answer, nullptr, false);
  if (!json.is_object() || !json.contains("partialSuccess") || !json["partialSuccess"].is_object()) return "";
  const auto& partial = json["partialSuccess"];
  const auto rejected = partial.value("rejectedDataPoints", nlohmann::json());
  const std::string cnt = rejected.is_string() ? rejected.get<std::string>() : rejected.is_number() ? rejected.dump() : "0";
  if (cnt == "0") return "";
  const auto why = partial.value("errorMessage", nlohmann::json());
  return "it has rejected " + cnt + " points" + (why.is_string() ? ": " + why.get<std::string>() : "");
}

// One line of what may be anything.
std::string printable(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = ' ';
  return text;
}

struct Freed {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

}  // namespace

Result<std::string> otlp_url(const std::string& text) {
  init_curl_once();
  const auto failed = [&text](const std::string& why) {
    return wrong("push to", text, why, "write http://HOST:PORT or https://HOST:PORT, such as http://localhost:4318");
  };
  const std::unique_ptr<CURLU, Freed> url(curl_url());
  if (!url) return failed("there is no memory");
  if (const CURLUcode code = curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0); code != CURLUE_OK)
    return failed(text.find("://") == text.npos ? "the scheme is missing" : curl_url_strerror(code));
  const auto part = [&url](CURLUPart which) {
    char* value = nullptr;
    std::string result;
    if (curl_url_get(url.get(), which, &value, 0) == CURLUE_OK) result = value;
    curl_free(value);
    return result;
  };
  if (const std::string scheme = part(CURLUPART_SCHEME); scheme != "http" && scheme != "https")
    return failed("the scheme is neither http nor https");
  const std::string path = part(CURLUPART_PATH);
  if (path.empty() || path == "/") curl_url_set(url.get(), CURLUPART_PATH, "/v1/metrics", 0);
  return part(CURLUPART_URL);
}

class OtlpPush::Running {
 public:
  Running(OtlpPushOptions options, std::function<std::string()> make_body)
      : options_(std::move(options)), make_body_(std::move(make_body)), random_(std::random_device()()) {}
  ~Running() {
    stop();
    easy_.reset();
    if (multi_ != nullptr) curl_multi_cleanup(multi_);
  }

  Result<void> start();
  void stop();
  OtlpPushCounts counts() const {
    const std::lock_guard lock(mutex_);
    return counts_;
  }

 private:
  // What became of a request: taken, to be tried again (perhaps not before some time), or not wanted.
  struct Outcome {
    bool is_taken = false, may_try_again = false;
    std::optional<milliseconds> told_wait;
    std::string error;
  };
  void run();
  void renew(Clock::time_point now);
  Outcome post(const std::string& body);
  Outcome outcome(CURLcode code, const std::string& answer);
  milliseconds wait_after_failures();

  OtlpPushOptions options_;
  std::function<std::string()> make_body_;
  std::string url_;
  std::unique_ptr<curl_slist, Freed> headers_;
  CURLM* multi_ = nullptr;
  std::unique_ptr<CURL, Freed> easy_;
  std::mt19937 random_;

  std::optional<std::string> pending_;  // of the thread, as the next two
  Clock::time_point try_at_;
  unsigned failures_in_a_row_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  OtlpPushCounts counts_;
  std::atomic<bool> is_stopping_ = false;
  std::thread thread_;
};

Result<void> OtlpPush::Running::start() {
  auto url = otlp_url(options_.url);
  if (!url) return url.error();
  url_ = std::move(*url);
  std::vector<std::string> headers = {"Content-Type: application/json", "Expect:"};  // the latter: send at once
  for (const std::string& header : options_.headers) {
    const auto colon = header.find(':');
    // The value may be a secret, so it is not in the message.
    const bool has_controls = std::any_of(header.begin(), header.end(), [](unsigned char c) { return c < ' ' || c == '\x7f'; });
    if (colon == 0 || colon == header.npos || has_controls)
      return wrong("push with the header", header.substr(0, std::min(colon, header.size())), "it is malformed",
                   "write NAME: VALUE");
    headers.push_back(header);
  }
  for (const std::string& header : headers) {
    curl_slist* longer = curl_slist_append(headers_.get(), header.c_str());
    if (longer == nullptr) return wrong("push to", options_.url, "there is no memory", "");
    static_cast<void>(headers_.release());
    headers_.reset(longer);
  }
  if (!options_.ca_file.empty() && access(options_.ca_file.c_str(), R_OK) != 0)
    return Error{"read the certificates", options_.ca_file, errno_text(errno), "name a file of PEM by --otlp-ca"};
  multi_ = curl_multi_init();
  easy_.reset(curl_easy_init());
  if (multi_ == nullptr || !easy_) return wrong("push to", options_.url, "there is no memory", "");
  CURL* easy = easy_.get();
  curl_easy_setopt(easy, CURLOPT_URL, url_.c_str());
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers_.get());
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(options_.timeout.count()));
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &keep_answer);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "waitprobe");
  if (!options_.ca_file.empty()) curl_easy_setopt(easy, CURLOPT_CAINFO, options_.ca_file.c_str());
#if LIBCURL_VERSION_NUM >= 0x075700
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);  // stop() does not wait for the resolver of names
#endif
  thread_ = start_quiet_thread([this] { run(); });
  return {};
}

void OtlpPush::Running::stop() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_all();
  if (multi_ != nullptr) curl_multi_wakeup(multi_);
  if (thread_.joinable()) thread_.join();
}

void OtlpPush::Running::run() {
  Clock::time_point renew_at = Clock::now() + options_.interval;
  std::unique_lock lock(mutex_);
  while (!is_stopping_) {
    const auto until = pending_ ? std::min(renew_at, try_at_) : renew_at;
    if (changed_.wait_until(lock, until, [this] { return is_stopping_.load(); })) break;
    lock.unlock();
    const auto now = Clock::now();
    if (now >= renew_at) {
      renew(now);
      // Intervals that were missed, because a request took longer or the machine slept, are not made up for.
      while (renew_at <= now) renew_at += options_.interval;
    }
    if (pending_ && now >= try_at_) {
      const Outcome outcome = post(*pending_);
      const std::lock_guard counting(mutex_);
      counts_.last_error = outcome.error;
      if (outcome.is_taken)
        counts_.sent++;
      else if (!is_stopping_)
        counts_.failed++;
      if (!outcome.is_taken && !outcome.may_try_again) counts_.dropped++;
      failures_in_a_row_ = outcome.may_try_again ? failures_in_a_row_ + 1 : 0;
      if (outcome.may_try_again)
        try_at_ = Clock::now() + outcome.told_wait.value_or(wait_after_failures());
      else
        pending_.reset();
    }
    lock.lock();
  }
}

void OtlpPush::Running::renew(Clock::time_point now) {
  std::string body;
  try {
    body = make_body_();
  } catch (const std::exception& no_body) {
    const std::lock_guard lock(mutex_);
    counts_.last_error = no_body.what();
    return;
  }
  if (pending_) {  // and it still waits for its turn
    const std::lock_guard lock(mutex_);
    counts_.dropped++;
  } else {
    try_at_ = now;
  }
  pending_ = std::move(body);
}

milliseconds OtlpPush::Running::wait_after_failures() {
  const unsigned doublings = std::min(failures_in_a_row_ - 1, 20U);
  const auto longest = std::min(options_.longest_wait, options_.first_wait * (1L << doublings));
  // Many agents that have lost the same receiver do not come back at the same moment.
  return milliseconds(std::uniform_int_distribution<long>(longest.count() / 2, longest.count())(random_));
}

OtlpPush::Running::Outcome OtlpPush::Running::post(const std::string& body) {
  std::string answer;
  CURL* easy = easy_.get();
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &answer);
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.data());
  curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  curl_multi_add_handle(multi_, easy);
  int running_cnt = 1;
  CURLMcode code = curl_multi_perform(multi_, &running_cnt);
  while (code == CURLM_OK && running_cnt > 0 && !is_stopping_) {
    code = curl_multi_poll(multi_, nullptr, 0, 1000, nullptr);
    if (code == CURLM_OK) code = curl_multi_perform(multi_, &running_cnt);
  }
  Outcome result;
  int ignored = 0;
  if (const CURLMsg* message = curl_multi_info_read(multi_, &ignored); message != nullptr && message->msg == CURLMSG_DONE)
    result = outcome(message->data.result, answer);
  else
    result.error = is_stopping_ ? "stopped" : curl_multi_strerror(code);
  curl_multi_remove_handle(multi_, easy);
  return result;
}

OtlpPush::Running::Outcome OtlpPush::Running::outcome(CURLcode code, const std::string& answer) {
  Outcome result;
  if (code != CURLE_OK) {
    result.may_try_again = true;
    result.error = code == CURLE_WRITE_ERROR ? "its answer is too long" : curl_easy_strerror(code);
    return result;
  }
  long status = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
  result.is_taken = status >= 200 && status < 300;
  if (result.is_taken) {
    result.error = printable(rejection(answer)).substr(0, most_told_bytes);
    result.is_taken = result.error.empty();
    return result;
  }
  result.error =
      "status " + std::to_string(status) + (answer.empty() ? "" : ": " + printable(answer.substr(0, most_told_bytes)));
  result.may_try_again = status == 429 || status == 502 || status == 503 || status == 504;
  curl_off_t told_s = 0;
  if (result.may_try_again && curl_easy_getinfo(easy_.get(), CURLINFO_RETRY_AFTER, &told_s) == CURLE_OK && told_s > 0)
    result.told_wait = std::min<std::chrono::seconds>(std::chrono::seconds(told_s), longest_told_wait);
  return result;
}

OtlpPush::OtlpPush(std::unique_ptr<Running> running) : running_(std::move(running)) {}
OtlpPush::OtlpPush(OtlpPush&&) noexcept = default;
OtlpPush& OtlpPush::operator=(OtlpPush&&) noexcept = default;
OtlpPush::~OtlpPush() = default;

Result<OtlpPush> OtlpPush::start(OtlpPushOptions options, std::function<std::string()> make_body) {
  const std::string url = options.url;
  try {
    auto running = std::make_unique<Running>(std::move(options), std::move(make_body));
    if (const auto started = running->start(); !started) return started.error();
    return OtlpPush(std::move(running));
  } catch (const std::exception& no_thread) {
    return wrong("push to", url, no_thread.what(), "");
  }
}

OtlpPushCounts OtlpPush::counts() const { return running_->counts(); }
void OtlpPush::stop() { running_->stop(); }

}  // namespace waitprobe
