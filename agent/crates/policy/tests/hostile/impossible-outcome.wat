;; Answers with an outcome that the WIT does not have.
(func (export "check") (param i32) (result i32)
  (i32.store8 (i32.const 128) (i32.const 9))
  (i32.store (i32.const 68) (i32.const 128))
  (i32.store (i32.const 72) (i32.const 1))
  (i32.const 64))
