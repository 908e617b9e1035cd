;; Warns 33 times of nothing.
(func (export "check") (param i32) (result i32)
  (i32.store (i32.const 68) (i32.const 2048))
  (i32.store (i32.const 72) (i32.const 33))
  (i32.const 64))
