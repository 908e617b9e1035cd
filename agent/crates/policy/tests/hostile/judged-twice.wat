;; Keeps the first backup, and lets it go.
(func (export "release") (param $question i32) (result i32)
  (i32.store8 (i32.const 148) (i32.const 1))
  (i32.store (i32.const 68) (i32.const 128))
  (i32.store (i32.const 72) (i32.const 2))
  (i32.const 64))
