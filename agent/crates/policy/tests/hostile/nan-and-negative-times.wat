;; Makes a NaN with bits of its own by dividing nothing by nothing, and reports its bits as the reason; answers with the
;; first backup only if time runs backwards.
(data (i32.const 1024) "0123456789abcdef")
(global $zero (mut f64) (f64.const 0))
(func (export "release") (param $question i32) (result i32)
  (local $bits i64) (local $at i32)
  (local.set $bits
    (i64.reinterpret_f64
      (f64.add (f64.div (f64.neg (global.get $zero)) (global.get $zero))
               (f64.reinterpret_i64 (i64.const 0x7ff0000000000001)))))
  (local.set $at (i32.const 16))
  (loop $digit
    (local.set $at (i32.sub (local.get $at) (i32.const 1)))
    (i32.store8 (i32.add (i32.const 2048) (local.get $at))
      (i32.load8_u (i32.add (i32.const 1024) (i32.wrap_i64 (i64.and (local.get $bits) (i64.const 15))))))
    (local.set $bits (i64.shr_u (local.get $bits) (i64.const 4)))
    (br_if $digit (local.get $at)))
  (i32.store8 (i32.const 132) (i64.lt_s (i64.load (local.get $question)) (i64.const 0)))
  (i32.store (i32.const 136) (i32.const 2048))
  (i32.store (i32.const 140) (i32.const 16))
  (i32.store (i32.const 68) (i32.const 128))
  (i32.store (i32.const 72) (i32.const 1))
  (i32.const 64))
