// SPDX-License-Identifier: MIT
#include "src/collect/stacks/frame_names.h"

#include <cxxabi.h>
#include <dwarf.h>
#include <elfutils/libdw.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace waitprobe {
namespace {

// Names of C are as they are: __cxa_demangle takes "i" for the type int.
std::string demangled(const char* name) {
  int status = -1;
  const bool is_mangled = std::string_view(name).starts_with("_Z");
  const std::unique_ptr<char, decltype(&std::free)> plain(
      is_mangled ? abi::__cxa_demangle(name, nullptr, nullptr, &status) : nullptr, std::free);
  const std::string text = status == 0 && plain != nullptr ? plain.get() : name;
  return text.substr(0, text.find(" [clone "));  // a part that the compiler has put elsewhere
}

// The unit of debug information that an address belongs to. libdwfl looks into an index (.debug_aranges), and also gives the
// one before a part that has none; clang writes no index, and a file may have been linked from the work of both.
Dwarf_Die* unit_of(Dwfl_Module* module, Dwarf_Addr address, Dwarf_Addr& bias) {
  const auto has_it = [&](Dwarf_Die* unit) { return dwarf_haspc(unit, address - bias) > 0; };
  Dwarf_Die* unit = dwfl_module_addrdie(module, address, &bias);
  if (unit != nullptr && has_it(unit)) return unit;
  unit = nullptr;
  do {
    unit = dwfl_module_nextcu(module, unit, &bias);
  } while (unit != nullptr && !has_it(unit));
  return unit;
}

// An array of entries, freed by whoever asked for it.
using Dies = std::unique_ptr<Dwarf_Die, decltype(&std::free)>;

std::span<Dwarf_Die> all_of(const Dies& dies, int count) {
  return {dies.get(), count > 0 ? static_cast<std::size_t>(count) : 0};
}

// Where a function was declared: what an inlined or a separate body refers to.
Dwarf_Die declaration_of(Dwarf_Die die) {
  Dwarf_Attribute attribute;
  Dwarf_Die next;
  for (const unsigned reference : {DW_AT_abstract_origin, DW_AT_specification}) {
    if (dwarf_formref_die(dwarf_attr(&die, reference, &attribute), &next) != nullptr) die = next;
  }
  return die;
}

// The namespaces and classes around a declaration, as "a::b::".
std::string scope_of(Dwarf_Die declaration) {
  Dwarf_Die* found = nullptr;
  const int count = dwarf_getscopes_die(&declaration, &found);
  const Dies around(found, std::free);
  std::string scope;
  for (Dwarf_Die& die : all_of(around, count)) {
    const int tag = dwarf_tag(&die);
    if (tag != DW_TAG_namespace && tag != DW_TAG_class_type && tag != DW_TAG_structure_type) continue;
    const char* name = dwarf_diename(&die);
    scope.insert(0, std::string(name != nullptr ? name : "(anonymous namespace)") + "::");
  }
  return scope;
}

// With its parameters where the linker knows it; what is only known inside its file has its scope at least.
std::string name_of(Dwarf_Die& die) {
  Dwarf_Attribute attribute;
  const char* linked = dwarf_formstring(dwarf_attr_integrate(&die, DW_AT_linkage_name, &attribute));
  if (linked != nullptr) return demangled(linked);
  const char* name = dwarf_formstring(dwarf_attr_integrate(&die, DW_AT_name, &attribute));
  return name != nullptr ? scope_of(declaration_of(die)) + name : "";
}

struct Place {
  std::string file;
  std::uint32_t line = 0;
};

// `address`: as the unit has it.
Place place_of(Dwarf_Die& unit, Dwarf_Addr address) {
  Place place;
  Dwarf_Line* line = dwarf_getsrc_die(&unit, address);
  int number = 0;
  if (line == nullptr || dwarf_lineno(line, &number) != 0) return place;
  const char* file = dwarf_linesrc(line, nullptr, nullptr);
  if (file != nullptr) place = {file, static_cast<std::uint32_t>(number)};
  return place;
}

// Where an inlined function was called.
Place call_of(Dwarf_Die& inlined, Dwarf_Die& unit) {
  Place place;
  Dwarf_Attribute attribute;
  Dwarf_Word file = 0, line = 0;
  if (dwarf_formudata(dwarf_attr(&inlined, DW_AT_call_line, &attribute), &line) == 0)
    place.line = static_cast<std::uint32_t>(line);
  Dwarf_Files* files = nullptr;
  if (dwarf_formudata(dwarf_attr(&inlined, DW_AT_call_file, &attribute), &file) == 0 &&
      dwarf_getsrcfiles(&unit, &files, nullptr) == 0) {
    const char* name = dwarf_filesrc(files, file, nullptr, nullptr);
    if (name != nullptr) place.file = name;
  }
  return place;
}

// The blocks and functions around an address, innermost first.
std::pair<Dies, int> scopes_at(Dwarf_Die& unit, Dwarf_Addr address) {
  Dwarf_Die* found = nullptr;
  if (dwarf_getscopes(&unit, address, &found) <= 0) return {Dies(nullptr, std::free), 0};
  // Those of an inlined function go on with where it was written; what is wanted is where it stands now.
  const Dies written(found, std::free);
  Dwarf_Die* around = nullptr;
  const int count = dwarf_getscopes_die(found, &around);
  return {Dies(around, std::free), count};
}

// Appends the functions that debug information knows of. `base` has what all of them have in common,
// `place` is that of the address, as the unit has it.
bool name_by_debug_info(Dwarf_Die& unit, Dwarf_Addr address, Place place, const Frame& base, Stack& to) {
  const auto [scopes, count] = scopes_at(unit, address);
  for (Dwarf_Die& die : all_of(scopes, count)) {
    const int tag = dwarf_tag(&die);
    if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_subprogram) continue;
    Frame frame = base;
    frame.function = name_of(die);
    frame.source_file = place.file;
    frame.line = place.line;
    frame.is_inlined = tag == DW_TAG_inlined_subroutine;
    to.push_back(std::move(frame));
    if (tag == DW_TAG_subprogram) return true;
    place = call_of(die, unit);
  }
  return false;
}

