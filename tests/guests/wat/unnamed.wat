;; Starts under the empty name, as modules of itk-wasm do: ends with code 7, and with 8 where it starts at `other`.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (global $ready (mut i32) (i32.const 0))
  (func $set_up (if (global.get $ready) (then unreachable)) (global.set $ready (i32.const 1)))
  (func (export "_initialize") (call $set_up))
  (func (export "") (call $set_up) (call $proc_exit (i32.const 7)))
  (func (export "other") (call $proc_exit (i32.const 8)))
  (func (export "taking") (param i32)))
