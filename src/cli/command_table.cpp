// SPDX-License-Identifier: MIT
#include "src/cli/command_table.h"

namespace waitprobe::cli {
namespace {

constexpr const char* not_verified_text = "done, but a target is not verified or was attached late";

constexpr CommandRow table[] = {
    {"list", "processes that carry the probes, and the keys of their waits",
     "  waitprobe list                 every process on the machine\n"
     "  waitprobe list -p 1234 --json  one process, for a program to read\n",
     "Lists every process that carries the probes of waitprobe: its file, whether a tracer is attached to it, the clock that "
     "its guards read, and how many keys its waits have so far. Attaches to nothing. A process whose memory this user may not "
     "read has a ? in those columns.",
     nullptr, nullptr, declare_list, run_list},
    {"hist", "how long waits take: count, rate, total and quantiles per key",
     "  waitprobe hist -p 1234                until Ctrl-C, or until it ends\n"
     "  waitprobe hist -p 1234 -d 10s --bars  ten seconds, with histograms\n"
     "  waitprobe hist -a -i 1s               the whole machine, every second\n"
     "  waitprobe hist --comm 'redis*'        all processes of a name\n"
     "  waitprobe hist -f ./server -k 'db.*'  all processes of a file, some keys\n"
     "  waitprobe hist -a --by-env RANK       grouped by an environment variable\n"
     "  waitprobe hist -- ./server --port 80  from the first wait of a program\n",
     "Attaches to the targets, adds up their waits in the kernel as one histogram per key, and prints the table at the end, or "
     "after each interval (-i). Every wait that ends while it runs is counted; lost waits are reported with their causes. "
     "Quantiles are at most 4.4 % off; count, total, min and max are exact. ~ marks the upper bound of a bucket.",
     nullptr, not_verified_text, declare_hist, run_hist},
    {"top", "live table of waits on a terminal",
     "  waitprobe top -p 1234             every second; press ? for the keys\n"
     "  waitprobe top -a -i 5s            the whole machine\n"
     "  waitprobe top --sort p99 -- ./server   without what the server prints\n"
     "  waitprobe top -a --json | jq .    into a pipe: the same as hist -i 1s\n",
     "Shows what hist -i 1s prints on a screen that refreshes: sort, filter, pause; press ? for the keys. The output of a "
     "command started with -- is not shown, because the screen uses the terminal. Without a terminal it prints as hist does.",
     nullptr, not_verified_text, declare_top, run_top},
    {"slow", "each wait longer than --min, with its stack",
     "  waitprobe slow -p 1234 --min 5ms           until Ctrl-C, or until it ends\n"
     "  waitprobe slow -p 1234 --min 5ms --stack   and what the thread was doing\n"
     "  waitprobe slow -a --min 1s -n 1            the next one on this machine\n"
     "  waitprobe slow -k 'db.*' -- ./server       of a program it starts\n",
     "Prints a line for each wait that took at least --min (1 ms), when the wait ends. Shorter waits do not reach the probe. "
     "--stack shows what the thread was doing: the kernel copies its registers and 32 KiB of its stack, which are unwound "
     "afterwards and need no frame pointers.",
     nullptr, not_verified_text, declare_slow, run_slow},
    {"stuck", "waits that are open right now, and since when",
     "  waitprobe stuck -p 1234                     open for a second or more\n"
     "  waitprobe stuck -p 1234 --older 10s --stack and what its threads are doing\n"
     "  waitprobe stuck -a --idle 'worker.*'        except keys that wait for work\n"
     "  waitprobe stuck -f ./server --watch         again every second\n"
     "  waitprobe stuck --core core.1234 --stack    of a process that has died\n"
     "  waitprobe stuck -p 1234 > stuck.txt || mail -s stuck ops < stuck.txt\n",
     "Reads the waits that have started and not ended from the memory of processes, or from a core dump, and prints the "
     "oldest first. Waits that started while no tracer was attached are unknown, unless the process runs with "
     "WAITPROBE_TRACK=1. Waits that are probably idle (workers without work, keys of --idle) are listed apart.",
     "a wait is stuck", "no stuck wait was found, but not everything could be read", declare_stuck, run_stuck},
    {"record", "record snapshots into a file",
     "  waitprobe record -o waits.jsonl -p 1234          until Ctrl-C, or its end\n"
     "  waitprobe record -o waits.jsonl -a -i 10s -d 1h  an hour, every 10 s\n"
     "  waitprobe record -o waits.jsonl -- ./server      of a program it starts\n"
     "  waitprobe record -o node1.jsonl -a --by-env RANK with the rank of each\n"
     "  waitprobe record -o - -a | zstd > waits.zst      compressed\n",
     "Writes one line of JSON per interval to a file: what hist -i --json prints, after a line that names the targets and "
     "before one that says why the recording ended. Each line is complete, however the recording ends; when the disk is full, "
     "the lines before stay. An existing file is replaced only with --overwrite. docs/recording.md describes the format.",
     nullptr, not_verified_text, declare_record, run_record},
    {"report", "show recordings as tables, or as a page",
     "  waitprobe report waits.jsonl --bars                  all of it\n"
     "  waitprobe report waits.jsonl --from 14:05 --to 14:10 five minutes of it\n"
     "  waitprobe report waits.jsonl -i 1m -k 'db.*'         each minute, some keys\n"
     "  waitprobe report web*.jsonl --by-key                 machines together\n"
     "  waitprobe report node*.jsonl --by-env RANK           ranks of all machines\n"
     "  waitprobe report waits.jsonl --html waits.html       a page with pictures\n"
     "  zstdcat waits.zst | waitprobe report -\n",
     "Reads recordings and prints the tables that hist prints. Several recordings, of several machines or runs, are added up; "
     "processes stay separate, unless --by-key or --by-env is given (record needs --by-env too). A recording that was cut off "
     "is read up to its last complete line. --from and --to are one window: 23:50 to 00:10 spans midnight, and a window in "
     "which nothing was recorded is an error. --html writes a single page with pictures that loads nothing else.",
     nullptr, nullptr, declare_report, run_report},
    {"diff", "compare two recordings: what changed by more than noise",
     "  waitprobe diff before.jsonl after.jsonl\n"
     "  waitprobe diff waits.jsonl --a 14:00..14:05 --b 14:10..14:15\n"
     "  waitprobe diff before.jsonl after.jsonl --gate 10\n"
     "  waitprobe diff before.jsonl after.jsonl --gate 10 --gate-on mean,p99\n",
     "Compares two recordings, or two parts of one (--a, --b), key by key. Each figure gets a confidence interval, which "
     "accounts for the noise within the recordings; all intervals hold together with 99 % confidence. A key is worse when its "
     "time per second (total/s), mean, p50 or p99 has grown; the table says which. A key that only B has is new, and fails "
     "--gate if its total/s is beyond noise. If the loads differ, compare single waits: --gate-on mean,p99. docs/recording.md "
     "describes the method and names its sources.",
     "a key got worse by more than --gate allows, or is new", "no key was found to be worse, but not all waits could be judged",
     declare_diff, run_diff},
    {"serve", "stay attached, and serve metrics to Prometheus",
     "  waitprobe serve -a                          at 127.0.0.1:9464/metrics\n"
     "  waitprobe serve -a --labels unit,container  and where processes run\n"
     "  waitprobe serve -f ./server --by-env RANK   all processes of a file\n"
     "  waitprobe serve --config /etc/waitprobe/waitprobe.toml\n"
     "  curl http://127.0.0.1:9464/                 what it is doing\n",
     "Attaches as hist does, and stays: processes that start later are counted from their first wait on. Serves what it has "
     "counted by HTTP: /metrics for Prometheus (native histograms, OpenMetrics, or text, as the client asks), / for people, "
     "/healthz and /readyz for supervisors. After the start it gives up all rights that it does not need. SIGHUP reads "
     "--config "
     "again; SIGTERM and Ctrl-C end it. docs/operations.md describes how to run it on many machines, and docs/metrics.md what "
     "the metrics say.",
     nullptr, nullptr, declare_serve, run_serve},
    {"doctor", "check whether tracing works here, and how to fix it",
     "  waitprobe doctor               this machine\n"
     "  waitprobe doctor -p 1234       and a process\n"
     "  waitprobe doctor -f ./server   and a file\n"
     "  waitprobe doctor -- ./start.sh and a command (not started)\n"
     "  waitprobe doctor && waitprobe record -o waits.jsonl -a\n",
     "Checks everything that tracing needs, one line per check, and prints the command that fixes what is missing. It attaches "
     "a small program to itself to see whether uprobes work, and loads the programs of hist and slow. For a target it checks "
     "the probes, the version of the library, its namespaces, who traces it, what is in the way, which processes of the same "
     "file would die if traced, and whether the wait counters of its PyTorch are visible. It warns of USDT probes, of any "
     "provider, that this kernel would turn into calls which overwrite the red zone: tracing these corrupts the program. It "
     "attaches to nothing else and changes nothing. Exit status 0: no check found an obstacle; 1: one did.",
     nullptr, nullptr, declare_doctor, run_doctor},
    {"tracefs", "print the probes as events for perf, trace-cmd and tracefs",
     "  waitprobe tracefs -f ./server >> /sys/kernel/tracing/uprobe_events\n"
     "  perf record -e waitprobe:wait_stop -p 1234     then: perf script\n"
     "  waitprobe tracefs --remove >> /sys/kernel/tracing/uprobe_events\n"
     "  waitprobe tracefs -p 1234 | grep /wait_stop    all its files, one probe\n",
     "Prints one line per probe of single waits for the file uprobe_events, with the names and types of the arguments and with "
     "the semaphore, without which a uprobe counts nothing and blocks other tracers. Attaches to nothing. An event belongs "
     "to a file: it fires in every process that runs the file. Append to uprobe_events (>>); writing over it removes other "
     "people's events.",
     nullptr, nullptr, declare_tracefs, run_tracefs},
    {"run", "start a program with its waits visible (PyTorch, unchanged)",
     "  waitprobe run --torch -- python train.py    then: waitprobe hist -p PID\n"
     "  waitprobe run --torch --track -- torchrun --nproc-per-node 8 train.py\n"
     "  waitprobe hist --by-env RANK -- waitprobe run --torch -- torchrun train.py\n",
     "Replaces itself by the command, prepared for tracing. --torch preloads libwaitprobe_torch.so into the command and "
     "everything that it starts, so that the wait counters of PyTorch (2.6 and later) are visible; other entries of LD_PRELOAD "
     "stay. --track keeps track of open waits from the start, also while no tracer is attached. Without a tracer, a wait costs "
     "5 ns more with --torch, and up to 27 ns with --track. docs/pytorch.md describes what is seen.",
     nullptr, nullptr, declare_run, run_run},
    {"help", "describe a command",
     "  waitprobe help       all commands\n"
     "  waitprobe help hist  one of them\n",
     "The same as waitprobe COMMAND --help.", nullptr, nullptr, declare_help, run_help},
    {"man", "print the manual page of a command", "  waitprobe man hist | man -l -\n",
     "Prints the page for man to show; without a command, that of waitprobe itself. cmake --install installs all of them where "
     "man looks.",
     nullptr, nullptr, declare_man, run_man},
    {"completion", "print the completion script of a shell",
     "  source <(waitprobe completion bash)\n"
     "  waitprobe completion zsh > ~/.zfunc/_waitprobe\n"
     "  waitprobe completion fish > ~/.config/fish/completions/waitprobe.fish\n",
     "Prints a script for bash, zsh or fish. cmake --install installs all of them where shells look.", nullptr, nullptr,
     declare_completion, run_completion},
    {"version", "print the version of waitprobe", "  waitprobe version\n",
     "The same as waitprobe --version. Prints the version, that of the ABI between the library and the tool, and that of "
     "libbpf.",
     nullptr, nullptr, declare_version, run_version},
};

}  // namespace

std::span<const CommandRow> commands() { return table; }

const CommandRow* find_command(std::string_view name) {
  for (const CommandRow& row : table) {
    if (name == row.name) return &row;
  }
  return nullptr;
}

}  // namespace waitprobe::cli
