;; Logs one line of 14 MiB, then one longer than its memory.
(func (export "release") (param i32) (result i32)
  (drop (memory.grow (i32.const 240)))
  (call $log (i32.const 1) (i32.const 1048576) (i32.const 14680064))
  (call $log (i32.const 1) (i32.const 0) (i32.const 0x40000000))
  (i32.const 64))
