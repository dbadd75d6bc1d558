;; Calls the host from `call`, and traps after it from `call-then-trap`.
(component
  (import "host" (func $host (param "x" u32) (result u32)))
  (core func $host (canon lower (func $host)))
  (core module $main
    (import "host" "host" (func $host (param i32) (result i32)))
    (func (export "call") (param i32) (result i32) (call $host (local.get 0)))
    (func (export "call-then-trap") (param i32) (result i32) (drop (call $host (local.get 0))) unreachable))
  (core instance $main (instantiate $main (with "host" (instance (export "host" (func $host))))))
  (func (export "call") (param "x" u32) (result u32) (canon lift (core func $main "call")))
  (func (export "call-then-trap") (param "x" u32) (result u32) (canon lift (core func $main "call-then-trap"))))
