;; Writes 10,000 lines of 4,000 bytes with escape sequences in them, then answers.
(func (export "release") (param i32) (result i32)
  (local $left i32)
  (memory.fill (i32.const 4096) (i32.const 27) (i32.const 4000))
  (local.set $left (i32.const 10000))
  (loop $more
    (call $log (i32.const 2) (i32.const 4096) (i32.const 4000))
    (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
  (i32.const 64))
