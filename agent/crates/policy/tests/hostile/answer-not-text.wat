;; The reason it gives is no UTF-8.
(data (i32.const 1024) "\ff\fe\fd")
(func (export "release") (param i32) (result i32)
  (i32.store (i32.const 136) (i32.const 1024))
  (i32.store (i32.const 140) (i32.const 3))
  (i32.store (i32.const 68) (i32.const 128))
  (i32.store (i32.const 72) (i32.const 1))
  (i32.const 64))
