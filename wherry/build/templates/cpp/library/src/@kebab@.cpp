#include "@snake@_cpp.h"

#include <string>

// Declared in build/bindings, which is made from wit/@kebab@.wit.
wit::string exports::@snake@::Greet(wit::string name) {
  return wit::string::from_view("Hello, " + name.to_string() + "!");
}
