// What generated source stands on: memory that is read by whoever calls, and handles.

export function cabi_realloc(old: usize, oldSize: usize, align: usize, size: usize): usize {
  // What has no bytes has no memory either: nothing frees it.
  if (size == 0) {
    if (oldSize) heap.free(old);
    return align;
  }
  return oldSize ? heap.realloc(old, size) : heap.alloc(size);
}

// Memory for `length` elements that the other side frees, or `free`.
export function alloc(length: i32, size: i32): i32 {
  const bytes = <u64>(<u32>length) * <u64>(<u32>size);
  if (bytes > <u64>i32.MAX_VALUE) unreachable();
  return bytes ? <i32>heap.alloc(<usize>bytes) : 0;
}

export function free(at: i32, length: i32): void {
  if (length) heap.free(<usize>at);
}

const scratch = new Array<usize>();

// Memory that is needed until an imported function returns.
export function scratchAlloc(length: i32, size: i32): i32 {
  const at = alloc(length, size);
  if (at) scratch.push(<usize>at);
  return at;
}

export function scratchMark(): i32 {
  return scratch.length;
}

export function scratchFree(mark: i32): void {
  while (scratch.length > mark) heap.free(scratch.pop());
}

// @ts-ignore: decorator
@inline
export function read<T>(at: i32): T {
  return load<T>(<usize>at);
}

// @ts-ignore: decorator
@inline
export function write<T>(at: i32, value: T): void {
  store<T>(<usize>at, value);
}

// @ts-ignore: decorator
@inline
export function bits<T, V>(value: V): T {
  // @ts-ignore: editors do not know that only numbers come here
  return reinterpret<T>(value);
}

export function liftString(at: i32, length: i32): string {
  const text = String.UTF8.decodeUnsafe(<usize>at, <usize>length);
  free(at, length);
  return text;
}

export function liftBytes(at: i32, length: i32): Uint8Array {
  const bytes = new Uint8Array(length);
  memory.copy(bytes.dataStart, <usize>at, <usize>length);
  free(at, length);
  return bytes;
}

export function liftNumbers<T>(at: i32, length: i32): Array<T> {
  const numbers = new Array<T>(length);
  memory.copy(numbers.dataStart, <usize>at, (<usize>length) << alignof<T>());
  free(at, length);
  return numbers;
}

export function utf8Length(text: string): i32 {
  return String.UTF8.byteLength(text);
}

// Half a pair of surrogates, which UTF-8 cannot have, becomes U+FFFD.
export function lowerString(text: string, length: i32, at: i32): i32 {
  String.UTF8.encodeUnsafe(
    changetype<usize>(text),
    text.length,
    <usize>at,
    false,
    String.UTF8.ErrorMode.REPLACE,
  );
  return at;
}

export function lowerNumbers(from: usize, length: i32, size: i32): i32 {
  const at = alloc(length, size);
  memory.copy(<usize>at, from, <usize>length * <usize>size);
  return at;
}

// @ts-ignore: decorator
@inline
export function absent<T>(): T {
  if (isReference<T>()) {
    return changetype<T>(0);
  } else {
    return <T>0;
  }
}

// @ts-ignore: decorator
@inline
export function isNull<T>(value: T): bool {
  return changetype<usize>(value) == 0;
}

// @ts-ignore: decorator
@inline
export function some<T>(value: T | null): T {
  return changetype<T>(value);
}

export function blank<T>(): T {
  // @ts-ignore: editors do not know `__new`
  return changetype<T>(__new(offsetof<T>(), idof<T>()));
}

export function wrong(what: string): void {
  throw new Error(what);
}

// A resource of another component: lent to a call, given away, or dropped.
export abstract class Handle {
  $handle: i32 = 0;

  protected abstract $close(handle: i32): void;

  $lend(): i32 {
    if (this.$handle == 0) wrong("a resource was used after it was dropped or given away");
    return this.$handle;
  }

  $give(): i32 {
    const handle = this.$lend();
    this.$handle = 0;
    return handle;
  }

  $drop(): void {
    const handle = this.$handle;
    this.$handle = 0;
    if (handle) this.$close(handle);
  }
}

const borrowed = new Array<Handle>();

// What is lent to an exported function has to be back when that returns.
export function borrow<T extends Handle>(handle: T): T {
  borrowed.push(handle);
  return handle;
}

export function returnBorrowed(): void {
  while (borrowed.length) borrowed.pop().$drop();
}

// Objects that others hold: the collector leaves them, and others name them by a number.
export class Slots<T> {
  taken: i32 = 0;
  private objects: Array<T | null> = new Array();
  private unused: Array<i32> = new Array();

  add(object: T): i32 {
    if (this.unused.length) {
      const slot = this.unused.pop();
      this.objects[slot - 1] = object;
      return slot;
    }
    return this.objects.push(object);
  }

  get(slot: i32): T {
    return this.objects[slot - 1]!;
  }

  remove(slot: i32): T {
    const object = this.get(slot);
    this.objects[slot - 1] = null;
    this.unused.push(slot);
    return object;
  }
}
