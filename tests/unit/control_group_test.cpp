// SPDX-License-Identifier: MIT
#include "src/collect/process/control_group.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "src/collect/process/process.h"

namespace waitprobe {
namespace {

const std::string number = "3f4e" + std::string(60, 'a');

void expect(const std::string& text, const ProcessPlace& wanted) {
  const ProcessPlace group = parse_control_group(text);
  EXPECT_EQ(group.unit, wanted.unit) << text;
  EXPECT_EQ(group.container, wanted.container) << text;
  EXPECT_EQ(group.pod, wanted.pod) << text;
}

TEST(ControlGroup, tells_the_innermost_unit) {
  expect("0::/system.slice/ssh.service\n", {"ssh.service", "", ""});
  expect("0::/user.slice/user-0.slice/session-3.scope\n", {"session-3.scope", "", ""});
  expect("0::/user.slice/user-1.slice/user@1.service/app.slice/app-x.scope\n", {"app-x.scope", "", ""});
  expect("0::/system.slice/postgresql.service/workers\n", {"postgresql.service", "", ""});
}

TEST(ControlGroup, tells_containers_by_number) {
  const std::string shown = "3f4eaaaaaaaa";
  expect("0::/system.slice/docker-" + number + ".scope\n", {"", shown, ""});
  expect("0::/docker/" + number + "\n", {"", shown, ""});
  expect("0::/machine.slice/libpod-" + number + ".scope/container\n", {"", shown, ""});
  expect("0::/machine.slice/libpod-conmon-" + number + ".scope\n", {"libpod-conmon-" + number + ".scope", "", ""});
  expect("0::/system.slice/" + number.substr(1) + ".scope\n", {number.substr(1) + ".scope", "", ""});
}

TEST(ControlGroup, tells_containers_by_name) {
  expect("0::/lxc.payload.web-1/system.slice/nginx.service\n", {"nginx.service", "web-1", ""});
  expect("0::/machine.slice/machine-web\\x2d1.scope/payload\n", {"", "web-1", ""});
  expect("0::/machine.slice/systemd-nspawn@web.service/payload\n", {"", "web", ""});
  expect("0::/system.slice/machine-web.scope\n", {"machine-web.scope", "", ""});
}

TEST(ControlGroup, tells_pods) {
  const std::string uid = "12345678-90ab-cdef-1234-567890abcdef", shown = "3f4eaaaaaaaa";
  expect(
      "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod12345678_90ab_cdef_1234_567890abcdef.slice/"
      "cri-containerd-" +
          number + ".scope\n",
      {"", shown, uid});
  expect("0::/kubepods/besteffort/pod" + uid + "/" + number + "\n", {"", shown, uid});
  expect("0::/../../kubepods/pod0123456789abcdef0123456789abcdef/crio-" + number + "\n",
         {"", shown, "0123456789abcdef0123456789abcdef"});
  expect("0::/system.slice/podman.service\n", {"podman.service", "", ""});
}

TEST(ControlGroup, of_version_1_takes_the_line_that_says_most) {
  expect("12:memory:/docker/" + number + "\n1:name=systemd:/system.slice/cron.service\n0::/\n", {"cron.service", "", ""});
  expect("12:memory:/docker/" + number + "\n0::/\n", {"", "3f4eaaaaaaaa", ""});
}

TEST(ControlGroup, of_whatever_else_is_empty) {
  for (const char* text : {"", "\n", "0::/\n", "0::\n", ":", "0:", "no colons at all\n", "0::////\n", "0::/../..\n"}) {
    expect(text, {});
  }
  EXPECT_EQ(control_group_of(UINT32_MAX), ProcessPlace{});
}

Series series_of(std::uint32_t pid, std::uint64_t start_ticks, std::uint32_t parent_pid = 0) {
  Series series;
  series.pid = pid;
  series.process_start_ticks = start_ticks;
  series.parent_pid = parent_pid;
  return series;
}

TEST(ControlGroups, are_remembered_and_inherited) {
  const ProcessPlace of_web = {"web.service", "", ""};
  const auto self = static_cast<std::uint32_t>(getpid());
  const std::uint64_t start = stat_of(self)->start_ticks;
  ControlGroups groups;
  groups.remember(self, start, of_web);
  groups.remember(UINT32_MAX, 7, of_web);
  groups.add(self);
  EXPECT_EQ(groups.of(series_of(self, start)), of_web) << "it is looked at once";
  EXPECT_EQ(groups.of(series_of(77, start + 5, self)), of_web);
  EXPECT_EQ(groups.of(series_of(77, start - 1, self)), ProcessPlace{}) << "that parent came later";
  EXPECT_EQ(groups.of(series_of(77, start + 5)), ProcessPlace{});
  groups.forget_all_but({});
  EXPECT_EQ(groups.of(series_of(self, start)), of_web) << "it lives";
  EXPECT_EQ(groups.of(series_of(UINT32_MAX, 7)), ProcessPlace{});
}

}  // namespace
}  // namespace waitprobe
