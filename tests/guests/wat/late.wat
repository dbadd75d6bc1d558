;; Asks the host and then computes for ever: a limit of time strikes while the host answers, or after it.
(component
  (import "host" (func $host (param "x" u32) (result u32)))
  (core func $host (canon lower (func $host)))
  (core module $main
    (import "host" "host" (func $host (param i32) (result i32)))
    (func (export "ask") (param i32) (result i32)
      (drop (call $host (local.get 0)))
      (loop $next (br $next))
      (unreachable)))
  (core instance $main (instantiate $main (with "host" (instance (export "host" (func $host))))))
  (func (export "ask") (param "x" u32) (result u32) (canon lift (core func $main "ask"))))
