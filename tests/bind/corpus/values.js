import * as host from "corpus:values/host@1.2.3";

// Each function gives on what the host gives back; what it throws goes through.
export const calls = Object.fromEntries(
  Object.entries(host).map(([name, called]) => [name, (...given) => called(...given)]),
);
