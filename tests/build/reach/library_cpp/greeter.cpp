// Implements library.wit; each function is described there.
#include "greeter_cpp.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>
#include <system_error>

using wit::string;
using wit::vector;
namespace host = acme::greeter::host;

namespace exports {

string greeter::Greet(string name) {
  const std::string host = host::Name().to_string();
  return ::greeter::Shout(host + " greets " + name.to_string());
}

namespace acme::greeter {

namespace numbers {

bool SameBool(bool value) { return value; }
uint8_t SameU8(uint8_t value) { return value; }
uint16_t SameU16(uint16_t value) { return value; }
uint32_t SameU32(uint32_t value) { return value; }
uint64_t SameU64(uint64_t value) { return value; }
int8_t SameS8(int8_t value) { return value; }
int16_t SameS16(int16_t value) { return value; }
int32_t SameS32(int32_t value) { return value; }
int64_t SameS64(int64_t value) { return value; }
float SameF32(float value) { return value; }
double SameF64(double value) { return value; }
uint32_t SameChar(uint32_t value) { return value; }
vector<uint8_t> SameBytes(vector<uint8_t> value) { return value; }
Rows SameRows(Rows value) { return value; }

std::tuple<double, string> Twenty(uint8_t a, uint16_t b, uint32_t c, uint64_t d,
                                  int8_t e, int16_t f, int32_t g, int64_t h,
                                  float i, double j, bool k, string l,
                                  uint8_t m, uint16_t n, uint32_t o, uint64_t p,
                                  int8_t q, int16_t r, string s, string t) {
  const uint64_t natural = a + b + uint64_t{c} + d + k + m + n + o + p;
  const int64_t whole = e + f + int64_t{g} + h + q + r;
  const auto text = l.to_string() + s.to_string() + t.to_string();
  return {double(natural) + double(whole) + i + j, string::from_view(text)};
}

static uint32_t calls = 0;
void Count() { calls++; }
uint32_t Counted() { return calls; }

} // namespace numbers

namespace texts {

string SameString(string value) { return value; }
vector<string> SameStrings(vector<string> value) { return value; }

vector<uint8_t> Encoded(string text) {
  return vector<uint8_t>::from_view(std::span(text.begin(), text.end()));
}

string Joined(vector<string> texts, string separator) {
  std::string joined;
  for (const string &text : texts.get_view()) {
    if (&text != texts.data()) {
      joined += separator.get_view();
    }
    joined += text.get_view();
  }
  return string::from_view(joined);
}

} // namespace texts

namespace shapes {

Point SamePoint(Point value) { return value; }
Segment SameSegment(Segment value) { return value; }
Shape SameShape(Shape value) { return value; }
vector<Shape> SameShapes(vector<Shape> value) { return value; }
Colour SameColour(Colour value) { return value; }
One SameOne(One value) { return value; }
Nine SameNine(Nine value) { return value; }
Most SameMost(Most value) { return value; }

std::tuple<string, Point> SamePair(std::tuple<string, Point> value) {
  return value;
}

std::tuple<uint8_t, std::tuple<string, uint32_t>, vector<Colour>> SameTuple(
    std::tuple<uint8_t, std::tuple<string, uint32_t>, vector<Colour>> value) {
  return value;
}

std::optional<std::tuple<Colour, uint32_t>> Looks(Shape shape) {
  if (std::holds_alternative<Shape::Dot>(shape.variants)) {
    return {{Colour::kRed, 1}};
  }
  if (std::holds_alternative<Shape::At>(shape.variants)) {
    return {{Colour::kGreen, 2}};
  }
  if (const auto *many = std::get_if<Shape::Many>(&shape.variants)) {
    return {{Colour::kDarkBlue, many->value.size()}};
  }
  return std::nullopt;
}

std::tuple<Point, bool> Turned(Point point, Nine marks) {
  const Nine both = Nine::kA | Nine::kI;
  return {{int32_t(std::lround(point.y)), double(point.x)},
          (marks & both) == both};
}

} // namespace shapes

namespace maybes {

std::optional<uint32_t> SameOption(std::optional<uint32_t> value) {
  return value;
}

std::optional<string> SameText(std::optional<string> value) { return value; }

std::optional<std::optional<uint8_t>>
SameTwice(std::optional<std::optional<uint8_t>> value) {
  return value;
}

vector<std::optional<Point>> SameList(vector<std::optional<Point>> value) {
  return value;
}

std::expected<uint32_t, string>
SameBoth(std::expected<uint32_t, string> value) {
  return value;
}

std::expected<Point, wit::Void> SameOk(std::expected<Point, wit::Void> value) {
  return value;
}

std::expected<void, string> SameErr(std::expected<void, string> value) {
  return value;
}

std::expected<void, wit::Void>
SameNeither(std::expected<void, wit::Void> value) {
  return value;
}

Outcomes SameOutcomes(Outcomes value) { return value; }

vector<std::expected<string, uint8_t>>
SameResults(vector<std::expected<string, uint8_t>> value) {
  return value;
}

std::expected<uint16_t, string> Parsed(string text) {
  uint16_t number = 0;
  const auto [end, error] = std::from_chars(text.begin(), text.end(), number);
  if (error != std::errc() || end != text.end()) {
    return std::unexpected(string::from_view("no number"));
  }
  return number;
}

} // namespace maybes

namespace counters {

std::expected<Counter::Owned, string> Counter::Sized(string text) {
  if (text.empty()) {
    return std::unexpected(string::from_view("empty"));
  }
  return New(text.size());
}

Counter::Owned Counter::Merged(Owned first,
                               std::reference_wrapper<const Counter> second) {
  return New(first->value + second.get().value);
}

std::optional<uint32_t>
Largest(vector<std::reference_wrapper<const Counter>> counters) {
  std::optional<uint32_t> largest;
  for (const Counter &counter : counters.get_view()) {
    largest = std::max(counter.Value(), largest.value_or(0));
  }
  return largest;
}

vector<Counter::Owned> Several(uint32_t count) {
  auto counters = vector<Counter::Owned>::allocate(count);
  for (uint32_t start = 0; start < count; start++) {
    counters.initialize(start, Counter::New(start));
  }
  return counters;
}

Named Renamed(Named named) {
  return {string::from_view(named.name.to_string() + "!"),
          std::move(named.counter)};
}

uint32_t Alive() { return Counter::alive; }

} // namespace counters

namespace client {

std::expected<Level, string> Classified(Reading reading) {
  return host::Classify(std::move(reading));
}

Event SameEvent(Event event) { return event; }

vector<uint64_t> Totals(vector<vector<uint64_t>> rows) {
  auto totals = vector<uint64_t>::allocate(rows.size());
  for (size_t i = 0; i < rows.size(); i++) {
    totals[i] = host::Total(rows[i].get_const_view());
  }
  return totals;
}

void TellAll(vector<string> texts) {
  for (const string &text : texts.get_view()) {
    host::Tell(text.get_view());
  }
}

Log Logged(string name, vector<Event> events) {
  Log log(name.get_view());
  if (!events.empty()) {
    log.Add(std::move(events[0]));
    log.AddAll(events.get_const_view().subspan(1));
  }
  return log;
}

std::optional<string> LastLine(std::reference_wrapper<const Log> log) {
  vector<string> lines = log.get().Lines();
  if (lines.empty()) {
    return std::nullopt;
  }
  return std::move(lines[lines.size() - 1]);
}

Log Both(Log &&first, std::reference_wrapper<const Log> second) {
  return Log::Merged(std::move(first), second);
}

} // namespace client

namespace words {

Struct SameStruct(Struct type) { return type; }
Union SameUnion(Union class_) { return class_; }

uint32_t Return(uint8_t for_, uint8_t class_, uint8_t fn, uint8_t def,
                uint8_t var, uint8_t func, uint8_t await) {
  return for_ + class_ + fn + def + var + func + await;
}

bool Delete(Default self) { return self == Default::kNil; }

} // namespace words
} // namespace acme::greeter
} // namespace exports
