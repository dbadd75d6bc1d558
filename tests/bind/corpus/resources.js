import * as host from "corpus:resources/host";

// Each object stands for one of the host's.
class File {
  constructor(name, inner) {
    this.inner = inner ?? new host.File(name);
  }
  name() {
    return this.inner.name();
  }
  append(data) {
    return this.inner.append(data);
  }
  join(other) {
    return new File("", this.inner.join(other.inner));
  }
  static shared(name) {
    return new File("", host.File.shared(name));
  }
}

const open = (names) => host.open(names).map((inner) => new File("", inner));

export const store = {
  File,
  open,
  weigh: (file) => host.weigh(file.inner),
  entries: (names) => open(names).map((file) => ({ name: file.name(), file })),
  last: (names) => open(names).at(-1),
};
