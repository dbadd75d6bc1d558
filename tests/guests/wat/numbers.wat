;; A core module with functions on numbers, and one that is not a function.
(module
  (memory (export "memory") 1)
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "half") (param f64) (result f64) (f64.div (local.get 0) (f64.const 2)))
  (func (export "both") (result i32 i64) (i32.const 1) (i64.const 2)))
