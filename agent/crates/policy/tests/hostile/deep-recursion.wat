;; Calls itself for ever.
(func $deeper (param i64) (result i64)
  (i64.add (local.get 0) (call $deeper (i64.add (local.get 0) (i64.const 1)))))
(func (export "release") (param i32) (result i32)
  (drop (call $deeper (i64.const 0)))
  (i32.const 64))
