// SPDX-License-Identifier: MIT
//
// Threads and children that come and go as fast as they can while others wait: a thread that has given its block back is
// followed at once by one that takes it. Each process tells its own truth, in a row of a file as tests/e2e/truth.py reads it.
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <waitprobe/wait_counter.h>

namespace {

using waitprobe::WaitCounterHandle;
using Guard = WaitCounterHandle::WaitGuard;

constexpr std::uint64_t magic = 0x7761697474727468;
constexpr std::uint64_t header_words = 8;
constexpr std::uint64_t most_of_plugin = 20;  // a thread: what it does there is slow

// NAME=NUMBER words of the command line.
std::map<std::string, std::uint64_t> numbers;
std::string truth_name, plugin_name, program_name;

[[noreturn]] void give_up(const char* what) {
  std::perror(what);
  std::_Exit(1);
}

std::uint64_t number(const char* name) {
  const auto found = numbers.find(name);
  if (found == numbers.end()) {
    std::fprintf(stderr, "come_and_go: %s=N is missing\n", name);
    std::_Exit(2);
  }
  return found->second;
}

// Of each process a row; in it the keys of the program, as many of the plug-in, that of the handler, and its number.
struct Truth {
  std::uint64_t* words = nullptr;
  std::uint64_t keys = 0;

  static std::uint64_t columns_of(std::uint64_t keys) { return 2 * keys + 2; }
  void open() {
    keys = number("keys");
    const std::uint64_t rows = number("rows"), columns = columns_of(keys), bytes = 8 * (header_words + 2 * rows * columns);
    const int fd = ::open(truth_name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, static_cast<off_t>(bytes)) != 0) give_up("come_and_go: cannot make its truth");
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (memory == MAP_FAILED) give_up("come_and_go: cannot map its truth");
    close(fd);
    words = static_cast<std::uint64_t*>(memory);
    words[1] = rows;
    words[2] = columns;
    words[0] = magic;
  }
  void has_process(std::uint64_t row) { add(row, 2 * keys + 1, static_cast<std::uint64_t>(getpid())); }
  void add(std::uint64_t row, std::uint64_t column, std::uint64_t cnt) {
    for (const int which : {0, 1}) {
      __atomic_fetch_add(&words[header_words + 2 * (row * columns_of(keys) + column)] + which, cnt, __ATOMIC_SEQ_CST);
    }
  }
};

Truth truth;
std::uint64_t my_row = 0;
std::vector<std::unique_ptr<WaitCounterHandle>> handles;
void (*plugin_wait)(unsigned) = nullptr;
std::atomic<std::uint64_t> next_row{1};
constinit WaitCounterHandle alarm_handle(waitprobe::detail::LiteralKey{"alarm", 5});

// Waits that their threads have left open, for other threads to end.
struct Open {
  Guard guard;
  std::uint64_t key;
};
std::mutex left_mutex;
std::vector<Open> left;

void end_what_was_left() {
  std::vector<Open> mine;
  {
    const std::lock_guard lock(left_mutex);
    mine.swap(left);
  }
  for (Open& open : mine) {
    open.guard.stop();
    truth.add(my_row, open.key, 1);
  }
}

void leave_one_open(std::uint64_t key) {
  const std::lock_guard lock(left_mutex);
  left.push_back({handles[key]->start(), key});
}

void wait_some(std::uint64_t cnt) {
  std::vector<std::uint64_t> counts(handles.size());
  for (std::uint64_t i = 0; i < cnt; i++) {
    const std::uint64_t key = i % handles.size();
    handles[key]->start().stop();
    counts[key]++;
  }
  for (std::uint64_t key = 0; key < counts.size(); key++) truth.add(my_row, key, counts[key]);
}

void wait_in_plugin(std::uint64_t cnt) {
  for (std::uint64_t i = 0; plugin_wait != nullptr && i < cnt && i < most_of_plugin; i++) {
    plugin_wait(static_cast<unsigned>(i % handles.size()));
    truth.add(my_row, handles.size() + i % handles.size(), 1);
  }
}

void reap(pid_t child) {
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || status != 0) give_up("come_and_go: a child has not done its work");
}

// A process of its own; `again`: which then executes this program, and waits once more.
void fork_one(std::uint64_t cnt, bool again) {
  const std::uint64_t row = next_row.fetch_add(1);
  if (row >= number("rows")) return;
  const pid_t child = fork();
  if (child == 0) {
    my_row = row;
    truth.has_process(row);
    wait_some(cnt);
    wait_in_plugin(cnt);
    if (!again) _exit(0);
    const auto word = [](const char* name, std::uint64_t value) { return std::string(name) + "=" + std::to_string(value); };
    const std::string text[] = {word("keys", number("keys")), word("rows", number("rows")), word("row", row),
                                word("child", cnt),           "truth=" + truth_name,        "plugin=" + plugin_name};
    execl(program_name.c_str(), program_name.c_str(), text[0].c_str(), text[1].c_str(), text[2].c_str(), text[3].c_str(),
          text[4].c_str(), text[5].c_str(), nullptr);
    _exit(127);
  }
  reap(child);
}

