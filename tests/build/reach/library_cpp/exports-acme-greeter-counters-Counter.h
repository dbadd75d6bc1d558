#pragma once

#include <cstdint>
#include <expected>
#include <functional>

#include "wit.h"

namespace exports::acme::greeter::counters {

class Counter : public wit::ResourceExportBase<Counter> {
public:
  static void Dtor(Counter *self) { delete self; }
  static int32_t ResourceNew(Counter *self);
  static Counter *ResourceRep(int32_t id);
  static void ResourceDrop(int32_t id);

  explicit Counter(uint32_t start) : value(start) { alive++; }
  ~Counter() { alive--; }

  static Owned New(uint32_t start) { return Owned(new Counter(start)); }
  uint32_t Add(uint32_t by) { return value += by; }
  uint32_t Value() const { return value; }
  static std::expected<Owned, wit::string> Sized(wit::string text);
  static Owned Merged(Owned first,
                      std::reference_wrapper<const Counter> second);

  static inline uint32_t alive = 0;

private:
  uint32_t value;
};

} // namespace exports::acme::greeter::counters
