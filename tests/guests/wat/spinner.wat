;; A component that computes for as long as it is told: what threads and time limits are tested with.
(component
  (core module $main
    (func (export "turns") (param $turns i64) (result i64)
      (local $state i64)
      (local.set $state (i64.const 88172645463325252))
      (loop $next
        (local.set $state (i64.xor (local.get $state) (i64.shl (local.get $state) (i64.const 13))))
        (local.set $state (i64.xor (local.get $state) (i64.shr_u (local.get $state) (i64.const 7))))
        (local.set $state (i64.xor (local.get $state) (i64.shl (local.get $state) (i64.const 17))))
        (local.set $turns (i64.sub (local.get $turns) (i64.const 1)))
        (br_if $next (i64.gt_s (local.get $turns) (i64.const 0))))
      (local.get $state))
    (func (export "forever") (loop $next (br $next))))
  (core instance $main (instantiate $main))
  (func (export "turns") (param "turns" u64) (result u64) (canon lift (core func $main "turns")))
  (func (export "forever") (canon lift (core func $main "forever"))))
