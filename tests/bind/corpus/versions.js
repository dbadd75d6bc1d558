import { write as write1 } from "corpus:log/log@1.0.0";
import { write as write2 } from "corpus:log/log@2.1.0";

const swap = (x) => {
  write1({ text: "one" });
  write2({ text: "two", level: 2 });
  return x;
};

export const codec = { swap };