// In the memory of this process, and counted with it.
void vfork_one(std::uint64_t cnt) {
  const pid_t child = vfork();
  if (child == 0) {
    for (std::uint64_t i = 0; i < cnt; i++) {
      handles[i % handles.size()]->start().stop();
      truth.add(my_row, i % handles.size(), 1);
    }
    execl("/bin/true", "true", nullptr);
    _exit(127);
  }
  reap(child);
}

bool is_due(std::uint64_t i, const char* every) { return number(every) != 0 && i % number(every) == number(every) - 1; }

void live(std::uint64_t i, std::uint64_t waits, std::uint64_t of_child) {
  if (number("cross") != 0) end_what_was_left();
  wait_some(waits / 2);
  if (is_due(i, "fork")) fork_one(of_child, false);
  if (is_due(i, "exec")) fork_one(of_child, true);
  if (is_due(i, "vfork")) vfork_one(of_child);
  wait_in_plugin(waits);
  wait_some(waits - waits / 2);
  if (number("cross") != 0) leave_one_open(i % handles.size());
}

// One thread after the other.
void run_lane(std::uint64_t lane) {
  std::minstd_rand chance(static_cast<unsigned>(number("seed") + lane));
  for (std::uint64_t i = 0; i < number("threads"); i++) {
    const std::uint64_t waits = chance() % number("most") + 1, of_child = chance() % 600 + 1;
    std::thread(live, i, waits, of_child).join();
  }
}

void set_timer(std::uint64_t every_us) {
  const timeval every = {0, static_cast<suseconds_t>(every_us)};
  const itimerval timer = {every, every};
  setitimer(ITIMER_REAL, &timer, nullptr);
}

void open_plugin() {
  if (plugin_name.empty()) return;
  void* const plugin = dlopen(plugin_name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (plugin != nullptr) plugin_wait = reinterpret_cast<void (*)(unsigned)>(dlsym(plugin, "plugin_wait"));
  if (plugin_wait != nullptr) return;
  std::fprintf(stderr, "come_and_go: cannot open its plug-in: %s\n", dlerror());
  std::_Exit(1);
}

void wait_for_go() {
  char byte = 'r';
  if (write(static_cast<int>(number("--ready-fd")), &byte, 1) != 1 ||
      read(static_cast<int>(number("--go-fd")), &byte, 1) != 1) {
    give_up("come_and_go: nobody lets it go");
  }
}

void read_words(int argc, char** argv) {
  program_name = argv[0];
  for (int i = 1; i < argc; i++) {
    const std::string word = argv[i];
    const auto end = word.find('=');
    // As tests/e2e/harness.py gives descriptors: in two words.
    if (end == std::string::npos && i + 1 < argc) {
      numbers[word] = std::strtoull(argv[++i], nullptr, 10);
      continue;
    }
    const std::string name = word.substr(0, end), value = end == std::string::npos ? "" : word.substr(end + 1);
    if (name == "truth") {
      truth_name = value;
    } else if (name == "plugin") {
      plugin_name = value;
    } else {
      numbers[name] = std::strtoull(value.c_str(), nullptr, 10);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  read_words(argc, argv);
  truth.open();
  for (std::uint64_t i = 0; i < number("keys"); i++)
    handles.push_back(std::make_unique<WaitCounterHandle>("work." + std::to_string(i)));
  if (numbers.count("child") != 0) {
    my_row = number("row");
    open_plugin();
    wait_some(number("child"));
    wait_in_plugin(number("child"));
    return 0;
  }
  truth.has_process(0);
  if (number("early") != 0) open_plugin();
  wait_for_go();
  if (number("early") == 0) open_plugin();
  struct sigaction action = {};
  action.sa_handler = [](int) {
    alarm_handle.start().stop();
    truth.add(my_row, 2 * truth.keys, 1);
  };
  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, nullptr);
  set_timer(number("alarm"));
  std::vector<std::thread> lanes;
  for (std::uint64_t lane = 0; lane < number("lanes"); lane++) lanes.emplace_back(run_lane, lane);
  for (std::thread& lane : lanes) lane.join();
  set_timer(0);
  signal(SIGALRM, SIG_IGN);
  end_what_was_left();
}
