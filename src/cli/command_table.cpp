// SPDX-License-Identifier: MIT
#include "src/cli/command_table.h"

namespace waitprobe::cli {
namespace {

constexpr CommandRow table[] = {
    {"list", "which processes carry probes; are they armed; their keys",
     "  waitprobe list                 every process on the machine\n"
     "  waitprobe list -p 1234 --json  one process, for a program to read\n",
     run_list},
    {"hist", "how long do waits take: count, rate, total and quantiles by key",
     "  waitprobe hist -p 1234                until Ctrl-C, or until it ends\n"
     "  waitprobe hist -p 1234 -d 10 --bars   ten seconds, with histograms\n"
     "  waitprobe hist -a -i 1                the whole machine, each second\n"
     "  waitprobe hist -f ./server -k 'db.*'  all processes of a file, some keys\n"
     "  waitprobe hist -- ./server --port 80  start it, and miss no wait\n",
     run_hist},
    {"top", "the same, live, sorted, on a terminal",
     "  waitprobe top -p 1234             each second; ? shows its keys\n"
     "  waitprobe top -a -i 5             the whole machine\n"
     "  waitprobe top --sort p99 -- ./server   what it prints is not shown\n"
     "  waitprobe top -a --json | jq .    not on a terminal: as hist -i 1\n",
     run_top},
    {"slow", "each wait that took longer than --min, with its stack",
     "  waitprobe slow -p 1234 --min 5ms           until Ctrl-C, or until it ends\n"
     "  waitprobe slow -p 1234 --min 5ms --stack   and what the thread was doing\n"
     "  waitprobe slow -a --min 1s -n 1            the next one on this machine\n"
     "  waitprobe slow -k 'db.*' -- ./server       of a program it starts\n",
     run_slow},
    {"stuck", "what is waited for right now, and since when",
     "  waitprobe stuck -p 1234                     open for a second or more\n"
     "  waitprobe stuck -p 1234 --older 10s --stack and what its threads are doing\n"
     "  waitprobe stuck -a --ignore '*.idle'        but for keys meant to last\n"
     "  waitprobe stuck -f ./server --watch         and again every second\n"
     "  waitprobe stuck --core core.1234 --stack    of a process that has died\n"
     "Exit status 3 says that something is stuck:\n"
     "  waitprobe stuck -p 1234 > stuck.txt || mail -s stuck ops < stuck.txt\n",
     run_stuck},
    {"record", "keep snapshots in a file, to be looked at later",
     "  waitprobe record -o waits.jsonl -p 1234          until Ctrl-C, or until it ends\n"
     "  waitprobe record -o waits.jsonl -a -i 10 -d 3600 an hour, in pieces of 10 s\n"
     "  waitprobe record -o waits.jsonl -- ./server      of a program it starts\n"
     "  waitprobe record -o - -a | zstd > waits.zst      small\n",
     run_record},
    {"report", "what recordings hold: the same tables as hist shows live",
     "  waitprobe report waits.jsonl --bars                  all of it\n"
     "  waitprobe report waits.jsonl --from 14:05 --to 14:10 five minutes of it\n"
     "  waitprobe report waits.jsonl -i 60 -k 'db.*'         each minute, some keys\n"
     "  waitprobe report web*.jsonl --by-key                 machines together\n"
     "  waitprobe report waits.jsonl --html waits.html       a page with pictures\n"
     "  zstdcat waits.zst | waitprobe report -\n",
     run_report},
    {"diff", "what has changed between two recordings, and is it more than noise",
     "  waitprobe diff before.jsonl after.jsonl\n"
     "  waitprobe diff waits.jsonl --a 14:00..14:05 --b 14:10..14:15\n"
     "Exit status 3 says that a key got worse, for a check:\n"
     "  waitprobe diff before.jsonl after.jsonl --gate 10\n",
     run_diff},
};

}  // namespace

std::span<const CommandRow> commands() { return table; }

}  // namespace waitprobe::cli
