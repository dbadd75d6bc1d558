;; A component written by hand, so that nothing but this file is needed. In WIT its world is:
;;
;;   record reading { city: string, celsius: f64 }
;;   record summary { count: u32, mean: f64, warmest: string }
;;   export summarise: func(readings: list<reading>) -> result<summary, string>;
(component
  (core module $code
    (memory (export "memory") 1)
    (data (i32.const 0) "no readings")

    ;; The first 64 bytes hold the message above and, from 16 on, what `summarise` returns.
    ;; What the caller sends is placed behind them, and forgotten when the call is over.
    (global $next (mut i32) (i32.const 64))

    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32)
      (result i32)
      (local $place i32)
      (local.set $place
        (i32.and
          (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
          (i32.sub (i32.const 0) (local.get $align))))
      (global.set $next (i32.add (local.get $place) (local.get $size)))
      (block $fits
        (br_if $fits (i32.le_u (global.get $next) (i32.shl (memory.size) (i32.const 16))))
        (br_if $fits
          (i32.ne
            (memory.grow (i32.add (i32.shr_u (local.get $size) (i32.const 16)) (i32.const 1)))
            (i32.const -1)))
        unreachable)
      (memory.copy (local.get $place) (local.get $old) (local.get $old-size))
      (local.get $place))

    (func (export "forget") (param $result i32)
      (global.set $next (i32.const 64)))

    ;; A reading takes 16 bytes: address and length of the city, then the degrees.
    (func (export "summarise") (param $readings i32) (param $count i32) (result i32)
      (local $end i32)
      (local $sum f64)
      (local $warmest i32)
      (if (i32.eqz (local.get $count))
        (then
          (i32.store8 (i32.const 16) (i32.const 1))                  ;; the case: error
          (i32.store (i32.const 24) (i32.const 0))                   ;; the message: address, length
          (i32.store (i32.const 28) (i32.const 11))
          (return (i32.const 16))))
      (local.set $warmest (local.get $readings))
      (local.set $end (i32.add (local.get $readings) (i32.shl (local.get $count) (i32.const 4))))
      (loop $next
        (local.set $sum (f64.add (local.get $sum) (f64.load offset=8 (local.get $readings))))
        (if (f64.gt (f64.load offset=8 (local.get $readings)) (f64.load offset=8 (local.get $warmest)))
          (then (local.set $warmest (local.get $readings))))
        (local.set $readings (i32.add (local.get $readings) (i32.const 16)))
        (br_if $next (i32.lt_u (local.get $readings) (local.get $end))))
      (i32.store8 (i32.const 16) (i32.const 0))                      ;; the case: ok
      (i32.store (i32.const 24) (local.get $count))
      (f64.store (i32.const 32) (f64.div (local.get $sum) (f64.convert_i32_u (local.get $count))))
      (i64.store (i32.const 40) (i64.load (local.get $warmest)))     ;; the city: address, length
      (i32.const 16)))

  (core instance $core (instantiate $code))

  ;; A record gets its name by an import: no one has to provide it, the definition is here.
  (type $reading' (record (field "city" string) (field "celsius" f64)))
  (import "reading" (type $reading (eq $reading')))
  (type $summary' (record (field "count" u32) (field "mean" f64) (field "warmest" string)))
  (import "summary" (type $summary (eq $summary')))

  (func $summarise (param "readings" (list $reading)) (result (result $summary (error string)))
    (canon lift (core func $core "summarise")
      (memory (core memory $core "memory"))
      (realloc (core func $core "realloc"))
      (post-return (core func $core "forget"))))
  (export "summarise" (func $summarise)))
