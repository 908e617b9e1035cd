;; Built for 1.1: answers with one verdict on the backup whose number is the number of days of November 2026.
(import "backstop:policy/calendar@1.0.0" "days-of" (func $days (param i32 i32) (result i32)))
(func (export "release") (param $question i32) (result i32)
  (i32.store (i32.const 128) (call $days (i32.const 2026) (i32.const 11)))
  (i32.store (i32.const 68) (i32.const 128))
  (i32.store (i32.const 72) (i32.const 1))
  (i32.const 64))
