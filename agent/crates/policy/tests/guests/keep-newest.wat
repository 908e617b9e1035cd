;; Lets go of every releasable backup but the newest seven and says why.
(data (i32.const 1024) "older than the newest seven")
(data (i32.const 1056) "one of the newest seven")
(func $verdict (param $at i32) (param $backup i32) (param $release i32) (param $reason i32) (param $length i32)
  (i32.store (local.get $at) (local.get $backup))
  (i32.store8 offset=4 (local.get $at) (local.get $release))
  (i32.store offset=8 (local.get $at) (local.get $reason))
  (i32.store offset=12 (local.get $at) (local.get $length)))
(func (export "release") (param $question i32) (result i32)
  (local $backups i32) (local $count i32) (local $at i32) (local $verdicts i32) (local $made i32) (local $backup i32)
  (local.set $backups (i32.load offset=44 (local.get $question)))
  (local.set $count (i32.load offset=48 (local.get $question)))
  (local.set $verdicts
    (call $alloc (i32.const 0) (i32.const 0) (i32.const 4) (i32.mul (local.get $count) (i32.const 16))))
  (block $done
    (loop $each
      (br_if $done (i32.ge_u (local.get $at) (local.get $count)))
      (local.set $backup (i32.add (local.get $backups) (i32.mul (local.get $at) (i32.const 40))))
      (if (i32.load8_u offset=39 (local.get $backup))
        (then
          (if (i32.gt_s (i32.add (local.get $at) (i32.const 7)) (i32.sub (local.get $count) (i32.const 1)))
            (then
              (call $verdict (i32.add (local.get $verdicts) (i32.mul (local.get $made) (i32.const 16)))
                (local.get $at) (i32.const 0) (i32.const 1056) (i32.const 23)))
            (else
              (call $verdict (i32.add (local.get $verdicts) (i32.mul (local.get $made) (i32.const 16)))
                (local.get $at) (i32.const 1) (i32.const 1024) (i32.const 27))))
          (local.set $made (i32.add (local.get $made) (i32.const 1)))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $each)))
  (i32.store8 (i32.const 64) (i32.const 0))
  (i32.store (i32.const 68) (local.get $verdicts))
  (i32.store (i32.const 72) (local.get $made))
  (i32.const 64))
