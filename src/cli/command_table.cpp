// SPDX-License-Identifier: MIT
#include "src/cli/command_table.h"

namespace waitprobe::cli {
namespace {

constexpr const char* not_vouched_for = "done, but a target is not verified or was attached late";

constexpr CommandRow table[] = {
    {"list", "which processes carry probes; is anyone tracing them; their keys",
     "  waitprobe list                 every process on the machine\n"
     "  waitprobe list -p 1234 --json  one process, for a program to read\n",
     "A process that carries the probes of waitprobe can be asked what it waits for. This lists them all: process, file, "
     "whether anybody listens at this moment (armed), which clock its guards read, and the keys of its waits so far. Nothing "
     "is attached. Without the right to read a process's memory there is a ? in the place of what is in it.",
     nullptr, nullptr, declare_list, run_list},
    {"hist", "how long do waits take: count, rate, total and quantiles by key",
     "  waitprobe hist -p 1234                until Ctrl-C, or until it ends\n"
     "  waitprobe hist -p 1234 -d 10 --bars   ten seconds, with histograms\n"
     "  waitprobe hist -a -i 1                the whole machine, each second\n"
     "  waitprobe hist -f ./server -k 'db.*'  all processes of a file, some keys\n"
     "  waitprobe hist -a --by-env RANK       processes together by a variable\n"
     "  waitprobe hist -- ./server --port 80  start it, and miss no wait\n",
     "Attaches to the targets, adds their waits up in the kernel as one histogram a key, and shows them in the end, or after "
     "each interval (-i). All waits that end meanwhile are counted; what was lost is told by cause. Quantiles are off by 6.25 "
     "% at the most; count, total, min and max are exact. ~ marks a bound.",
     nullptr, not_vouched_for, declare_hist, run_hist},
    {"top", "the same, live, sorted, on a terminal",
     "  waitprobe top -p 1234             each second; ? shows its keys\n"
     "  waitprobe top -a -i 5             the whole machine\n"
     "  waitprobe top --sort p99 -- ./server   what it prints is not shown\n"
     "  waitprobe top -a --json | jq .    not on a terminal: as hist -i 1\n",
     "What hist -i 1 shows, on a screen that is drawn over: sort, filter, pause; ? shows the keys. The terminal belongs to the "
     "screen: what a command started with -- prints is not shown. Where there is no terminal, it prints as hist does.",
     nullptr, not_vouched_for, declare_top, run_top},
    {"slow", "each wait that took longer than --min, with its stack",
     "  waitprobe slow -p 1234 --min 5ms           until Ctrl-C, or until it ends\n"
     "  waitprobe slow -p 1234 --min 5ms --stack   and what the thread was doing\n"
     "  waitprobe slow -a --min 1s -n 1            the next one on this machine\n"
     "  waitprobe slow -k 'db.*' -- ./server       of a program it starts\n",
     "Prints a line for each wait that took at least as long as --min (1 ms), when it ends. Shorter waits pass the probe by. "
     "With --stack it shows what the thread was doing: registers and 32 KiB of its stack are copied in the kernel and unwound "
     "afterwards, without frame pointers.",
     nullptr, not_vouched_for, declare_slow, run_slow},
    {"stuck", "what is waited for right now, and since when",
     "  waitprobe stuck -p 1234                     open for a second or more\n"
     "  waitprobe stuck -p 1234 --older 10s --stack and what its threads are doing\n"
     "  waitprobe stuck -a --ignore '*.idle'        but for keys meant to last\n"
     "  waitprobe stuck -f ./server --watch         and again every second\n"
     "  waitprobe stuck --core core.1234 --stack    of a process that has died\n"
     "  waitprobe stuck -p 1234 > stuck.txt || mail -s stuck ops < stuck.txt\n",
     "Reads the waits that have begun and not ended from the memory of processes, or of a core dump, and shows the oldest "
     "first. Waits that began while nobody listened are not known, unless the process runs with WAITPROBE_TRACK=1. Waits that "
     "are meant to last (workers without work, keys of --ignore) are told apart.",
     "something is stuck", "nothing seen to be stuck, but not everything could be seen", declare_stuck, run_stuck},
    {"record", "keep snapshots in a file, to be looked at later",
     "  waitprobe record -o waits.jsonl -p 1234          until Ctrl-C, or its end\n"
     "  waitprobe record -o waits.jsonl -a -i 10 -d 3600 an hour, in pieces of 10 s\n"
     "  waitprobe record -o waits.jsonl -- ./server      of a program it starts\n"
     "  waitprobe record -o node1.jsonl -a --by-env RANK with the rank of each\n"
     "  waitprobe record -o - -a | zstd > waits.zst      small\n",
     "Writes a line of JSON for each interval to a file: what hist -i --json prints, between a line that says what was looked "
     "at and one that says why it ended. Each line is whole, whatever ends the recording; a full disk leaves all lines before. "
     "An existing file is not touched unless --overwrite is given. docs/recording.md describes the format.",
     nullptr, not_vouched_for, declare_record, run_record},
    {"report", "what recordings hold: the same tables as hist shows live",
     "  waitprobe report waits.jsonl --bars                  all of it\n"
     "  waitprobe report waits.jsonl --from 14:05 --to 14:10 five minutes of it\n"
     "  waitprobe report waits.jsonl -i 60 -k 'db.*'         each minute, some keys\n"
     "  waitprobe report web*.jsonl --by-key                 machines together\n"
     "  waitprobe report node*.jsonl --by-env RANK           ranks of all machines\n"
     "  waitprobe report waits.jsonl --html waits.html       a page with pictures\n"
     "  zstdcat waits.zst | waitprobe report -\n",
     "Reads recordings and shows them as hist shows what is live. Several are added up: of several machines, of several runs; "
     "processes stay apart unless --by-key is given, or --by-env, if record was given it as well. A recording that was cut off "
     "is read up to its last whole line. --from and --to are one window: 23:50 to 00:10 is over midnight, and one in which "
     "nothing was recorded is an error. With --html it writes one page with pictures that needs nothing else.",
     nullptr, nullptr, declare_report, run_report},
    {"diff", "what changed between two recordings, and is it more than noise",
     "  waitprobe diff before.jsonl after.jsonl\n"
     "  waitprobe diff waits.jsonl --a 14:00..14:05 --b 14:10..14:15\n"
     "  waitprobe diff before.jsonl after.jsonl --gate 10\n"
     "  waitprobe diff before.jsonl after.jsonl --gate 10 --gate-on mean,p99\n",
     "Compares two recordings, or two parts of one (--a, --b), key by key, and tells whether a change is larger than the noise "
     "within the recordings: each figure gets a confidence interval, all of which hold at once with 99 %. A key is worse "
     "when more time is waited for it per second (total/s: longer waits, or more of them), or when its mean, p50 or p99 is "
     "greater; it says which. A key that only B has is new, and fails --gate if its total/s is beyond noise. With loads that "
     "differ, look at the single wait: --gate-on mean,p99. docs/recording.md describes the method and names its sources.",
     "a key got worse by more than --gate lets pass, or is new", "no key seen to get worse, but not all waits could be judged",
     declare_diff, run_diff},
    {"doctor", "can this machine and this user trace, and what is missing",
     "  waitprobe doctor               this machine\n"
     "  waitprobe doctor -p 1234       and a process\n"
     "  waitprobe doctor -f ./server   and a file\n"
     "  waitprobe doctor -- ./start.sh and what a command would start\n"
     "  waitprobe doctor && waitprobe record -o waits.jsonl -a\n",
     "Looks at everything that tracing needs, one line each, and below what is missing stands the command that mends it. It "
     "attaches a small program to itself and sees whether that gets what it should, and loads the programs of hist and slow. "
     "Of a target it tells the probes, the library's version, its namespaces, who listens, who is in the way, which processes "
     "of the same file would die of being traced, and whether the wait counters of its PyTorch can be seen. It warns of USDT "
     "probes, of any provider, that this kernel would turn into "
     "calls which overwrite the red zone: tracing these corrupts the program. Nothing else is attached to and nothing is "
     "changed. Exit status 0: nothing that was looked at is in the way.",
     nullptr, nullptr, declare_doctor, run_doctor},
    {"tracefs", "the probes as perf, trace-cmd and tracefs take them",
     "  waitprobe tracefs -f ./server >> /sys/kernel/tracing/uprobe_events\n"
     "  perf record -e waitprobe:wait_stop -p 1234     then: perf script\n"
     "  waitprobe tracefs --remove >> /sys/kernel/tracing/uprobe_events\n"
     "  waitprobe tracefs -p 1234 | grep /wait_stop    all its files, one probe\n",
     "Prints a line for each probe of single waits, for the file uprobe_events: with the semaphore, without which a uprobe "
     "counts "
     "nothing and locks everybody else out, and with names and types of the arguments. Nothing is attached. An event is of "
     "files: it fires in every process that runs them. Append to uprobe_events (>>); to write over it removes other people's "
     "events.",
     nullptr, nullptr, declare_tracefs, run_tracefs},
    {"run", "start a program so that its waits can be seen: PyTorch as it is",
     "  waitprobe run --torch -- python train.py    then: waitprobe hist -p PID\n"
     "  waitprobe run --torch --track -- torchrun --nproc-per-node 8 train.py\n"
     "  waitprobe hist --by-env RANK -- waitprobe run --torch -- torchrun train.py\n",
     "Becomes the command, with what lets it be looked at: with --torch, libwaitprobe_torch.so is preloaded into it and all "
     "that it starts, so that the wait counters of PyTorch (2.6 and later) are seen; what LD_PRELOAD holds already stays. "
     "With --track, programs know their open waits from the start, also those that begin while nobody listens. While nobody "
     "does, a wait costs 5 ns more with the first, up to 27 with the second. docs/pytorch.md tells what is seen.",
     nullptr, nullptr, declare_run, run_run},
    {"help", "how a command is used",
     "  waitprobe help       all commands\n"
     "  waitprobe help hist  one of them\n",
     "The same as waitprobe COMMAND --help.", nullptr, nullptr, declare_help, run_help},
    {"man", "the manual page of a command", "  waitprobe man hist | man -l -\n",
     "Prints the page for man to show; without a command, that of waitprobe itself. cmake --install puts all of them where man "
     "looks.",
     nullptr, nullptr, declare_man, run_man},
    {"completion", "what a shell needs to complete commands and options",
     "  source <(waitprobe completion bash)\n"
     "  waitprobe completion zsh > ~/.zfunc/_waitprobe\n"
     "  waitprobe completion fish > ~/.config/fish/completions/waitprobe.fish\n",
     "Prints a script for bash, zsh or fish. cmake --install puts all of them where shells look.", nullptr, nullptr,
     declare_completion, run_completion},
    {"version", "the version of waitprobe", "  waitprobe version\n", "The same as waitprobe --version.", nullptr, nullptr,
     declare_version, run_version},
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
