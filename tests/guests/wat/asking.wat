;; A command that ends as its host says: well for 0, else with a failure.
(component
  (import "host" (func $host (result u32)))
  (core func $host (canon lower (func $host)))
  (core module $main
    (import "host" "host" (func $host (result i32)))
    (func (export "run") (result i32) (i32.ne (call $host) (i32.const 0))))
  (core instance $main (instantiate $main (with "host" (instance (export "host" (func $host))))))
  (func $run (result (result)) (canon lift (core func $main "run")))
  (instance $cli (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $cli)))
