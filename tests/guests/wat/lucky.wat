;; A small component with WASI: one function that asks the host for a random number.
(component
  (import "wasi:random/insecure@0.2.0" (instance $random
    (export "get-insecure-random-u64" (func (result u64)))))
  (alias export $random "get-insecure-random-u64" (func $host))
  (core func $host (canon lower (func $host)))
  (core module $main
    (import "host" "random" (func $random (result i64)))
    (memory (export "memory") 1)
    (func (export "lucky") (result i64) (call $random)))
  (core instance $main (instantiate $main (with "host" (instance (export "random" (func $host))))))
  (func (export "lucky") (result u64) (canon lift (core func $main "lucky"))))
