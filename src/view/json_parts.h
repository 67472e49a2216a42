// SPDX-License-Identifier: MIT
//
// What the objects of json.h have in common.
#pragma once

#include <nlohmann/json.hpp>

#include <ostream>
#include <string>

#include "src/model/stack.h"
#include "src/model/unseen.h"

namespace waitprobe {

using Json = nlohmann::ordered_json;

// Bytes as text, and where that is not all that there is to them, as hexadecimal digits as well.
void put_bytes(Json& json, const std::string& name, const std::string& bytes);

// Null where it is not known: where it is empty.
Json text_or_null(const std::string& text);

// A line for each frame.
Json stack_json(const Stack& stack);

void add_unseen(Json& json, const Unseen& unseen);

// In ASCII: what is beyond may begin an escape sequence, or turn the direction of text, on the terminal that this is shown on.
std::string ascii_text(const Json& json);
void print_line(std::ostream& out, const Json& json);

}  // namespace waitprobe
