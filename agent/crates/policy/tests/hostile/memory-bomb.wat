;; Takes memory until it gets none, then calls that a bug of its own.
(func (export "release") (param i32) (result i32)
  (loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
  unreachable)
