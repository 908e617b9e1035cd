;; A health check for tests: reads a file of the restored tree and reports what came, passed or not.
(import "backstop:policy/probes@1.0.0" "read" (func $read (param i32 i32 i64 i32 i32)))
(data (i32.const 1024) "/srv/docs/plan.txt")
(data (i32.const 1048) "plan")
(func (export "check") (param i64 i32 i32 i32 i32 i32 i32 i32 i32 i64 i32 i32) (result i32)
  (call $read (i32.const 1024) (i32.const 18) (i64.const 0) (i32.const -1) (i32.const 512))
  (i32.store (i32.const 128) (i32.const 1048))
  (i32.store (i32.const 132) (i32.const 4))
  (if (i32.load8_u (i32.const 512))
    (then
      (i32.store (i32.const 140) (i32.load (i32.const 520)))
      (i32.store (i32.const 144) (i32.load (i32.const 524))))
    (else
      (i32.store8 (i32.const 136) (i32.const 1))
      (i32.store (i32.const 140) (i32.load (i32.const 516)))
      (i32.store (i32.const 144) (i32.load (i32.const 520)))))
  (i32.store (i32.const 72) (i32.const 128))
  (i32.store (i32.const 76) (i32.const 1))
  (i32.const 64))
