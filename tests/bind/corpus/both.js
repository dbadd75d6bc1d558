import * as inner from "corpus:both/thing@0.3.0";

export const thing = {
  find: (item) => inner.find(item),
  check: (found) => inner.check(found),
};
