// Types of WIT that AssemblyScript has not.
import { absent, wrong } from "./abi";

/** The number in an `option<u32>`, which is a `Some<u32>` or null: numbers cannot be null. */
export class Some<T> {
  constructor(public value: T) {}
}

/** What comes of something that can fail: `Result.ok<T, E>(value)` or `Result.err<T, E>(error)`. */
export class Result<T, E> {
  private constructor(
    readonly isErr: bool,
    private $value: T,
    private $error: E,
  ) {}

  static ok<T, E>(value: T): Result<T, E> {
    return new Result<T, E>(false, value, absent<E>());
  }

  static err<T, E>(error: E): Result<T, E> {
    return new Result<T, E>(true, absent<T>(), error);
  }

  get isOk(): bool {
    return !this.isErr;
  }

  get value(): T {
    if (this.isErr) wrong("a result has no value, as it is an error");
    return this.$value;
  }

  get error(): E {
    if (!this.isErr) wrong("a result has no error, as it is none");
    return this.$error;
  }
}

/** The type of a result without a value. */
export type Unit = bool;
/** The value of a result without a value. */
export const unit: Unit = false;