std::string name_by_symbol(Dwfl_Module* module, Dwarf_Addr address) {
  GElf_Off offset = 0;
  GElf_Sym symbol;
  const char* name = dwfl_module_addrinfo(module, address, &offset, &symbol, nullptr, nullptr, nullptr);
  // Beyond the end of a symbol stands something else, of which nothing is known.
  const bool is_inside = name != nullptr && (symbol.st_size == 0 || offset < symbol.st_size);
  return is_inside ? demangled(name) : "";
}

}  // namespace

void name_address(Dwfl* dwfl, Dwarf_Addr address, Stack& to) {
  Frame frame;
  frame.offset = address;
  Dwfl_Module* module = dwfl_addrmodule(dwfl, address);
  if (module != nullptr) {
    Dwarf_Addr bias = 0;
    const char* name = dwfl_module_info(module, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr);
    if (name != nullptr) frame.module = name;
    if (dwfl_module_getelf(module, &bias) != nullptr) frame.offset = address - bias;
    if (Dwarf_Die* unit = unit_of(module, address, bias); unit != nullptr) {
      const Place place = place_of(*unit, address - bias);
      const std::size_t before = to.size();
      if (name_by_debug_info(*unit, address - bias, place, frame, to) && !to.back().function.empty()) return;
      to.resize(before);
      frame.source_file = place.file;
      frame.line = place.line;
    }
    frame.function = name_by_symbol(module, address);
  }
  to.push_back(std::move(frame));
}

bool is_of_library(const std::string& function) {
  return function.starts_with("waitprobe::") || function.starts_with("waitprobe_");
}

}  // namespace waitprobe
