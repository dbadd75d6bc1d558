// Promises (ECMA-262, 27.2) that go on when `settled` tells them to. Those of the engine would go on when a call of the
// guest has ended, when nobody runs it any more. The bundler makes `async` functions into generators that use these.

let jobs = [];
let later = [];
const unheard = new Set();

class Waiting {
  #state = "waits";
  #value;
  #after = [];

  constructor(work) {
    if (typeof work !== "function") throw new TypeError("a promise is made of a function");
    this.#follow(work);
  }

  // 27.2.1.3: what is resolved to something with a `then` waits for that, from the next job on.
  #follow(work) {
    let decided = false;
    const once = (settle) => (value) => {
      if (decided) return;
      decided = true;
      settle(value);
    };
    const keep = once((value) => this.#keep(value));
    const fail = once((error) => this.#settle("broken", error));
    try {
      work(keep, fail);
    } catch (error) {
      fail(error);
    }
  }

  #keep(value) {
    if (value === this) return this.#settle("broken", new TypeError("a promise cannot wait for itself"));
    if (value === null || (typeof value !== "object" && typeof value !== "function")) return this.#settle("kept", value);
    let then;
    try {
      then = value.then;
    } catch (error) {
      return this.#settle("broken", error);
    }
    if (typeof then !== "function") return this.#settle("kept", value);
    jobs.push(() => this.#follow((keep, fail) => then.call(value, keep, fail)));
  }

  #settle(state, value) {
    this.#state = state;
    this.#value = value;
    if (this.#after.length > 0) jobs.push(...this.#after);
    else if (state === "broken") unheard.add(this);
    this.#after = null;
  }

  then(kept, broken) {
    const Class = this.constructor?.[Symbol.species] ?? Waiting;
    return new Class((keep, fail) => {
      const job = () => {
        const well = this.#state === "kept";
        const next = well ? kept : broken;
        if (typeof next !== "function") return (well ? keep : fail)(this.#value);
        try {
          keep(next(this.#value));
        } catch (error) {
          fail(error);
        }
      };
      if (this.#state === "waits") this.#after.push(job);
      else jobs.push(job);
      unheard.delete(this);
    });
  }

  catch(broken) {
    return this.then(undefined, broken);
  }

  finally(last) {
    if (typeof last !== "function") return this.then(last, last);
    return this.then(
      (value) => this.constructor.resolve(last()).then(() => value),
      (error) =>
        this.constructor.resolve(last()).then(() => {
          throw error;
        }),
    );
  }

  get [Symbol.toStringTag]() {
    return "Promise";
  }

  static get [Symbol.species]() {
    return this;
  }

  static resolve(value) {
    return value instanceof Waiting && value.constructor === this ? value : new this((keep) => keep(value));
  }

  static reject(error) {
    return new this((_, fail) => fail(error));
  }

  static withResolvers() {
    const made = {};
    made.promise = new this((resolve, reject) => Object.assign(made, { resolve, reject }));
    return made;
  }

  // 27.2.4: each of the four waits for all values, and says what one that is kept, or broken, means for the whole.
  static #each(values, done, one) {
    return new this((keep, fail) => {
      const found = [];
      let open = 1;
      let next = 0;
      const close = () => --open === 0 && done(found, keep, fail);
      for (const value of values) {
        const at = next++;
        open += 1;
        const note = (what) => {
          found[at] = what;
          close();
        };
        one(this.resolve(value), note, keep, fail);
      }
      close();
    });
  }

  static all(values) {
    return this.#each(values, (found, keep) => keep(found), (value, note, _, fail) => value.then(note, fail));
  }

  static allSettled(values) {
    const kept = (value) => ({ status: "fulfilled", value });
    const broken = (reason) => ({ status: "rejected", reason });
    const one = (value, note) => value.then((each) => note(kept(each)), (error) => note(broken(error)));
    return this.#each(values, (found, keep) => keep(found), one);
  }

  static any(values) {
    const none = (errors, _, fail) => fail(new AggregateError(errors, "all promises were broken"));
    return this.#each(values, none, (value, note, keep) => value.then(keep, note));
  }

  static race(values) {
    return this.#each(values, () => {}, (value, _, keep, fail) => value.then(keep, fail));
  }

  /** The value of a promise that is settled. */
  static found(promise) {
    if (promise.#state === "kept") return promise.#value;
    unheard.delete(promise);
    if (promise.#state === "broken") throw promise.#value;
    throw new Error("a promise was returned that nothing will settle");
  }
}

Object.defineProperty(Waiting, "name", { value: "Promise" });
globalThis.Promise = Waiting;
globalThis.queueMicrotask = (job) => void jobs.push(job);
/** Called when nothing else can go on. */
globalThis.setImmediate = (job, ...given) => void later.push(() => job(...given));

/** What a function gave, with all done that it began: of a promise its value, or its error thrown. */
export function settled(given) {
  while (jobs.length > 0 || later.length > 0) {
    if (jobs.length === 0) [jobs, later] = [later, []];
    let done = 0;
    try {
      while (done < jobs.length) jobs[done++]();
    } finally {
      jobs.splice(0, done);
    }
  }
  return given instanceof Waiting ? Waiting.found(given) : given;
}

/** Errors of promises that nobody asked for. */
export function missed() {
  const errors = [...unheard].map((promise) => {
    try {
      return Waiting.found(promise);
    } catch (error) {
      return error;
    }
  });
  unheard.clear();
  return errors;
}
