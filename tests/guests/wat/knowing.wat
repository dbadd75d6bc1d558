;; A command that asks its configuration for TOKEN, keeps the answer in its memory, and crashes.
(component
  (import "wasi:config/store@0.2.0-rc.1" (instance $store
    (type $error' (variant (case "upstream" string) (case "io" string)))
    (export "error" (type $error (eq $error')))
    (export "get" (func (param "key" string) (result (result (option string) (error $error)))))))
  (alias export $store "get" (func $get))
  (core module $room
    (memory (export "memory") 1)
    (data (i32.const 16) "TOKEN")
    (global $next (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.get $next)
      (global.set $next (i32.add (global.get $next) (i32.add (local.get 3) (i32.const 8))))))
  (core instance $room (instantiate $room))
  (core func $get (canon lower (func $get) (memory (core memory $room "memory")) (realloc (core func $room "realloc"))))
  (core module $main
    (import "host" "get" (func $get (param i32 i32 i32)))
    (func (export "run") (result i32)
      (call $get (i32.const 16) (i32.const 5) (i32.const 64))
      unreachable))
  (core instance $main (instantiate $main (with "host" (instance (export "get" (func $get))))))
  (func $run (result (result)) (canon lift (core func $main "run")))
  (instance $cli (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $cli)))
