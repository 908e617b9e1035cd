(import "backstop:policy/log@1.0.0" "write" (func $log (param i32 i32 i32)))
(memory $memory (export "memory") 1)
(global $next (mut i32) (i32.const 4096))
(func $alloc (export "cabi_realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32)
  (result i32)
  (local $at i32) (local $lacking i32)
  (local.set $at
    (i32.and (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
             (i32.sub (i32.const 0) (local.get $align))))
  (global.set $next (i32.add (local.get $at) (local.get $size)))
  (local.set $lacking (i32.sub (global.get $next) (i32.shl (memory.size) (i32.const 16))))
  (if (i32.gt_s (local.get $lacking) (i32.const 0))
    (then
      (if (i32.lt_s
            (memory.grow (i32.add (i32.shr_u (local.get $lacking) (i32.const 16)) (i32.const 1)))
            (i32.const 0))
        (then unreachable))))
  (memory.copy (local.get $at) (local.get $old) (local.get $old_size))
  (local.get $at))
