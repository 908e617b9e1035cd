;; Wants every backup gone, whatever the question says of it.
(func (export "release") (param $question i32) (result i32)
  (local $count i32) (local $at i32) (local $verdicts i32) (local $verdict i32)
  (local.set $count (i32.load offset=48 (local.get $question)))
  (local.set $verdicts
    (call $alloc (i32.const 0) (i32.const 0) (i32.const 4) (i32.mul (local.get $count) (i32.const 16))))
  (block $done
    (loop $each
      (br_if $done (i32.ge_u (local.get $at) (local.get $count)))
      (local.set $verdict (i32.add (local.get $verdicts) (i32.mul (local.get $at) (i32.const 16))))
      (i32.store (local.get $verdict) (local.get $at))
      (i32.store8 offset=4 (local.get $verdict) (i32.const 1))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $each)))
  (i32.store (i32.const 68) (local.get $verdicts))
  (i32.store (i32.const 72) (local.get $count))
  (i32.const 64))
