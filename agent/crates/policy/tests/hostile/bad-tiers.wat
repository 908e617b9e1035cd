;; Names a tier that would escape from a path.
(data (i32.const 1024) "../../etc/passwd")
(func (export "tiers") (param i32) (result i32)
  (i32.store (i32.const 128) (i32.const 1024))
  (i32.store (i32.const 132) (i32.const 16))
  (i32.store (i32.const 68) (i32.const 128))
  (i32.store (i32.const 72) (i32.const 1))
  (i32.const 64))
