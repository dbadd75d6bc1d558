// Copies a file with a greeting and standard input in capitals, and ends with 7.
#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>

int main(int argc, char **argv) {
  std::FILE *in = std::fopen(argv[1], "r");
  std::FILE *out = std::fopen(argv[2], "w");
  char text[100];
  if (argc != 3 || !in || !out || !std::fgets(text, sizeof text, in)) {
    std::perror("cannot copy");
    return 3;
  }
  std::fprintf(out, "%s, %s", std::getenv("GREETING"), text);
  std::fclose(out);
  for (std::string line; std::getline(std::cin, line);) {
    std::ranges::transform(line, line.begin(), [](unsigned char c) { return std::toupper(c); });
    std::cout << line << "\n";
  }
  std::exit(7);
}
